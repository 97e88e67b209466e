"""What a run will compute, known before it begins: the sizes of its parts, and their fair division."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The sizes of a run's parts in order, in ``unit``s: a function of input and settings alone."""

    sizes: tuple[int, ...]
    unit: str = "bp"

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.sizes)

    @property
    def digest(self) -> str:
        """SHA-256 by which two plans are told apart."""
        return hashlib.sha256(json.dumps([self.unit, self.sizes]).encode()).hexdigest()

    def shard(self, number: int, of: int) -> list[int]:
        """The parts of shard ``number`` (from 1) ``of`` so many: consecutive, of like total size.

        A part goes where its middle falls when the whole length is cut into ``of`` equal stretches.
        So every part is in one shard, and a shard has none where a part is longer than a stretch.
        """
        return self.divided(range(len(self)), of)[number - 1]

    def divided(self, parts: Iterable[int], of: int) -> list[list[int]]:
        """``of`` lists of consecutive ``parts``, of like total size; some may be empty."""
        chosen = list(parts)
        total = sum(self.sizes[part] for part in chosen)
        shards: list[list[int]] = [[] for _ in range(of)]
        before = 0
        for part in chosen:
            size = self.sizes[part]
            middle = (2 * before + size) * of // (2 * total) if total else 0
            shards[min(middle, of - 1)].append(part)
            before += size
        return shards


def ranges(numbers: Sequence[int]) -> str:
    """Part numbers as people read them: ``0-3, 7``."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(f"{low}-{high}" if high > low else f"{low}" for low, high in found)
