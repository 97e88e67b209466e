"""Score sequences by their likelihood, in nats a base.

Causal models give the log-likelihood, masked ones the pseudo-log-likelihood taken per base.

  dnallm score MODEL genes.fa -o scores.tsv
  dnallm score MODEL genome.fa --per-base --window 512 -o genome.bw
"""

from __future__ import annotations

import argparse

from .running import (
    add_input,
    add_model,
    add_output,
    add_windows,
    finish,
    input_settings,
    open_model,
    read_input,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    add_input(parser)
    add_windows(parser)
    parser.add_argument("--per-base", action="store_true", help="a value a base")
    parser.add_argument("--both-strands", action="store_true", help="the mean over both strands")
    add_output(parser, ".tsv .csv .npz .parquet .zarr, and .bw with --per-base")


def run(options: argparse.Namespace) -> int:
    """Score the input."""
    from ..tasks.scoring import score_file

    contigs = []
    if options.per_base and options.output.name.lower().endswith((".bw", ".bigwig")):
        contigs = [(each.name, len(each.sequence)) for each in read_input(options)]
    record = score_file(
        open_model(options),
        read_input(options),
        options.output,
        **input_settings(options),
        per_base=options.per_base,
        both_strands=options.both_strands,
        window=options.window,
        stride=options.stride,
        contigs=contigs,
        batch_tokens=options.batch_tokens,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )
    return finish(options, record)
