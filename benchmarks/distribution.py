"""What dividing a run costs: one process with two threads beside workers fed with its shards.

The same command on the same input, one after the other; every output is held against the first. Two
clocks: ``work`` begins when models are loaded and the plan is known (imports, loading and planning are
told apart as ``start``), ``all`` is the whole command.

    python benchmarks/distribution.py [--bases 2Mb] [one one:1 cpu:2 cpu:16 ray]

``one``: one process, two threads; ``one:1``: one thread, half of whose time no division can beat.
``cpu:2``: two processes of one thread, fed with 16 shards. ``cpu:16``: sixteen processes on the same
cores. ``ray``: two workers of an embedded Ray, whose start is in ``work``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from dnallm_core.values import length

MODEL = "caduceus-ecoli-tiny"
THREADS = {"one": "2", "one:1": "1", "cpu:2": "1", "cpu:16": "1", "ray": "1"}


def measured(name: str, folder: Path) -> dict[str, float]:
    """Seconds of one way of running the command; its output lies in the folder."""
    flags = {
        "one": ["--device", "cpu"],
        "one:1": ["--device", "cpu"],
        "ray": ["--ray", "local", "--workers", "2"],
    }.get(name, ["--devices", name])
    output = folder / f"{name.replace(':', '-')}.npz"
    command = [
        sys.executable, "-m", "dnallm_core", "embed", MODEL, "genome.fa", "--window", "512",
        "--quiet", "-o", output.name, *flags,
    ]  # fmt: skip
    began = time.monotonic()
    subprocess.run(
        command, cwd=folder, check=True, env={**os.environ, "OMP_NUM_THREADS": THREADS[name]}
    )
    whole = time.monotonic() - began
    record = json.loads(output.with_name(output.name + ".run.json").read_text())
    work = record["seconds"] - record.get("seconds_until_ready", 0.0)
    return {"work": work, "all": whole, "start": whole - work}


def main() -> None:
    """Measure what is asked for, or the first two."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", help="one, one:1, cpu:2, cpu:16, ray")
    parser.add_argument("--bases", type=length, default=2_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        draw = random.Random(1)
        text = "".join(draw.choices("ACGT", k=options.bases))
        (folder / "genome.fa").write_text(f">c\n{text}\n")
        first: dict[str, float] = {}
        for each in options.what or ["one", "cpu:2"]:
            found = measured(each, folder)
            first = first or found
            print(
                f"{each:<7} work {found['work']:7.1f} s ({found['work'] / first['work']:5.2f} x)   "
                f"all {found['all']:7.1f} s   start {found['start']:6.1f} s",
                flush=True,
            )
            one = np.load(folder / f"{(options.what or ['one'])[0].replace(':', '-')}.npz")
            other = np.load(folder / f"{each.replace(':', '-')}.npz")
            assert other["start"].tolist() == one["start"].tolist()
            worst = np.abs(other["embedding"] - one["embedding"]).max()
            print(f"        largest difference from the first {worst:.1e}", flush=True)


if __name__ == "__main__":
    main()
