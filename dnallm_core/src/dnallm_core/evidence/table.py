"""The shipped records as groups of numbers that can be compared with one another, and only those."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).parent
_PROVENANCE = ("primary", "primary-figure", "secondary")


class Result(NamedTuple):
    """One published number: of which model, by whom, and whether it counts in full."""

    id: int
    model: int
    value: float
    setting: str
    source: int
    secondary: bool
    own_model: bool
    failed: bool
    caveat: int | None

    @property
    def key(self) -> str:
        """The record's id as users see it."""
        return f"ev{self.id:04}"


@dataclass(frozen=True, slots=True)
class Group:
    """Results of one benchmark on one dataset in one metric; higher is better in all of them."""

    benchmark: str
    dataset: str
    kind: str
    subtask: str
    domain: str
    metric: str
    evaluator: str  # independent | mixed | model-authors
    results: tuple[Result, ...]
    settings: frozenset[str]

    @property
    def unit(self) -> float:
        """What a value is divided by to lie between 0 and 1."""
        return 100.0 if any(sign in self.metric for sign in ("x100", "%")) else 1.0


@dataclass(frozen=True, slots=True)
class Table:
    """All groups, and the strings that their results point into."""

    groups: tuple[Group, ...]
    models: tuple[str, ...]
    families: tuple[str, ...]
    comparators: frozenset[int]
    sources: tuple[str, ...]
    caveats: tuple[str, ...]
    names: Mapping[str, Mapping[str, Any]]


def read_table(content: Mapping[str, Any] | None = None) -> Table:
    """The table that ships, or ``content`` of the same form."""
    if content is None:
        content = json.loads(gzip.decompress((_HERE / "records.json.gz").read_bytes()))
    names = json.loads((_HERE / "names.json").read_text(encoding="utf-8"))["names"]
    models: Sequence[Sequence[Any]] = content["models"]
    return Table(
        groups=tuple(_group(row) for row in content["groups"]),
        models=tuple(row[0] for row in models),
        families=tuple(row[1] for row in models),
        comparators=frozenset(place for place, row in enumerate(models) if row[2]),
        sources=tuple(content["sources"]),
        caveats=tuple(content["caveats"]),
        names=names,
    )


def _group(row: Mapping[str, Any]) -> Group:
    results = tuple(
        Result(
            number, model, value, setting, source, provenance == 2, bool(own), bool(failed), caveat
        )
        for number, model, value, setting, source, provenance, own, failed, caveat in row["records"]
    )
    return Group(
        benchmark=row["benchmark"],
        dataset=row["dataset"],
        kind=row["kind"],
        subtask=row["subtask"],
        domain=row["domain"],
        metric=row["metric"],
        evaluator=row["evaluator"],
        results=results,
        settings=frozenset(result.setting for result in results),
    )
