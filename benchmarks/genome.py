"""A genome through the command with a bundled model: wall, peak memory, the bare network's share.

    python benchmarks/genome.py [embed] [scan] [--genome FASTA] [--bases 500000] [--model NAME]

``embed``: windows of 512 bp, one after another, to Zarr. ``scan``: wild-type marginals of every base,
both strands, to Parquet. Each runs as a process of its own; its share is the time spent in the
network's forward pass, by the clock, of all that the command took, imports and loading included; the
same of processor time, which other work on the machine leaves alone.
"""

from __future__ import annotations

import argparse
import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GENOME = Path(__file__).parents[2] / "shared/data/ecoli_536.fa.gz"
MODEL = "caduceus-ecoli-tiny"


def one(words: list[str], threads: int) -> None:
    """Run the command in this process and print what it took."""
    began, spent = time.perf_counter(), time.process_time()
    import torch
    from dnallm_core.cli import main, running

    torch.set_num_threads(threads)
    inside, busy, tokens = [0.0], [0.0], [0]
    opened = running.open_model

    def timed_model(options: Any) -> Any:
        model = opened(options)
        forward = model.module.forward

        def timed(*arguments: Any, **named: Any) -> Any:
            start, used = time.perf_counter(), time.process_time()
            try:
                return forward(*arguments, **named)
            finally:
                inside[0] += time.perf_counter() - start
                busy[0] += time.process_time() - used
                tokens[0] += named["input_ids"].numel()

        model.module.forward = timed
        return model

    running.open_model = timed_model
    code = main.run([*words, "--quiet"])
    took, used = time.perf_counter() - began, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found = {
        "code": code,
        "wall_s": round(took, 1),
        "network_s": round(inside[0], 1),
        "share": round(inside[0] / took, 3),
        "processor_s": round(used, 1),
        "processor_share": round(busy[0] / used, 3),
        "tokens": tokens[0],
        "peak_MiB": round(peak),
    }
    print(json.dumps(found), flush=True)


def cut(genome: Path, bases: int | None, folder: Path) -> Path:
    """The genome's first record, or so many bases of it, as plain FASTA."""
    with gzip.open(genome, "rt") as file:
        next(file)
        text = "".join(line.strip() for line in file if not line.startswith(">"))[:bases]
    path = folder / "genome.fa"
    lines = "\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    path.write_text(f">genome\n{lines}\n")
    return path


def main() -> None:
    """Measure what is asked for, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", help="embed, scan (default: both)")
    parser.add_argument("--genome", type=Path, default=GENOME)
    parser.add_argument("--bases", type=int, help="so many of the genome's (default: all)")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--one", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.threads)
        return
    for what in options.what or ("embed", "scan"):
        with tempfile.TemporaryDirectory() as folder:
            path = str(cut(options.genome, options.bases, Path(folder)))
            words = {
                "embed": ["embed", options.model, path, "--window", "512", "--stride", "512"],
                "scan": ["scan", options.model, "--genome", path, "--marginal", "wild-type"],
            }[what]
            out = str(Path(folder) / ("out.zarr" if what == "embed" else "out.parquet"))
            print(what, end=" ", flush=True)
            subprocess.run(
                [
                    sys.executable,
                    __file__,
                    "--threads",
                    str(options.threads),
                    "--one",
                    *words,
                    "-o",
                    out,
                ],
                check=True,
            )


if __name__ == "__main__":
    main()
