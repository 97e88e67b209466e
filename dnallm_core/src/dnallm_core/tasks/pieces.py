"""From records to the pieces that a model takes: whole sequences, or windows of long ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..errors import RequirementError
from ..models import Model
from ..sequences.files import Record
from ..sequences.windows import Windows


class Piece(NamedTuple):
    """Bases [start, end) of a record, 0-based.

    A tuple, since millions of reads are made of it, and a dataclass takes several times as long.
    """

    name: str
    start: int
    end: int
    sequence: str


def bases(piece: Any) -> int:
    """The bp of a piece."""
    length: int = piece.end - piece.start
    return length


def bases_of(part: Iterable[Any]) -> int:
    """The bp of several pieces."""
    return sum([piece.end - piece.start for piece in part])


def pieces(records: Iterable[Record], windows: Windows | None) -> Iterator[Piece]:
    """Each record whole, or its windows in order."""
    for record in records:
        length = len(record.sequence)
        if windows is None:
            yield Piece(record.name, 0, length, record.sequence)
            continue
        for window in windows.over(length):
            yield Piece(
                record.name, window.start, window.end, record.sequence[window.start : window.end]
            )


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
