"""The shipped records as groups of numbers that can be compared with one another, and only those."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

_HERE = Path(__file__).parent


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


class Group:
    """Results of one benchmark on one dataset in one metric; higher is better in all of them."""

    def __init__(self, row: Mapping[str, Any]) -> None:
        self.benchmark: str = row["benchmark"]
        self.dataset: str = row["dataset"]
        self.kind: str = row["kind"]
        self.subtask: str = row["subtask"]
        self.domain: str = row["domain"]
        self.metric: str = row["metric"]
        self.evaluator: str = row["evaluator"]  # independent | mixed | model-authors
        self.rows: list[list[Any]] = row["records"]
        self.settings = frozenset(each[3] for each in self.rows)
        self._results: tuple[Result, ...] | None = None

    @property
    def results(self) -> tuple[Result, ...]:
        """The numbers, made of their rows when first needed."""
        if self._results is None:
            self._results = tuple(
                Result(
                    key, model, value, setting, source, how == 2, bool(own), bool(failed), caveat
                )
                for key, model, value, setting, source, how, own, failed, caveat in self.rows
            )
        return self._results

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
        groups=tuple(Group(row) for row in content["groups"]),
        models=tuple(row[0] for row in models),
        families=tuple(row[1] for row in models),
        comparators=frozenset(place for place, row in enumerate(models) if row[2]),
        sources=tuple(content["sources"]),
        caveats=tuple(content["caveats"]),
        names=names,
    )
