"""Join the shards of a run to the output that one machine would have written.

Refused are a shard that is missing or there twice, damaged, of another run, or computed with other
weights or versions.

dnallm merge genes.parquet genes.parquet.shard-*
dnallm merge genes.parquet
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .running import finish


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("output", metavar="OUTPUT", type=Path, help="what one machine had written")
    parser.add_argument(
        "shards", metavar="SHARD", nargs="*", type=Path, help="default: those beside OUTPUT"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing output")
    parser.add_argument("--quiet", action="store_true", help="say nothing")
    parser.add_argument("--json", action="store_true", help="print the run's record as JSON")


def run(options: argparse.Namespace) -> int:
    """Merge."""
    from ..tasks.merging import merge

    output: Path = options.output
    shards = options.shards or sorted(output.parent.glob(f"{output.name}.shard-*-of-*"))
    return finish(options, merge(output, shards, overwrite=options.overwrite))
