"""A contig as scores read it: letters by their place, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Contig:
    """Letters [start, end) of a contig, 0-based; positions always count on the whole of it.

    ``start`` and ``end`` are the contig's own ends, or those of a piece that holds all that a score
    depends on (``substitutions.context_of``). ``fetch(low, high)`` gives letters of either case.
    """

    name: str
    start: int
    end: int
    fetch: Callable[[int, int], str]

    @classmethod
    def of(cls, text: str, *, name: str = "", start: int = 0) -> Contig:
        """A contig, or a piece of one that begins at ``start``, held in memory."""
        return cls(
            name, start, start + len(text), lambda low, high: text[low - start : high - start]
        )

    def letters(self, low: int, high: int) -> str:
        """[low, high), cut at the ends, upper case, T for U."""
        found = self.fetch(max(low, self.start), min(high, self.end))
        return found.upper().replace("U", "T")

    def __len__(self) -> int:
        return self.end - self.start
