"""Train a network of a family from nothing on a genome of your own.

The last tenth of the genome is held out: the model is measured there, beside tables of counts that
need no network. The folder loads like any checkpoint: `dnallm embed FAMILY --weights FOLDER ...`. A
run that was interrupted goes on when the same command is given again, and ends with the same weights.

  dnallm pretrain genome.fa --family caduceus --size tiny -o mine/
  dnallm pretrain genome.fa.gz --family gpn --size tiny --steps 4000 --seed 7 -o mine/
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from ..errors import RequirementError
from .output import print_json, print_table, say
from .running import read_length


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("genome", type=Path, help="FASTA, compressed or not")
    parser.add_argument("--family", required=True, help="whose network is trained")
    parser.add_argument(
        "--size", default="tiny", help="the configuration of a model of the family (tiny)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a configuration of your own, as JSON"
    )
    parser.add_argument("-o", "--output", required=True, metavar="FOLDER", type=Path)
    parser.add_argument("--overwrite", action="store_true", help="replace an existing run")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="print the card as JSON")
    group = parser.add_argument_group("training")
    group.add_argument("--steps", type=_positive, default=2_000, help="of the optimizer (2000)")
    group.add_argument("--batch-size", type=_positive, default=8, help="windows a step (8)")
    group.add_argument(
        "--window", type=read_length, default=1_024, metavar="BP", help="of a window (1024)"
    )
    group.add_argument("--learning-rate", type=float, default=4e-3, help="at its peak (4e-3)")
    group.add_argument(
        "--counts", type=_share, default=0.8, metavar="SHARE",
        help="of counted contexts in the targets at the first step; 0 leaves them out (0.8)",
    )  # fmt: skip
    group.add_argument(
        "--held-out", type=_share, default=0.1, metavar="SHARE", help="of the genome's end (0.1)"
    )
    group.add_argument("--seed", type=int, default=0, help="of all that is random (0)")
    group.add_argument("--every", type=_positive, default=100, help="steps to a checkpoint (100)")
    group.add_argument(
        "--precision", default="auto", help="auto (bfloat16 where the device has it), float32, bfloat16"
    )  # fmt: skip
    group.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps")
    group.add_argument("--threads", type=_positive, metavar="N", help="of a CPU")


def run(options: argparse.Namespace) -> int:
    """Train, measure, and write the card."""
    import torch

    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from ..catalog import catalog
    from ..pretraining.card import write_card
    from ..pretraining.learning import Schedule
    from ..pretraining.measuring import measured
    from ..pretraining.run import Plan, pretrain
    from ..pretraining.sizes import configuration, family_of

    if options.threads:
        torch.set_num_threads(options.threads)
    zoo = catalog()
    facts = family_of(zoo, options.family)
    config = _read(options.config) if options.config else configuration(zoo, facts, options.size)
    plan = Plan(
        Schedule(options.steps, options.batch_size, options.learning_rate, every=options.every),
        window=options.window,
        share=options.counts,
        held_out=options.held_out,
        seed=options.seed,
        precision=options.precision,
    )
    talk = (lambda _: None) if options.quiet else say
    trained = pretrain(
        options.genome, facts, config, options.output, plan,
        device=options.device, overwrite=options.overwrite, say=talk,
    )  # fmt: skip
    talk("measuring on the held-out region, beside tables of counts")
    figures = measured(trained.model, trained.genome, plan.window)
    card = write_card(options.output, trained.record, trained.genome, figures)
    if options.json:
        print_json({"card": card})
    else:
        rows = [
            (row["name"], f"{row['bits']:.4f}", "{:.4f} to {:.4f}".format(*row["interval"]))
            for row in figures["rows"]
        ]
        print_table(["held out, bits a base", "bits", "95 % of resamplings"], rows)
        print(f"{figures['sentence']}")
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RequirementError(f"{path} is no JSON: {error}.") from None
    if not isinstance(content, dict):
        raise RequirementError(f"{path} holds no configuration: it is no JSON object.")
    return content


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError("must be at least 0 and less than 1")
    return value
