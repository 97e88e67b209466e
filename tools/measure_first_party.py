"""Measure first-party models on this machine's CPU into their plugins' facts, small ones whole.

    python tools/measure_first_party.py [--dtypes float32,bfloat16] [--quiet] [MODEL ...]

One model of each implementation stands for its relatives, whose terms are scaled by shape
(``dnallm_core.footprint.measured``); a second one is there to hold that against, in
``benchmarks/footprint.py``. Large networks are built with few blocks of their real size: the peak of
a forward pass does not depend on how many there are. Memory may be measured at any time, times on a
quiet machine alone: ``--quiet`` says that it is one. A record that is there already is left alone
unless its model is named.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

from dnallm_core.catalog import catalog
from dnallm_core.errors import DnallmError
from dnallm_core.footprint import Records
from dnallm_core.footprint.terms import BYTES
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.measuring import Point, measure, write_plugin_facts
from dnallm_core.measuring.measure import Runner, _fewer_layers, conclude

SHORT = (96, 160, 224, 320, 508)
MIDDLE = (128, 256, 400, 640, 1000)
LONG = (1000, 1700, 2500, 4000, 6000, 9000)
LONGER = (14_000, 67_000, 90_000)


class Plan(NamedTuple):
    """What is run of one model: how many blocks (None: all), tokens a row, rows a batch."""

    layers: int | None
    lengths: tuple[int, ...]
    batches: tuple[int, ...] = (1, 4)
    changes: dict[str, Any] | None = None
    alone: tuple[int, ...] = ()  # longer ones, of one row only


PLANS: dict[str, Plan] = {
    "dnabert-6": Plan(2, SHORT),
    "dnabert-2-117m": Plan(2, SHORT),
    "dnabert-s-117m": Plan(2, SHORT),
    "grover": Plan(2, SHORT, (1, 6)),
    "plant-dnabert-6mer": Plan(2, SHORT),
    "mutbert": Plan(2, SHORT, (1, 6)),
    "prokbert-mini": Plan(2, MIDDLE),
    "nucleotide-transformer-v2-50m": Plan(2, MIDDLE),
    "nucleotide-transformer-500m-human-ref": Plan(2, MIDDLE, (1, 3)),
    "gena-lm-bert-base": Plan(2, SHORT, (1, 3)),
    "gena-lm-bigbird-base-t2t": Plan(3, (704, 1024, 1536, 2048, 3072), (1,)),
    "dnagpt-0.1b-m": Plan(2, SHORT, (1, 3)),
    "plant-dnagpt-singlebase": Plan(2, MIDDLE),
    "plant-dnagemma-6mer": Plan(2, MIDDLE, (1, 3)),
    "generator-eukaryote-1.2b": Plan(2, MIDDLE, (1, 2)),
    "omnina-220m": Plan(2, MIDDLE, (1, 2)),
    "genomeocean-500m": Plan(2, MIDDLE, (1, 2)),
    "omni-dna-300m": Plan(2, (48, 96, 128, 192, 250), (1, 8)),
    "mistral-dna-v1-1m-hg38": Plan(None, (64, 100, 128, 192, 256), (1, 32)),
    "caduceus-ph-131k": Plan(2, LONG, (1, 2), None, LONGER),
    "caduceus-ps-131k": Plan(2, LONG, (1, 2), None, LONGER),
    "plantcaduceus-l20": Plan(2, SHORT, (1, 6)),
    "plantcad2-small": Plan(2, MIDDLE, (1, 3)),
    "plant-dnamamba-6mer": Plan(2, MIDDLE, (1, 3)),
    "hyenadna-medium-160k": Plan(None, (1000, 2500, 4000, 6000, 8000), (1, 2)),
    "evo-2-1b-base": Plan(4, (128, 512, 1024, 2048, 3000), (1,)),
    "evo-1-8k-base": Plan(
        2, (128, 512, 1024, 2048, 3000), (1,), {"num_layers": 2, "attn_layer_idxs": [1]}
    ),
    "gpn-brassicales": Plan(4, LONG, (1, 2)),
    "gpn-animal-promoter": Plan(4, (1000, 2000, 3000, 4000, 6000), (1, 2)),
    "gpn-msa-sapiens": Plan(2, MIDDLE, (1, 2)),
    "phylogpn": Plan(
        4, (481, 1000, 2000, 3000, 4000), (1, 2), {"num_stacks": 2, "stack_size": 2}
    ),
}  # fmt: skip


def main() -> None:
    """Measure, and print one line a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--dtypes", default="float32,bfloat16")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--time", type=float, default=400.0, help="seconds a record")
    parser.add_argument("--refit", action="store_true", help="run nothing: fit what was run anew")
    parser.add_argument("--quiet", action="store_true", help="nothing else runs: times count")
    options = parser.parse_args()
    zoo = catalog()
    if options.refit:
        for name in options.models or PLANS:
            _refit(zoo[name], PLANS[name])
        return
    with Runner() as runner:
        for name in options.models or PLANS:
            for dtype in options.dtypes.split(","):
                if options.models or not _is_there(zoo[name], dtype):
                    _measure(zoo[name], PLANS[name], dtype, options, runner)


def _refit(model: ModelManifest, plan: Plan) -> None:
    """Fit the recorded points by the shape and the formulas of today."""
    from dnallm_core.loading import build, find_implementation

    implementation = find_implementation(model)
    changes = plan.changes or _fewer_layers(model, plan.layers)
    settings = implementation.read_config(None, {**model.config, **changes}, None)
    count = sum(each.numel() for each in build(implementation, settings).parameters())
    for record in Records().of(model):
        measured = dict(record.measured)
        if record.device != "cpu" or not measured.get("exact"):
            continue
        points = [Point(*point) for point in measured["points"]]
        built = measured.get("built") or count * BYTES[record.dtype]
        first = {**measured, "weights": built}
        timed = bool(record.seconds)
        found = conclude(model, points, first, "cpu", record.dtype, record.mode, plan.layers, timed)
        found.record["measured"]["date"] = measured["date"]
        write_plugin_facts(model, found.record)
        said = found.record["measured"]
        print(
            f"{model.id} {record.dtype}: over {said['held_over']:.1%}, under {said['held_under']:.1%}"
        )


def _is_there(model: ModelManifest, dtype: str) -> bool:
    return any(
        each.dtype == dtype and each.device == "cpu" and each.shape for each in Records().of(model)
    )


def _measure(
    model: ModelManifest, plan: Plan, dtype: str, options: argparse.Namespace, runner: Runner
) -> None:
    started = time.monotonic()
    try:
        found = measure(
            model,
            dtype=dtype,
            lengths=plan.lengths,
            batches=plan.batches,
            alone=plan.alone,
            layers=plan.layers,
            changes=plan.changes,
            threads=options.threads,
            budget=options.time,
            timed=options.quiet,
            runner=runner,
        )
    except DnallmError as error:
        print(f"{model.id} {dtype}: {error}", flush=True)
        return
    write_plugin_facts(model, found.record)
    measured = found.record["measured"]
    print(
        f"{model.id} {dtype}: {measured['runs']} runs, held over {measured['held_over']:.1%}, "
        f"under {measured['held_under']:.1%}, {time.monotonic() - started:.0f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()
