"""Measure first-party models on this machine's CPU into their plugins' facts, small ones whole.

    python tools/measure_first_party.py [--dtypes float32,bfloat16] [--quiet] [MODEL ...]
    python tools/measure_first_party.py --refit [MODEL ...]
    python tools/measure_first_party.py --count [MODEL ...]
    python tools/measure_first_party.py --times [MODEL ...]

One model of each implementation stands for its relatives, whose terms are scaled by shape
(``dnallm_core.footprint.measured``); a second one is there to hold that against, in
``benchmarks/footprint.py``. Large networks are built with few blocks of their real size: the peak of
a forward pass does not depend on how many there are. Memory may be measured at any time, times on a
quiet machine alone: ``--quiet`` says that it is one. A record that is there already is left alone
unless its model is named.

``--times`` runs nothing but what times need, and only on a quiet machine: some points that seconds are
fitted to, others that they are held against, these with the whole network where it is small.

``--refit`` runs nothing and fits what was run by the formulas of today. ``--count`` counts the models
that nobody measured, on tensors without memory, and takes the constant from their measured relative.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import time
from typing import Any, NamedTuple

from dnallm_core.catalog import catalog
from dnallm_core.errors import DnallmError
from dnallm_core.footprint import Records, shape_of
from dnallm_core.footprint.records import plugin_folder
from dnallm_core.footprint.terms import BYTES
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.measuring import Point, measure, write_plugin_facts
from dnallm_core.measuring.counting import count_terms
from dnallm_core.measuring.fitting import fit_seconds
from dnallm_core.measuring.measure import (
    Runner,
    _fewer_layers,
    _most_tokens,
    _terms,
    conclude,
    counted_record,
    timing,
)

TIMES: dict[str, tuple[tuple[int, int], ...]] = {  # (rows, tokens) that seconds are held against
    "dnabert-6": ((2, 270), (3, 410)),
    "dnabert-2-117m": ((2, 270), (3, 410)),
    "gena-lm-bert-base": ((2, 270), (2, 410)),
    "nucleotide-transformer-v2-50m": ((2, 520), (3, 830)),
    "prokbert-mini": ((2, 520), (3, 830)),
    "dnagpt-0.1b-m": ((2, 270), (2, 410)),
    "omni-dna-300m": ((3, 150), (5, 220)),
    "generator-eukaryote-1.2b": ((1, 300), (1, 830)),
    "caduceus-ps-131k": ((1, 2000), (1, 3300)),
    "plantcaduceus-l20": ((2, 270), (4, 410)),
    "gpn-brassicales": ((1, 2000), (1, 3300)),
}
WHOLE = 130_000_000  # parameters up to which all blocks are built for what is held
FEW = 2  # blocks: the peak of a forward pass does not depend on how many there are

SHORT = (96, 160, 224, 320, 508)
MIDDLE = (128, 256, 400, 640, 1000)
LONG = (1000, 1700, 2500, 4000, 6000, 9000)
LONGER = (14_000, 30_000, 50_000, 67_000, 90_000)


class Plan(NamedTuple):
    """What is run of one model: how many blocks (None: all), tokens a row, rows a batch."""

    layers: int | None
    lengths: tuple[int, ...]
    batches: tuple[int, ...] = (1, 4)
    changes: dict[str, Any] | None = None
    alone: tuple[int, ...] = ()  # longer ones, of one row only
    more: tuple[tuple[int, int], ...] = ()  # (rows, tokens), where a record must reach further


PLANS: dict[str, Plan] = {
    "dnabert-6": Plan(2, SHORT, more=((16, 508),)),
    "dnabert-2-117m": Plan(2, SHORT, more=((16, 508),)),
    "dnabert-s-117m": Plan(2, SHORT, more=((16, 508),)),
    "grover": Plan(2, SHORT, (1, 6), more=((16, 508),)),
    "plant-dnabert-6mer": Plan(2, SHORT, more=((16, 508),)),
    "mutbert": Plan(2, SHORT, (1, 6), more=((16, 508),)),
    "prokbert-mini": Plan(2, MIDDLE, more=((8, 1000),)),
    "nucleotide-transformer-v2-50m": Plan(2, MIDDLE, more=((8, 1000),)),
    "nucleotide-transformer-500m-human-ref": Plan(2, MIDDLE, (1, 3), more=((6, 1000),)),
    "gena-lm-bert-base": Plan(2, SHORT, (1, 3), more=((8, 508),)),
    "gena-lm-bigbird-base-t2t": Plan(3, (704, 1024, 1536, 2048, 3072), (1,)),
    "dnagpt-0.1b-m": Plan(2, SHORT, (1, 3), more=((8, 508),)),
    "plant-dnagpt-singlebase": Plan(2, MIDDLE, more=((8, 1000),)),
    "plant-dnagemma-6mer": Plan(2, MIDDLE, (1, 3), more=((6, 1000),)),
    "generator-eukaryote-1.2b": Plan(2, MIDDLE, (1, 2), more=((4, 1000),)),
    "omnina-220m": Plan(2, MIDDLE, (1, 2), more=((4, 1000),)),
    "genomeocean-500m": Plan(2, MIDDLE, (1, 2), more=((4, 1000),)),
    "omni-dna-300m": Plan(2, (48, 96, 128, 192, 250), (1, 8), more=((24, 250),)),
    "mistral-dna-v1-1m-hg38": Plan(None, (64, 100, 128, 192, 256), (1, 32)),
    "caduceus-ph-131k": Plan(2, LONG, (1, 2), None, LONGER),
    "caduceus-ps-131k": Plan(2, LONG, (1, 2), None, LONGER),
    "plantcaduceus-l20": Plan(2, SHORT, (1, 6), more=((12, 508), (24, 508))),
    "plantcad2-small": Plan(
        2, MIDDLE, (1, 3), alone=(2000, 3500), more=((6, 1000), (10, 1000))
    ),
    "plant-dnamamba-6mer": Plan(
        2, MIDDLE, (1, 3), alone=(2000, 3500), more=((6, 1000), (10, 1000))
    ),
    "hyenadna-small-32k": Plan(None, (1000, 2500, 4000, 6000, 8000), (1, 2), alone=(14_000,)),
    "hyenadna-medium-160k": Plan(None, (1000, 2500, 4000, 6000, 8000), (1, 2)),
    "evo-2-1b-base": Plan(4, (128, 512, 1024, 2048, 3000), (1,)),
    "evo-1-8k-base": Plan(
        2, (128, 512, 1024, 2048, 3000), (1,), {"num_layers": 2, "attn_layer_idxs": [1]}
    ),
    "gpn-brassicales": Plan(4, LONG, (1, 2)),
    "gpn-animal-promoter": Plan(4, (1000, 2000, 3000, 4000, 6000), (1, 2)),
    "gpn-msa-sapiens": Plan(2, MIDDLE, (1, 2), more=((4, 1000),)),
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
    parser.add_argument("--count", action="store_true", help="count the rest without memory")
    parser.add_argument("--times", action="store_true", help="measure and hold seconds alone")
    parser.add_argument("--odd", type=int, choices=(0, 1), help="every other model")
    parser.add_argument("--quiet", action="store_true", help="nothing else runs: times count")
    options = parser.parse_args()
    zoo = catalog()
    if options.refit:
        for name in list(options.models or PLANS)[
            options.odd or 0 :: 1 if options.odd is None else 2
        ]:
            _refit(zoo[name], PLANS[name])
        return
    if options.count:
        left = [each for each in zoo.values() if each.installed and each.config]
        for model in left[options.odd or 0 :: 1 if options.odd is None else 2]:
            if model.id in options.models or not (options.models or Records().of(model)):
                _count(model)
        return
    if options.times:
        with Runner() as runner:
            for name in options.models or TIMES:
                _time(zoo[name], PLANS[name], runner)
        return
    with Runner() as runner:
        for name in options.models or PLANS:
            for dtype in options.dtypes.split(","):
                if options.models or not _is_there(zoo[name], dtype):
                    _measure(zoo[name], PLANS[name], dtype, options, runner)


def _refit(model: ModelManifest, plan: Plan) -> None:
    """Fit the recorded points by the shape and the formulas of today."""
    changes = plan.changes or _fewer_layers(model, plan.layers)
    count = _parameters(model, changes)
    for record in Records().of(model):
        measured = dict(record.measured)
        if record.device != "cpu" or not measured.get("exact"):
            continue
        points = [Point(*point) for point in measured["points"]]
        built = measured.get("built") or count * BYTES[record.dtype]
        first = {**measured, "weights": built}
        timed = bool(record.seconds)
        found = conclude(
            model, points, first, "cpu", record.dtype, record.mode, plan.layers, timed, changes
        )
        found.record["measured"]["date"] = measured["date"]
        write_plugin_facts(model, found.record)
        said = found.record["measured"]
        how = "counted" if found.record["steps"] else "fitted"
        print(
            f"{model.id} {record.dtype}: {how}, over {said['held_over']:.1%}, "
            f"under {said['held_under']:.1%}",
            flush=True,
        )


def _parameters(model: ModelManifest, changes: dict[str, Any]) -> int:
    """Numbers in the network as it is built."""
    from dnallm_core.loading import build
    from dnallm_core.measuring.run import network

    module = build(*network({"model": model.id, "config": changes}))
    return sum(each.numel() for each in module.parameters())


def _count(model: ModelManifest) -> None:
    """The steps of a model that nobody measured, over the constant of its nearest relative."""
    relatives = [each for each in Records().relative_of(model) if each.steps]
    if not relatives or shape_of(model).bends:
        return
    changes = {} if shape_of(model).layers <= FEW else _fewer_layers(model, FEW)
    for relative in relatives:
        if relative.dtype != "float32":  # other formats follow from it
            continue
        try:
            counted = count_terms(
                model, relative.dtype, changes, _terms(model), _most_tokens(model)
            )
        except Exception as error:
            print(f"{model.id}: {type(error).__name__}: {error}", flush=True)
            return
        shape = shape_of(model)
        told = relative.measured
        record = {
            "device": "cpu", "dtype": relative.dtype, "mode": "inference",
            "family": model.family, "implementation": model.implementation,
            "shape": dataclasses.asdict(shape), "attention_layers": shape.attention_layers,
            "terms": {
                "weights": _parameters(model, {}) * BYTES[relative.dtype],
                "fixed": relative.terms["fixed"],
            },
            "steps": counted_record(counted), "beyond": [], "seconds": {},
            "measured": {
                "device_name": told["device_name"], "versions": told["versions"],
                "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
                "exact": True, "workspace_of": relative.relative,
            },
        }  # fmt: skip
        write_plugin_facts(model, record)
        print(f"{model.id} {relative.dtype}: {len(counted.steps)} steps", flush=True)


def _time(model: ModelManifest, plan: Plan, runner: Runner) -> None:
    """Seconds of the float32 record: fitted to four points, held against others."""
    folder = plugin_folder(model)
    assert folder is not None
    content = json.loads((folder / str(model.footprint)).read_text(encoding="utf-8"))
    record = next(each for each in content["models"][model.id] if each["dtype"] == "float32")
    few = _fewer_layers(model, plan.layers)
    blocks = shape_of(model).layers
    small = (model.parameters or WHOLE) < WHOLE

    def seconds(rows: int, tokens: int, whole: bool) -> float:
        job = {
            "model": model.id, "device": "cpu", "dtype": "float32", "mode": "inference",
            "batch": rows, "tokens": tokens, "config": {} if whole else few,
            "inputs": list(model.inputs), "threads": 1,
        }  # fmt: skip
        return timing(runner, job, 1.0 if whole else blocks / (plan.layers or blocks))

    shape = record["shape"]["bends"]
    lengths = [each for each in plan.lengths if not shape or each <= shape[0][0]]
    short, middle, long = lengths[0], lengths[len(lengths) // 2], lengths[-1]
    rows = plan.batches[-1]
    runs = [(1, short), (1, long), (rows, middle), (rows, long)]
    points = [Point(*each, 0, seconds(*each, whole=False)) for each in runs]
    held = [(*each, seconds(*each, whole=small)) for each in TIMES[model.id]]
    record["seconds"] = {name: value for name, value in fit_seconds(points).items() if value}
    told = record["measured"]
    told.pop("seconds", None)
    told["timed"] = [[p.rows, p.tokens, float(f"{p.seconds:.4g}")] for p in points]
    told["times_held"] = [[*each[:2], float(f"{each[2]:.4g}")] for each in held]
    told["times_held_on"] = "the whole network" if small else told["layers"]
    write_plugin_facts(model, record)
    print(model.id, told["timed"], told["times_held"], flush=True)


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
            more=plan.more,
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
