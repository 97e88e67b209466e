"""Write the logits of sequences, a row a token.

dnallm logits MODEL genes.fa -o logits.parquet
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
    add_output(parser, ".tsv .csv .npy .npz .parquet .zarr .h5ad")


def run(options: argparse.Namespace) -> int:
    """Write the logits of the input."""
    from ..tasks.scoring import logits_file

    record = logits_file(
        open_model(options),
        read_input(options),
        options.output,
        **input_settings(options),
        window=options.window,
        stride=options.stride,
        batch_tokens=options.batch_tokens,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )
    return finish(options, record)
