"""How fast reads are read: our FASTQ reader against a bare loop over the same gzipped file.

``python benchmarks/reading.py [--reads 2000000]``. Prints seconds of processor time, the best of
three, and fails where ours takes more than 1.5 times the bare loop, which checks nothing.
"""

from __future__ import annotations

import argparse
import gzip
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dnallm_core.sequences.files import Genome, read_records, read_variants

LIMIT = 1.5


def made(path: Path, reads: int) -> None:
    """Reads of 100 bp with titles and qualities such as sequencers write."""
    source = random.Random(1)
    bases = "".join(source.choices("ACGT", k=1_000_000))
    qualities = "".join(source.choices("FF:,", k=1_000_000))
    with gzip.open(path, "wt", compresslevel=4) as file:
        for number in range(reads):
            at, other = source.randrange(999_900), source.randrange(999_900)
            file.write(
                f"@A00123:45:HXXX:1:{number // 1000}:{number}:77 1:N:0:ACGT\n"
                f"{bases[at : at + 100]}\n+\n{qualities[other : other + 100]}\n"
            )


def bare(path: Path) -> int:
    total = 0
    with gzip.open(path, "rt") as file:
        while file.readline():
            total += len(file.readline().rstrip())
            file.readline()
            file.readline()
    return total


def ours(path: Path) -> int:
    return sum(len(record.sequence) for record in read_records(path))


def seconds(run: Callable[[Path], int], path: Path) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        run(path)
        times.append(time.process_time() - began)
    return min(times)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=2_000_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reads.fastq.gz"
        made(path, options.reads)
        loop, reader = seconds(bare, path), seconds(ours, path)
        print(f"{options.reads:,} reads: bare loop {loop:.2f} s, ours {reader:.2f} s", end="")
        print(f" ({reader / loop:.2f} times; at most {LIMIT})")
        genome = Path(folder) / "genome.fa"
        line = "ACGT" * 15 + "\n"
        genome.write_text(">1\n" + line * (100_000_000 // 60))
        began = time.process_time()
        with Genome(genome) as opened:
            print(f"indexing 100 Mbp: {time.process_time() - began:.2f} s", end="; ")
            began = time.process_time()
            for at in range(0, 90_000_000, 9_000):
                opened.fetch("1", at, at + 1_000)
            print(f"10,000 windows of 1 kbp: {time.process_time() - began:.2f} s")
        variants = Path(folder) / "variants.vcf"
        rows = "".join(f"1\t{at}\trs{at}\tA\tG\t.\t.\t.\n" for at in range(1, 500_001))
        variants.write_text(
            "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n" + rows
        )
        began = time.process_time()
        count = sum(1 for _ in read_variants(variants))
        print(f"{count:,} variants: {time.process_time() - began:.2f} s")
    return 0 if reader <= LIMIT * loop else 1


if __name__ == "__main__":
    sys.exit(main())
