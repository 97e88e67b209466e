"""Embed sequences: a vector a sequence, a window or a token.

dnallm embed MODEL genes.fa -o genes.parquet
dnallm embed MODEL genome.fa --window 512 --stride 256 -o genome.zarr
dnallm embed MODEL --regions genes.bed --genome genome.fa -o genes.h5ad
"""

from __future__ import annotations

import argparse

from .divided import divided
from .running import add_output, add_sequences, finish, open_model, read_input, settings_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_sequences(parser)
    parser.add_argument("--pooling", default="mean", help="mean, max, first or last token")
    parser.add_argument(
        "--layer", type=int, default=-1, help="0 the embedding, -1 what the head reads"
    )
    parser.add_argument("--tokens", action="store_true", help="a vector a token")
    parser.add_argument("--both-strands", action="store_true", help="the mean over both strands")
    add_output(parser, ".tsv .csv .npy .npz .parquet .zarr .h5ad")


@divided
def run(options: argparse.Namespace) -> int:
    """Embed the input."""
    from ..tasks.embedding import embed_file

    record = embed_file(
        open_model(options),
        read_input(options),
        options.output,
        pooling=options.pooling,
        layer=options.layer,
        tokens=options.tokens,
        both_strands=options.both_strands,
        **settings_of(options),
    )
    return finish(options, record)
