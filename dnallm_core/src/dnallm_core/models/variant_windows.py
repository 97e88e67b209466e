"""Which stretch of a contig a model reads for a variant: a function of its place and the settings.

Bidirectional models: the window has the variant in its middle, and both strands read it.

Causal models: windows begin on a grid, so that variants near one another are read behind the same
letters. With windows of W bp a window begins at every multiple of 7 W / 16 (0-based, counted from the
contig's own first base), and a variant is read in the last one that leaves it at least W / 2 bp of
context on its left; a substitution then has at least W / 16 bp behind it. The other strand has windows
of its own by the same rule, mirrored: context lies to the right, and windows end on the grid.

Neither the reference window nor the alternative one is longer than W, unless an allele alone is: an
insertion shortens its reference window, at the far end. Where that would leave less than W / 32 bp
behind the alleles, they stand in the middle of a window of their own. At a contig's ends windows
slide and keep their size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..sequences.alphabet import reverse_complement
from .placed_windows import published_window

if TYPE_CHECKING:
    from .contig import Contig
    from .model import Model


@dataclass(frozen=True, slots=True)
class PlacedVariant:
    """A variant in its window: ``start`` 0-based inside ``window``."""

    window: str
    start: int
    ref: str
    alt: str

    @property
    def is_substitution(self) -> bool:
        """Whether one base stands for one."""
        return len(self.ref) == len(self.alt) == 1

    @property
    def alternative(self) -> str:
        """The window with the alternative allele in it."""
        return self.window[: self.start] + self.alt + self.window[self.start + len(self.ref) :]

    def reversed(self) -> PlacedVariant:
        """The same variant, read on the other strand."""
        return PlacedVariant(
            reverse_complement(self.window),
            len(self.window) - self.start - len(self.ref),
            reverse_complement(self.ref),
            reverse_complement(self.alt),
        )


def window_size(model: Model, window: int | None) -> int:
    """bp that the model sees around a variant: as asked, or as its authors do."""
    return published_window(model) if window is None else window


def placed_variants(
    contig: Contig, variants: list[tuple[int, str, str]], size: int, *, causal: bool, reverse: bool
) -> list[PlacedVariant]:
    """Variants (1-based position, reference allele, alternative) in their windows, on one strand."""
    texts: dict[tuple[int, int], str] = {}
    placed = []
    for position, ref, alt in variants:
        at = position - 1
        if causal:
            span = causal_window(at, ref, alt, size, contig.start, contig.end, reverse=reverse)
        else:
            low, high = window_around(at - contig.start, ref, alt, size, len(contig))
            span = contig.start + low, contig.start + high
        if span not in texts:
            texts[span] = contig.letters(*span)
        each = PlacedVariant(texts[span], at - span[0], ref, alt)
        placed.append(each.reversed() if reverse else each)
    return placed


def window_around(at: int, ref: str, alt: str, size: int, length: int) -> tuple[int, int]:
    """[start, end) of the bp around alleles that stand at 0-based ``at``, in the middle.

    Neither the reference window nor the alternative one is longer than ``size``, unless an allele
    alone is. At a contig's ends the window slides and keeps its size.
    """
    size = min(max(size - max(0, len(alt) - len(ref)), 1), length)
    start = min(max(at - size // 2, 0), length - size)
    return start, max(start + size, at + len(ref))


def causal_window(
    at: int, ref: str, alt: str, size: int, start: int, end: int, *, reverse: bool = False
) -> tuple[int, int]:
    """[low, high) of the bp that a causal model reads for alleles at 0-based ``at``; see above.

    ``start`` and ``end``: the contig's own. ``reverse``: the window of the other strand.
    """
    if reverse:
        low, high = causal_window(-at - len(ref), ref, alt, size, -end, -start)
        return -high, -low
    step = max(7 * size // 16, 1)
    low = (at - size // 2) // step * step
    low = max(min(low, end - size), start)
    high = min(low + size - max(0, len(alt) - len(ref)), end)
    behind = at + len(ref)
    if high < min(behind + size // 32, end):
        middle = window_around(at - start, ref, alt, size, end - start)
        return start + middle[0], start + middle[1]
    return low, high
