"""Windows over a contig, and which of them speaks for each base.

Where a window lies depends on the contig's length, the size and the stride alone: not on the region
that was asked for, not on other contigs, not on batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import RequirementError


@dataclass(frozen=True, slots=True)
class Window:
    """One window [start, end), and the part [owned_start, owned_end) for which it speaks; in bp."""

    start: int
    end: int
    owned_start: int
    owned_end: int


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of ``size`` bp that begin every ``stride`` bp.

    The last window of a contig slides back so that it ends with the contig and no base is left out;
    a contig shorter than ``size`` is one window. ``owner``: in an overlap a base belongs to the window
    in which it is further from the edge ("centre"), or to the one that has more bases before it
    ("earlier": causal models). Every base belongs to exactly one window.

    Raises RequirementError where size or stride is less than 1, or the stride leaves gaps.
    """

    size: int
    stride: int
    owner: str = "centre"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise RequirementError(
                f"A window of {self.size} bp holds nothing.", requirement="window"
            )
        if self.stride < 1:
            raise RequirementError(
                f"A stride of {self.stride} bp gets nowhere.", requirement="stride"
            )
        if self.stride > self.size:
            raise RequirementError(
                f"A stride of {self.stride:,} bp leaves bases between windows of {self.size:,} bp.",
                requirement="stride",
                hint=f"Give a stride of {self.size:,} bp at most.",
            )
        if self.owner not in ("centre", "earlier"):
            raise RequirementError(f"owner is centre or earlier, not {self.owner!r}.")

    def count(self, length: int) -> int:
        """How many windows a contig of that length has; none if it is empty."""
        if length <= 0:
            return 0
        return 1 + max(0, -(-(length - self.size) // self.stride))

    def at(self, index: int, length: int) -> Window:
        """The window of that number, from 0."""
        start, end = self._place(index, length)
        first, last = start, end
        if index > 0:
            first = self._border(index - 1, length)
        if index < self.count(length) - 1:
            last = self._border(index, length)
        return Window(start, end, first, last)

    def over(self, length: int, start: int = 0, end: int | None = None) -> Iterator[Window]:
        """The contig's windows, in order; with a region, those that own a base of it."""
        end = length if end is None else min(end, length)
        if start >= end:
            return
        for index in range(self.owner_of(start, length), self.count(length)):
            window = self.at(index, length)
            if window.owned_start >= end:
                return
            yield window

    def owner_of(self, position: int, length: int) -> int:
        """The number of the window that speaks for a base (0-based position)."""
        if not 0 <= position < length:
            raise IndexError(f"position {position} outside a contig of {length} bp")
        last = self.count(length) - 1
        index = min(position // self.stride, last)
        while index > 0 and self._border(index - 1, length) > position:
            index -= 1
        while index < last and self._border(index, length) <= position:
            index += 1
        return index

    def _place(self, index: int, length: int) -> tuple[int, int]:
        start = max(0, min(index * self.stride, length - self.size))
        return start, min(start + self.size, length)

    def _border(self, index: int, length: int) -> int:
        """Where the part of a window ends and that of the next begins."""
        end = self._place(index, length)[1]
        if self.owner == "earlier":
            return end
        return (self._place(index + 1, length)[0] + end) // 2
