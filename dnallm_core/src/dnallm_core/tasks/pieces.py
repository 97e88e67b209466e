"""From records to the pieces that a model takes: whole sequences, or windows of long ones."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from ..errors import RequirementError
from ..models import Model
from ..sequences.files import Block, Record, in_blocks
from ..sequences.windows import Windows

MOST_PIECES = 65_536


class Piece(NamedTuple):
    """Bases [start, end) of a record, 0-based; it speaks for [owned_start, owned_end) of them."""

    name: str
    start: int
    end: int
    sequence: str
    owned_start: int
    owned_end: int


class Part:
    """Consecutive pieces as columns: millions of reads go through, and a list costs least.

    ``owned``: for each piece the bases that it speaks for, where windows overlap; None: all.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.starts: list[int] = []
        self.ends: list[int] = []
        self.sequences: list[str] = []
        self.owned: list[tuple[int, int]] | None = None

    def __len__(self) -> int:
        return len(self.names)

    def __iter__(self) -> Iterator[Piece]:
        owned = self.owned or zip(self.starts, self.ends, strict=True)
        columns = (self.names, self.starts, self.ends, self.sequences, owned)
        for name, start, end, sequence, own in zip(*columns, strict=True):
            yield Piece(name, start, end, sequence, *own)

    @property
    def places(self) -> dict[str, Any]:
        """The columns ``name``, ``start`` and ``end``."""
        import numpy as np

        return {
            "name": self.names,
            "start": np.array(self.starts, dtype=np.int64),
            "end": np.array(self.ends, dtype=np.int64),
        }

    def take(self, other: Part, first: int, last: int) -> None:
        """Add pieces [first, last) of another part."""
        self.names += other.names[first:last]
        self.starts += other.starts[first:last]
        self.ends += other.ends[first:last]
        self.sequences += other.sequences[first:last]
        if other.owned is not None:
            self.owned = (self.owned or []) + other.owned[first:last]


def bases_of(part: Part) -> int:
    """The bp of a part."""
    return sum(part.ends) - sum(part.starts)


def in_pieces(
    records: Iterable[Record], windows: Windows | None, most: int, *, owned: bool = False
) -> Iterator[Part]:
    """Records whole, or their windows, in parts of ``most`` bp or a little more.

    Where a part ends depends on the pieces alone. ``owned``: say which bases a window speaks for.
    """
    part, total = Part(), 0
    for block in in_blocks(records):
        pieces = _cut(block, windows, owned)
        first = 0
        sums = list(accumulate(map(len, pieces.sequences), initial=0))
        while first < len(pieces):
            # the piece with which the part is full
            full = bisect_left(sums, most - total + sums[first], lo=first + 1)
            last = min(full, len(pieces), first + MOST_PIECES - len(part))
            part.take(pieces, first, last)
            total += sums[last] - sums[first]
            if total >= most or len(part) >= MOST_PIECES:
                yield part
                part, total = Part(), 0
            first = last
    if len(part):
        yield part


def _cut(block: Block, windows: Windows | None, owned: bool) -> Part:
    part = Part()
    lengths = list(map(len, block.sequences))
    if windows is None or (max(lengths, default=0) <= windows.size and not owned):
        part.names, part.sequences = block.names, block.sequences
        part.starts, part.ends = [0] * len(lengths), lengths
        return part
    part.owned = [] if owned else None
    for name, sequence in zip(block.names, block.sequences, strict=True):
        for window in windows.over(len(sequence)):
            part.names.append(name)
            part.starts.append(window.start)
            part.ends.append(window.end)
            part.sequences.append(sequence[window.start : window.end])
            if part.owned is not None:
                part.owned.append((window.owned_start, window.owned_end))
    return part


def windows_for(model: Model, window: int | None, stride: int | None) -> Windows | None:
    """The windows that a user asked for; None where sequences go whole.

    A stride without a window is a RequirementError, and so is a window beyond a hard limit.
    """
    if window is None:
        if stride is not None:
            raise RequirementError("--stride goes with --window.", requirement="stride")
        return None
    facts = model.manifest
    if facts.length_limit == "hard" and facts.max_length and window > facts.max_length:
        raise RequirementError(
            f"A window of {window:,} bp is longer than {facts.id} takes ({facts.max_length:,} bp).",
            requirement="window",
        )
    return Windows(window, stride or window)
