"""How fast two million reads go through the pipeline without a model, beside a bare parser.

    python benchmarks/reading.py [--reads 2000000] [--file READS.fastq.gz]

The bare parser is pysam's FastxFile, whose records are looked at and dropped; beside it stands a loop
over the lines of Python's own gzip. Ours: ``read`` is ``read_records``, every letter checked and made
upper case; ``pipeline`` is what a task does but for tokens and network: read, check, cut into windows
of 512 bp, make parts, and put the names and lengths of each part on disk, in three threads. Seconds of
processor time and of the wall, the best of ``--rounds`` that take turns; peak memory is that of a fresh
process each, with a quarter of the reads and with all. Fails above 1.5 times the bare parser.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pysam
from dnallm_core.sequences.files import read_records
from dnallm_core.sequences.windows import Windows
from dnallm_core.tasks.pieces import Part, bases_of, in_pieces
from dnallm_core.tasks.pipeline import Pipeline
from dnallm_core.tasks.progress import Progress
from dnallm_core.tasks.table import Table, write_part

LIMIT = 1.5


def made(path: Path, reads: int) -> None:
    """Reads of 100 bp with titles and qualities such as sequencers write."""
    source = random.Random(1)
    bases = "".join(source.choices("ACGT", k=1_000_000))
    qualities = "".join(source.choices("FF:,", k=1_000_000))
    with gzip.open(path, "wt", compresslevel=4) as file:
        for number in range(reads):
            at, other = number * 977 % 999_900, number * 577 % 999_900
            file.write(
                f"@A00123:45:HXXX:1:{number // 1000}:{number}:77 1:N:0:ACGT\n"
                f"{bases[at : at + 100]}\n+\n{qualities[other : other + 100]}\n"
            )


def parser(path: Path) -> int:
    with pysam.FastxFile(str(path)) as file:
        return sum(len(record.sequence) for record in file)


def lines(path: Path) -> int:
    total = 0
    with gzip.open(path, "rt") as file:
        while file.readline():
            total += len(file.readline()) - 1
            file.readline()
            file.readline()
    return total


def read(path: Path) -> int:
    return sum(len(record.sequence) for record in read_records(path))


def pipeline(path: Path) -> int:
    done: list[int] = []

    def computed(part: Part) -> Table:
        ends = np.array(part.ends)
        done.append(int(ends.sum()))
        return Table({"name": part.names, "length": ends})

    with tempfile.TemporaryDirectory() as folder:
        Pipeline(
            enumerate(in_pieces(read_records(path), Windows(512, 512), 1 << 20)),
            prepare=lambda part: part,
            compute=computed,
            size=bases_of,
            save=lambda number, table: write_part(Path(folder) / f"{number % 8}.npz", table),
            progress=Progress(quiet=True),
        ).go()
    return sum(done)


WAYS: dict[str, Callable[[Path], int]] = {
    "parser": parser, "lines": lines, "read": read, "pipeline": pipeline,
}  # fmt: skip


def timed(way: Callable[[Path], int], path: Path, expected: int) -> tuple[float, float]:
    """Seconds of processor time, and of the wall."""
    wall, work = time.perf_counter(), time.process_time()
    assert way(path) == expected
    return time.process_time() - work, time.perf_counter() - wall


def peak(name: str, path: Path) -> float:
    """MiB of a fresh process that goes one way."""
    command = [sys.executable, __file__, "--only", name, "--file", str(path)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument("--reads", type=int, default=2_000_000)
    options.add_argument("--file", type=Path, help="made where it is not there, and kept")
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--only", choices=WAYS, help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.only:
        WAYS[chosen.only](chosen.file)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.file or Path(folder) / "reads.fastq.gz"
        quarter = path.with_name(f"quarter-{path.name}")
        for each, count in ((path, chosen.reads), (quarter, chosen.reads // 4)):
            if not each.exists():
                made(each, count)
        best = {name: (float("inf"), float("inf")) for name in WAYS}
        for _ in range(chosen.rounds):
            for name, way in WAYS.items():
                took = timed(way, path, 100 * chosen.reads)
                best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
        bare = best["parser"]
        for name, (work, wall) in best.items():
            print(
                f"{name:<9} {work:6.2f} s of processor ({work / bare[0]:.2f} x), "
                f"{wall:6.2f} s of wall ({wall / bare[1]:.2f} x)",
                flush=True,
            )
        memory = [peak("pipeline", each) for each in (quarter, path)]
        print(
            f"peak of the pipeline: {memory[0]:.0f} MiB for a quarter, {memory[1]:.0f} MiB for all"
        )
    return 0 if best["pipeline"][1] <= LIMIT * bare[1] else 1


if __name__ == "__main__":
    sys.exit(main())
