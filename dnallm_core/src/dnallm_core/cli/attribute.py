"""Which bases an answer rests on: integrated gradients through captum, a number a base.

Of a folder that `dnallm train` wrote: a class, label or target (--target; default: the class that each
sequence is given). Of a model of the zoo: the log-likelihood of the sequence, or with --position of one
base given the others.

  dnallm attribute trained/ promoters.fa --target strong -o shares.tsv --figure shares.png
  dnallm attribute MODEL --genome genome.fa --region chr1:1001-1200 -o shares.bw
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RequirementError
from .divided import divided
from .output import say
from .running import (
    Readings,
    add_figure,
    add_input,
    add_model,
    add_output,
    add_region,
    finish,
    input_settings,
    open_genome,
    open_model,
    read_input,
    regions_of,
)

if TYPE_CHECKING:
    from ..models import Model
    from ..models.attribution import Question
    from ..sequences.files import Record, Region
    from ..sequences.tokenizers import Encoding


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    add_input(parser)
    add_region(parser, "of --genome; 1-based, both included; may be repeated")
    parser.add_argument("--target", metavar="NAME", help="a trained model's class, label or target")
    parser.add_argument(
        "--position",
        type=int,
        metavar="N",
        help="a base of each sequence, from 1 (model of the zoo)",
    )
    parser.add_argument(
        "--method",
        default="integrated-gradients",
        help="or gradient-x-input: one pass, no integral",
    )
    parser.add_argument("--steps", type=int, default=64, help="of the integral (default: 64)")
    add_figure(parser, "the letters")
    add_output(parser, ".tsv .csv .parquet .npz .zarr .bw")


@divided
def run(options: argparse.Namespace) -> int:
    """Attribute."""
    from ..tasks.attributing import attribute_file

    model, ask, asked = _asked(options)
    more: dict[str, Any] = {"source": options.input}
    records: Iterable[Record]
    if options.region or options.regions:
        if options.input or not options.genome:
            raise RequirementError("Give an input, or --region or --regions with --genome.")
        with open_genome(options) as genome:
            regions = regions_of(options, genome)
            named = {f"{each.contig}:{each.start + 1}-{each.end}": each for each in regions}
            records = Readings(lambda: _records(options, named))
            more["contigs"] = list(genome.lengths.items())
        more["source"] = options.regions or options.genome
        more["genome"] = {
            **input_settings(options)["genome"],
            "regions": list(named),
        }
        more["places"] = {name: (each.contig, each.start) for name, each in named.items()}
    else:
        records = read_input(options)
    record = attribute_file(
        model,
        records,
        options.output,
        ask=ask,
        asked=asked,
        method=options.method,
        steps=options.steps,
        figure=options.figure,
        batch_tokens=options.batch_tokens,
        overwrite=options.overwrite,
        quiet=options.quiet,
        **more,
    )
    return finish(options, record)


def _asked(
    options: argparse.Namespace,
) -> tuple[Model, Callable[[Encoding], Question], dict[str, Any]]:
    """The model, the question that is put to each sequence, and what the record says of it."""
    if options.weights is None and (Path(options.model) / "model.json").is_file():
        from ..tasks.run import COMMAND
        from ..training.answers import output, output_named
        from ..training.trained import load_trained

        if options.position is not None:
            raise RequirementError(
                "--position is for models of the zoo; a trained one has --target."
            )
        COMMAND.set(options.command_line)
        dtype = "float32" if options.dtype == "auto" else options.dtype
        trained = load_trained(options.model, device=options.device, dtype=dtype)
        if not options.quiet:
            where = trained.model.provenance
            say(f"{options.model} on {where['device']} in {where['dtype']}")
        target = output_named(trained, options.target)
        asked = {"target": "the class given" if target is None else trained.classes[target]}
        return trained.model, lambda encoding: output(trained, encoding, target), asked
    from ..models.attribution import likelihood

    if options.target is not None:
        raise RequirementError(
            "--target is for folders that `dnallm train` wrote; a model of the zoo has --position."
        )
    if options.position is not None and options.position < 1:
        raise RequirementError("--position counts from 1.")
    model = open_model(options)
    at = None if options.position is None else options.position - 1
    return model, lambda encoding: likelihood(model, encoding, at), {"position": options.position}


def _records(options: argparse.Namespace, named: dict[str, Region]) -> Iterable[Record]:
    from ..sequences.files import Record

    with open_genome(options) as genome:
        for index, (name, each) in enumerate(named.items()):
            yield Record(name, genome.sequence(each), "", str(genome.path), index)
