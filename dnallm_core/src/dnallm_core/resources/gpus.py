"""The table of GPUs that people have: memory, number formats, rates, each with its data sheet."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from ..errors import RequirementError, did_you_mean, nearest

_TABLE = Path(__file__).with_name("gpus.json")


@dataclass(frozen=True, slots=True)
class Card:
    """One row: ``memory`` in bytes, ``bandwidth`` in bytes a second, ``flops`` by dtype.

    ``source``: the data sheet that they are of; ``checked``: where they were seen, or None.
    """

    name: str
    aliases: tuple[str, ...]
    memory: int
    dtypes: tuple[str, ...]
    bandwidth: float | None
    flops: tuple[tuple[str, float], ...]
    source: str
    checked: str | None = None

    @property
    def doubt(self) -> str:
        """What a user must know of the figures, in a sentence; empty where they were seen."""
        if self.checked is not None:
            return ""
        return f"The figures of {self.name} are from memory: no source that states them was seen."

    @property
    def basis(self) -> str:
        """Where the figures come from, in a phrase."""
        if self.checked is None:
            return f"{self.source}; from memory, not checked"
        unseen = self.checked.rpartition("; its ")[2] if "; its " in self.checked else ""
        return f"{self.source}; its {unseen}" if "nowhere" in unseen else self.source


@lru_cache(maxsize=1)
def cards() -> tuple[Card, ...]:
    """All rows of the table."""
    rows = json.loads(_TABLE.read_text(encoding="utf-8"))["gpus"]
    return tuple(
        Card(
            name=row["name"],
            aliases=tuple(row["aliases"]),
            memory=round(row["memory_gb"] * 1e9),
            dtypes=tuple(row["dtypes"]),
            bandwidth=row["bandwidth_gb_s"] * 1e9 if row.get("bandwidth_gb_s") else None,
            flops=tuple((dtype, rate * 1e12) for dtype, rate in row.get("tflops", {}).items()),
            source=row["source"],
            checked=row.get("checked"),
        )
        for row in rows
    )


def find(name: str) -> Card:
    """The card that ``name`` means: its full name, or as people say it (``"RTX 4090"``, ``"A100 80GB"``).

    Raises RequirementError with the nearest names.
    """
    found = lookup(name)
    if found is not None:
        return found
    by_alias = {alias: card.name for card in cards() for alias in (*card.aliases, card.name)}
    raise RequirementError(
        f"gpu: no card in the table is called {name!r}.",
        requirement="gpu",
        hint=did_you_mean(nearest(name, by_alias)) or 'Say its memory instead: memory="24GB".',
    )


def lookup(name: str) -> Card | None:
    """The card, or None."""
    return _by_key().get(_key(name))


@lru_cache(maxsize=1)
def _by_key() -> dict[str, Card]:
    table: dict[str, Card] = {}
    for card in cards():
        for name in (card.name, *card.aliases):
            table.setdefault(_key(name), card)
    return table


def _key(name: str) -> str:
    words = re.sub(r"(?<=\d)\s+(?=gi?b\b)", "", name.lower())
    words = re.sub(r"\b(nvidia|geforce|amd|instinct|radeon|tesla|gpu)\b", " ", words)
    return re.sub(r"[^a-z0-9]", "", words)
