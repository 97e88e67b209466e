"""Tools outside the zoo that are known to do better: from the records, and from a table of rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..selection.requirements import Requirements
from .query import Block
from .table import Group, Result, Table

SHOWN = 3


def better(block: Block, table: Table, best: Mapping[str, tuple[Group, Result]]) -> list[str]:
    """Comparators that beat the best model in most of the results that both have, with the record."""
    models = {result.model for _, result in best.values()}
    if not models:
        return []
    wins: dict[str, list[tuple[float, Group, Result, float]]] = {}
    meets: dict[str, int] = {}
    for group in block.groups:
        own = max((r.value for r in group.results if r.model in models), default=None)
        if own is None:
            continue
        for result in group.results:
            if result.model in table.comparators and not result.failed:
                name = table.families[result.model]
                meets[name] = meets.get(name, 0) + 1
                if result.value > own:
                    gap = (result.value - own) / group.unit
                    wins.setdefault(name, []).append((gap, group, result, own))
    winning = [
        (sum(gap for gap, *_ in rows) / len(rows), name, rows)
        for name, rows in wins.items()
        if len(rows) * 2 > meets[name]
    ]
    winning.sort(key=lambda each: (-each[0], each[1]))
    said = []
    for _, name, rows in winning[:SHOWN]:
        _, group, result, own = max(rows, key=lambda row: row[0])
        said.append(
            f"Outside the zoo, {name} does better: {group.metric} {result.value:g} against {own:g} "
            f"on {group.benchmark} {group.dataset} [{result.key}: {table.sources[result.source]}]."
        )
    return said


def known(asked: Requirements) -> list[tuple[str, list[str]]]:
    """What the table says of a task at large, with the ids of the records that it rests on."""
    return [
        (row["says"], row["records"])
        for row in _rules()
        if all(
            getattr(asked, name) in options for name, options in row["when"].items()
        )
    ]  # fmt: skip


@lru_cache(maxsize=1)
def _rules() -> tuple[dict[str, Any], ...]:
    path = Path(__file__).with_name("outside.json")
    return tuple(json.loads(path.read_text(encoding="utf-8"))["rules"])
