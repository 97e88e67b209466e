"""From records to the pieces that a model takes: whole sequences, or windows of long ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..errors import RequirementError
from ..models import Model
from ..sequences.files import Record
from ..sequences.windows import Windows


@dataclass(frozen=True, slots=True)
class Piece:
    """Bases [start, end) of a record, 0-based."""

    name: str
    start: int
    end: int
    sequence: str

    def __len__(self) -> int:
        return self.end - self.start


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
