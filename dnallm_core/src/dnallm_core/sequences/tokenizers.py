"""Tokenizers: from a DNA sequence to ids and offsets (interface; kinds are added beside it)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Encoding:
    """Token ids and, for each, the [start, end) in bp that it stands for (empty for special ones)."""

    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer(Protocol):
    """What every kind of tokenizer offers."""

    vocabulary: Mapping[str, int]
    pad_id: int | None
    mask_id: int | None
    unknown_id: int | None
    special_ids: frozenset[int]

    def encode(self, sequence: str, special_tokens: bool = True) -> Encoding:
        """The ids of a sequence, literally as the authors' tokenizer gives them."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The sequence that ids spell, special tokens left out."""
        ...
