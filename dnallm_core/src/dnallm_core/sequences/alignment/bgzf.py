"""Lines of a file compressed with bgzip, from any place in it: BGZF, section 4.1 of the SAM format.

A BGZF file is a row of small gzip members. A place in it is ``member's offset << 16 | offset within
what the member holds``, as everywhere.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from ...errors import SequenceError

_HEADER = 18  # bytes of a member's header with bgzip's one extra field, its own size


def is_bgzf(start: bytes) -> bool:
    """Whether a file that begins so is BGZF and not plain gzip."""
    return start.startswith(b"\x1f\x8b\x08\x04") and start[10:14] == b"\x06\x00BC"


class BgzfLines:
    """``tell``, ``seek`` and ``readline`` over the uncompressed text."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("rb")
        self._load(0)

    def tell(self) -> int:
        """The place of the next line."""
        if self._at == len(self._held):
            self._load(self._next)
        return self._start << 16 | self._at

    def seek(self, place: int) -> None:
        """Go to a place that ``tell`` gave."""
        if place >> 16 != self._start:
            self._load(place >> 16)
        self._at = place & 0xFFFF

    def readline(self) -> bytes:
        """The next line with its line end; empty at the end of the file."""
        parts = []
        while True:
            end = self._held.find(b"\n", self._at) + 1
            parts.append(self._held[self._at : end or None])
            self._at = end or len(self._held)
            if end:
                break
            before = self._start
            self._load(self._next)
            if self._start == before or not self._held:
                break
        return b"".join(parts)

    def _load(self, start: int) -> None:
        """Hold the first member from ``start`` on that is not empty; nothing at the file's end."""
        while True:
            self._file.seek(start)
            header = self._file.read(_HEADER)
            self._start, self._at, self._held = start, 0, b""
            if not header:
                self._next = start
                return
            if not is_bgzf(header):
                raise SequenceError(f"{self._path} is damaged at byte {start:,}: no bgzip member.")
            size = struct.unpack("<H", header[16:18])[0] + 1
            body = self._file.read(size - _HEADER)
            try:
                self._held = zlib.decompress(body[:-8], wbits=-15)
            except zlib.error as error:
                raise SequenceError(
                    f"{self._path} is damaged at byte {start:,}: {error}."
                ) from error
            if len(body) != size - _HEADER:
                raise SequenceError(f"{self._path} ends within a bgzip member.")
            self._next = start + size
            if self._held:
                return
            start = self._next
