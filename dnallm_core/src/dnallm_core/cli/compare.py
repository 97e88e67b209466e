"""Hold models against one another: what each can do, what it costs at each length, its evidence."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from .. import values
from ..catalog import catalog
from ..comparing import Comparison, compare
from ..errors import RequirementError
from ..manifest import words
from ..resources import described
from .output import bp, count, print_json, print_table, say, size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("models", nargs="+", metavar="MODEL", help="two or more ids or aliases")
    parser.add_argument("--dtype", default=None, help=f"one of {', '.join(words.DTYPES)}")
    parser.add_argument("--batch", type=int, default=1, metavar="N", help="sequences at a time")
    parser.add_argument(
        "--gpu", metavar="NAME", help='on a card by name: "RTX 4090" (this machine)'
    )
    parser.add_argument("--svg", metavar="FILE", help="draw memory, time and evidence into a file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the comparison."""
    if len(options.models) < 2:
        raise RequirementError("compare needs two models or more.", requirement="models")
    if options.batch < 1:
        raise RequirementError("batch must be 1 or more.", requirement="batch")
    zoo = catalog()
    manifests = list({zoo[name].id: zoo[name] for name in options.models}.values())
    resources = described(gpu=options.gpu) if options.gpu else None
    found = compare(manifests, dtype=options.dtype, batch=options.batch, resources=resources)
    if options.svg:
        from ..comparing.picture import draw

        path = Path(options.svg)
        path.write_text(draw(found), encoding="utf-8")
        say(f"{path}: memory and time against length, evidence by task.")
    for problem in resources.problems if resources is not None else ():
        say(problem)
    if options.json:
        print_json(found.to_dict())
    else:
        _print(found)
    return 0


def _print(found: Comparison) -> None:
    print_table(("", *(each.id for each in found.models)), _facts(found))
    sys.stdout.write("\nMemory of one batch:\n")
    rows = []
    for place, length in enumerate(found.lengths):
        cells = [each.memory[place] for each in found.models]
        rows.append((bp(length), *("-" if cell is None else size(cell) for cell in cells)))
    print_table(("LENGTH", *(each.id for each in found.models)), rows)
    sys.stdout.write(f"\nTime of one sequence on {found.device}:\n")
    rows = []
    for place, length in enumerate(found.lengths):
        pairs = [each.time[place] for each in found.models]
        rows.append((bp(length), *("-" if pair is None else _interval(*pair) for pair in pairs)))
    print_table(("LENGTH", *(each.id for each in found.models)), rows)
    if found.evidence:
        sys.stdout.write("\nPublished evidence (tier, grade):\n")
        print_table(
            ("TASK", *(each.id for each in found.models)),
            [
                (row.title, *(_standing(row.standings.get(each.id)) for each in found.models))
                for row in found.evidence
            ],
        )


def _interval(low: float, high: float) -> str:
    return f"{values.show_duration(low)} to {values.show_duration(high)}"


def _standing(found: tuple[str, str] | None) -> str:
    return "-" if found is None else f"{found[0]}, {found[1]}"


def _facts(found: Comparison) -> list[tuple[str, ...]]:
    facts: list[tuple[str, Any]] = [
        ("family", lambda m: m.family),
        ("architecture", lambda m: m.architecture),
        ("direction", lambda m: m.direction),
        ("max length", lambda m: f"{bp(m.max_length)} ({m.length_limit})"),
        ("time", lambda m: m.scaling.time),
        ("bp a token", lambda m: "unknown" if m.resolution is None else f"{m.resolution:g}"),
        ("parameters", lambda m: count(m.parameters)),
        ("reverse complement", lambda m: m.reverse_complement),
        ("trained on", lambda m: ", ".join(m.trained_on.domains) or "unknown"),
        ("inputs", lambda m: ", ".join(m.inputs)),
        ("licence", lambda m: m.licence.id or "none declared"),
        ("tasks", lambda m: ", ".join(m.tasks)),
        ("installed", lambda m: "yes" if m.installed else m.install),
    ]
    rows = [(name, *(tell(each.manifest) for each in found.models)) for name, tell in facts]
    rows.append(("memory is", *(each.basis for each in found.models)))
    rows.append(("time is", *(each.time_basis for each in found.models)))
    return rows
