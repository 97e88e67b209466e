"""Write the logits of sequences, a row a token.

dnallm logits MODEL genes.fa -o logits.parquet
"""

from __future__ import annotations

import argparse

from .divided import divided
from .running import add_output, add_sequences, finish, open_model, read_input, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_sequences(parser)
    add_output(parser, ".tsv .csv .npy .npz .parquet .zarr .h5ad")


@divided
def run(options: argparse.Namespace) -> int:
    """Write the logits of the input."""
    from ..tasks.scoring import logits_file

    record = logits_file(
        open_model(options),
        read_input(options),
        options.output,
        **settings_of(options),
    )
    return finish(options, record)
