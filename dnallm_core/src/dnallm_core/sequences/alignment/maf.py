"""MAF, the multiple alignment format of the genome browsers: blocks of rows with coordinates.

Read here rather than through a library: Biopython's index reads no compressed file and writes a
database beside it, and what is needed is small: find the blocks of a stretch, and lay their columns
along the reference. The format is https://genome.ucsc.edu/FAQ/FAQformat.html#format5.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from ...errors import SequenceError
from .alignment import GAP, Alignment
from .bgzf import BgzfLines, is_bgzf

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_COMPLEMENT = bytes.maketrans(b"ACGTacgtNn-", b"TGCAtgcaNn-")
_BLOCKS_KEPT = 256


@dataclass(frozen=True, slots=True)
class _Row:
    """One ``s`` line: ``start`` on the strand that ``text`` shows."""

    source: str
    start: int
    size: int
    forward: bool
    source_length: int
    text: bytes


class MafAlignment(Alignment):
    """A MAF file, plain or compressed with bgzip, read block by block as stretches are asked for.

    ``reference``: the genome that positions count on (default: that of the first row of all), as it
    is written before the dot of ``hg38.chr1``; ``species``: the others, in order (default: in order
    of appearance). A block on the reference's reverse strand is turned round; of two rows of a
    species in a block the first counts, of two blocks over a position the first in the file;
    insertions into the reference are left out. Opening reads the file once, to know where its
    blocks are.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        reference: str | None = None,
        species: Sequence[str] | None = None,
    ) -> None:
        self._path = Path(path)
        self._file = _open(self._path)
        listed = tuple(species or ())
        found: dict[str, None] = {}
        spans: dict[str, list[tuple[int, int, int]]] = {}
        lengths: dict[str, int | None] = {}
        for offset, rows in _blocks(self._file, self._path):
            if reference is None:
                reference = rows[0].source.partition(".")[0]
            anchor = None
            for row in rows:
                name = _species(row.source, (reference, *listed))
                if name == reference:
                    anchor = anchor or row
                else:
                    found[name] = None
            if anchor is None or anchor.size == 0:
                continue
            contig = anchor.source[len(reference) + 1 :] or anchor.source
            start, end = _forward_span(anchor)
            spans.setdefault(contig, []).append((start, end, offset))
            lengths[contig] = anchor.source_length
        if not spans:
            what = f" with the reference {reference!r}" if reference else ""
            raise SequenceError(f"{path} holds no alignment blocks{what}.")
        self.reference = str(reference)
        self.species = listed or tuple(found)
        self.contigs = lengths
        self._place = {name: number for number, name in enumerate(self.species, start=1)}
        # sorted by start; the running maximum of ends bounds how far back a stretch must look
        self._spans = {name: sorted(each) for name, each in spans.items()}
        self._reach = {name: _running_maximum(each) for name, each in self._spans.items()}
        self._projected = lru_cache(maxsize=_BLOCKS_KEPT)(self._project)

    def columns(self, contig: str, start: int, end: int) -> NDArray[np.uint8]:
        """See ``Alignment.columns``; a position that no block covers has gaps in every row."""
        import numpy as np

        letters = np.full((end - start, 1 + len(self.species)), GAP, dtype=np.uint8)
        covered = np.zeros(end - start, dtype=bool)
        spans, reach = self._spans[contig], self._reach[contig]
        last = bisect_right(spans, (end - 1, 2**62, 0))
        first = bisect_right(reach, start)
        overlapping = [each for each in spans[first:last] if each[1] > start]
        for low, high, offset in sorted(overlapping, key=lambda each: each[2]):
            block = self._projected(contig, offset)
            left, right = max(low, start), min(high, end)
            here = slice(left - start, right - start)
            fresh = ~covered[here]
            letters[here][fresh] = block[left - low : right - low][fresh]
            covered[here] = True
        return letters

    def _project(self, contig: str, offset: int) -> NDArray[np.uint8]:
        """One block as letters (reference's bases, 1 + species), on the reference's forward strand."""
        import numpy as np

        self._file.seek(offset)
        _, rows = next(_blocks(self._file, self._path))
        by_name: dict[str, _Row] = {}
        for row in rows:
            by_name.setdefault(_species(row.source, (self.reference, *self.species)), row)
        anchor = by_name[self.reference]
        kept = np.frombuffer(anchor.text, dtype=np.uint8) != GAP
        letters = np.full((int(kept.sum()), 1 + len(self.species)), GAP, dtype=np.uint8)
        for name, row in by_name.items():
            column = 0 if name == self.reference else self._place.get(name)
            if column is not None:
                letters[:, column] = np.frombuffer(row.text, dtype=np.uint8)[kept]
        if anchor.forward:
            return letters
        table = np.frombuffer(bytes(range(256)).translate(_COMPLEMENT), dtype=np.uint8)
        return table[letters[::-1]]


def _open(path: Path) -> Any:
    """The file, seekable: plain, or bgzip-compressed."""
    with path.open("rb") as file:
        magic = file.read(18)
    if not magic.startswith(b"\x1f\x8b"):
        return path.open("rb")
    if is_bgzf(magic):
        return BgzfLines(path)
    raise SequenceError(
        f"{path} is compressed with gzip, in which no stretch can be found.",
        hint=f"Compress it with bgzip instead: gunzip -c {path.name} | bgzip > "
        f"{path.with_suffix('').name}.bgz",
    )


def _blocks(file: BinaryIO, path: Path) -> Iterator[tuple[int, list[_Row]]]:
    """(offset, rows) of every block from where the file stands on."""
    rows: list[_Row] = []
    offset = file.tell()
    at = 0
    while True:
        here = file.tell()
        line = file.readline()
        at += 1
        if line[:2] in (b"s ", b"s\t"):
            rows.append(_row(line, path, at))
            if len(rows[-1].text) != len(rows[0].text):
                raise SequenceError(
                    f"{path}, line {at}: a row of {len(rows[-1].text)} columns in a block of "
                    f"{len(rows[0].text)}.",
                    record=rows[-1].source,
                )
        elif line[:1] == b"a" or not line:
            if rows:
                yield offset, rows
                rows = []
            if not line:
                return
            offset = here
        elif at == 1 and not line.startswith((b"#", b"track", b"\n", b"\r")):
            raise SequenceError(f"{path} is no MAF file: it begins with {line[:20]!r}.")


def _row(line: bytes, path: Path, at: int) -> _Row:
    try:
        _, source, start, size, strand, length, text = line.split()
        row = _Row(source.decode(), int(start), int(size), strand == b"+", int(length), text)
    except (ValueError, UnicodeDecodeError) as error:
        raise SequenceError(f"{path}, line {at}: this is no row of an alignment block.") from error
    if row.size != len(text) - text.count(b"-"):
        raise SequenceError(
            f"{path}, line {at}: {row.source} says {row.size} bases and shows "
            f"{len(text) - text.count(b'-')}.",
            record=row.source,
        )
    return row


def _species(source: str, known: Sequence[str]) -> str:
    """The genome of ``hg38.chr1``: a known one if any fits, else what stands before the first dot."""
    fitting = [name for name in known if source == name or source.startswith(f"{name}.")]
    return max(fitting, key=len) if fitting else source.partition(".")[0]


def _forward_span(row: _Row) -> tuple[int, int]:
    start = row.start if row.forward else row.source_length - row.start - row.size
    return start, start + row.size


def _running_maximum(spans: Sequence[tuple[int, int, int]]) -> list[int]:
    reach: list[int] = []
    for _, end, _ in spans:
        reach.append(max(end, reach[-1]) if reach else end)
    return reach
