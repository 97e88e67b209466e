"""Predict with a model that `dnallm train` wrote: a row a sequence.

dnallm classify trained/ new.fa -o answers.tsv
"""

from __future__ import annotations

import argparse

from .divided import divided
from .output import say
from .running import add_input, add_loading, add_output, finish, read_input


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("trained", metavar="FOLDER", help="the folder of a trained model")
    add_input(parser)
    add_loading(parser)
    add_output(parser, ".tsv .csv .parquet")


@divided
def run(options: argparse.Namespace) -> int:
    """Predict."""
    from ..tasks.run import COMMAND
    from ..training.classifying import classify_file
    from ..training.trained import load_trained

    COMMAND.set(options.command_line)
    dtype = "float32" if options.dtype == "auto" else options.dtype
    trained = load_trained(options.trained, device=options.device, dtype=dtype)
    if not options.quiet:
        where = trained.model.provenance
        say(f"{options.trained} on {where['device']} in {where['dtype']}")
    record = classify_file(
        trained,
        read_input(options),
        options.output,
        source=options.input,
        batch_tokens=options.batch_tokens,
        overwrite=options.overwrite,
        quiet=options.quiet,
    )
    return finish(options, record)
