"""Score sequences by their likelihood, in nats a base.

Causal models give the log-likelihood, masked ones the pseudo-log-likelihood taken per base.

  dnallm score MODEL genes.fa -o scores.tsv
  dnallm score MODEL genome.fa --per-base --window 512 -o genome.bw
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from .divided import divided
from .running import add_output, add_sequences, finish, open_model, read_input, settings_of

if TYPE_CHECKING:
    from ..sequences.files import Record


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_sequences(parser)
    parser.add_argument("--per-base", action="store_true", help="a value a base")
    parser.add_argument("--both-strands", action="store_true", help="the mean over both strands")
    add_output(parser, ".tsv .csv .npz .parquet .zarr, and .bw with --per-base")


@divided
def run(options: argparse.Namespace) -> int:
    """Score the input."""
    from ..tasks.scoring import score_file

    records: Iterable[Record] = read_input(options)
    contigs = []
    if options.per_base and options.output.name.lower().endswith((".bw", ".bigwig")):
        if (
            options.input is not None and not Path(options.input).is_file()
        ):  # what comes through a pipe comes once
            records = list(records)
        contigs = [(each.name, len(each.sequence)) for each in records]
        records = records if isinstance(records, list) else read_input(options)
    record = score_file(
        open_model(options),
        records,
        options.output,
        per_base=options.per_base,
        both_strands=options.both_strands,
        contigs=contigs,
        **settings_of(options),
    )
    return finish(options, record)
