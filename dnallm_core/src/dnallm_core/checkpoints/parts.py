"""One file that was published in numbered pieces, read as if it were whole, without joining it.

Every piece is memory-mapped on its own. What lies inside one piece is handed out as a view of the
mapping; only what straddles a seam is copied.
"""

from __future__ import annotations

import io
import mmap
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

from ..errors import CheckpointError

_NUMBER = re.compile(r"^(?P<whole>.+)\.part(?P<number>\d+)$")
_NO_RESERVE = getattr(mmap, "MAP_NORESERVE", 0x4000)


def is_part(path: Path) -> bool:
    """Whether a file is called a piece of another: NAME.part0."""
    return _NUMBER.match(path.name) is not None


def in_order(paths: Iterable[Path]) -> list[Path]:
    """The pieces ``NAME.part0``, ``NAME.part1`` ... of one file, by number.

    Raises CheckpointError where a number is missing, or pieces belong to different files.
    """
    numbered: dict[int, Path] = {}
    wholes = set()
    for path in paths:
        match = _NUMBER.match(path.name)
        if match is None:
            raise CheckpointError(f"{path.name} is no numbered piece of a file (NAME.part0).")
        wholes.add(match["whole"])
        numbered[int(match["number"])] = path
    if len(wholes) > 1:
        raise CheckpointError(
            f"Pieces of different files lie together: {', '.join(sorted(wholes))}."
        )
    absent = [number for number in range(max(numbered) + 1) if number not in numbered]
    if absent:
        names = ", ".join(f"{next(iter(wholes))}.part{number}" for number in absent)
        raise CheckpointError(
            f"{names} is missing: a file published in pieces needs them all.",
            hint="Download the missing piece into the same folder.",
        )
    return [numbered[number] for number in sorted(numbered)]


class JoinedParts(io.RawIOBase):
    """Read-only, seekable bytes of one or several files, one after the other, memory-mapped.

    The mappings are private: writing to a view changes this process's memory and never the file.
    They live as long as this object or any view of it.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        super().__init__()
        self.paths = tuple(paths)
        self._maps = [_mapped(path) for path in self.paths]
        self._ends = list(accumulate(len(each) for each in self._maps))
        self._position = 0

    @property
    def name(self) -> str:
        """What messages call it."""
        more = f" and {len(self.paths) - 1} more" if len(self.paths) > 1 else ""
        return f"{self.paths[0]}{more}"

    @property
    def begins(self) -> list[int]:
        """Where each piece begins in the whole."""
        return [0, *self._ends[:-1]]

    @property
    def size(self) -> int:
        """Bytes in all pieces together."""
        return self._ends[-1] if self._ends else 0

    def buffer(self, start: int, stop: int) -> memoryview:
        """Bytes ``[start, stop)``: a view of the mapping, or a copy where a seam lies inside."""
        if not 0 <= start <= stop <= self.size:
            raise CheckpointError(
                f"{self.name} ends at byte {self.size:,}, before byte {stop:,}: it is truncated."
            )
        first = bisect_right(self._ends, start)
        if first == len(self._maps) or stop <= self._ends[first]:
            if start == stop:
                return memoryview(bytearray())
            begin = self._ends[first] - len(self._maps[first])
            return memoryview(self._maps[first])[start - begin : stop - begin]
        joined = bytearray(stop - start)
        filled = 0
        while filled < len(joined):
            part = bisect_right(self._ends, start + filled)
            begin = self._ends[part] - len(self._maps[part])
            inside = memoryview(self._maps[part])[start + filled - begin : stop - begin]
            joined[filled : filled + len(inside)] = inside
            filled += len(inside)
        return memoryview(joined)

    # --- the interface of a binary file ---------------------------------------------------------

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The position of the next read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position of the next read."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError(f"a position before the beginning: {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, target: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``target`` from the position on; the number of bytes that there were."""
        into = memoryview(target).cast("B")
        start = min(self._position, self.size)
        stop = min(start + len(into), self.size)
        into[: stop - start] = self.buffer(start, stop)
        self._position = stop
        return stop - start


def _mapped(path: Path) -> mmap.mmap | bytearray:
    """A private, writable mapping of a file (an empty file cannot be mapped: an empty buffer)."""
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                return bytearray()
            try:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            except OSError:
                if sys.platform != "linux":
                    raise
                # A file larger than the memory: pages are read as they are needed, and nothing is
                # set aside for the copies of those that are written to.
                return mmap.mmap(
                    file.fileno(),
                    0,
                    flags=mmap.MAP_PRIVATE | _NO_RESERVE,
                    prot=mmap.PROT_READ | mmap.PROT_WRITE,
                )
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}.") from error
