"""FASTA, read record by record: memory is that of one record, however its lines are wrapped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...errors import SequenceError
from ..alphabet import is_plain, normalised
from .opening import Source
from .record import Record

_BLANKS = b" \t\r\n"


def read_fasta(source: Source, *, keep_case: bool = False, allow: str = "") -> Iterator[Record]:
    """The records of a FASTA file.

    The name is the title's first word, or the record's number (from 1) where the title has none.
    Blank lines and blanks within a sequence are dropped.

    Raises SequenceError: no title before the first sequence, letters that are no DNA.
    """
    source.refuse_binary("FASTA")
    for index, (title, sequence) in enumerate(_split(source.blocks(), source.name)):
        words = title.split(None, 1)
        name = words[0] if words else str(index + 1)
        if is_plain(sequence):
            letters = sequence.decode("ascii")
        else:
            letters = normalised(
                sequence.decode("utf-8", "replace"), record=name, keep_case=keep_case, allow=allow
            )
        description = words[1].rstrip() if len(words) > 1 else ""
        yield Record(name, letters, description, source.name, index)


def _split(blocks: Iterable[bytes], name: str) -> Iterator[tuple[str, bytes]]:
    """Title and bare letters of each record; pieces of a long sequence are joined once."""
    title: str | None = None
    letters: list[bytes] = []
    for chunk, begins in _at_titles(blocks, name):
        if not begins:
            letters.append(chunk.translate(None, _BLANKS))
            continue
        if title is not None:
            yield title, b"".join(letters)
        head, _, rest = chunk.partition(b"\n")
        title = _title(head, name)
        letters = [rest.translate(None, _BLANKS)]
    if title is not None:
        yield title, b"".join(letters)


def _at_titles(blocks: Iterable[bytes], name: str) -> Iterator[tuple[bytes, bool]]:
    """Chunks, and whether each begins with a whole title line (its ``>`` taken off)."""
    pending = b""  # a title line that the block before cut in two, with its ">"
    line_start = True  # whether the next byte begins a line
    started = False
    for block in blocks:
        data = pending + block
        at_start = True if pending else line_start
        pending = b""
        if not started:
            data, skipped = _past_blank_lines(data)
            if not data:
                continue
            if not data.startswith(b">"):
                raise _no_title(data, skipped, name)
            started = True
            at_start = True
        line_start = data.endswith(b"\n")
        pieces = (b"\n" + data if at_start else data).split(b"\n>")
        if pieces[0]:
            yield pieces[0], False
        for number, piece in enumerate(pieces[1:], 2):
            if number == len(pieces) and b"\n" not in piece:
                pending = b">" + piece  # the rest of this title is in the next block
                break
            yield piece, True
    if pending:
        yield pending[1:], True


def _past_blank_lines(data: bytes) -> tuple[bytes, int]:
    data = data.removeprefix(b"\xef\xbb\xbf")
    bare = data.lstrip(_BLANKS)
    return bare, data[: len(data) - len(bare)].count(b"\n")


def _no_title(data: bytes, skipped: int, name: str) -> SequenceError:
    begins = data[:20].split(b"\n")[0].decode("utf-8", "replace")
    hint = "A FASTA record begins with a line such as `>name`."
    if data.startswith(b"@"):
        hint = "It looks like FASTQ."
    elif data.startswith(b"##fileformat=VCF"):
        hint = "It looks like VCF."
    return SequenceError(
        f"{name} is no FASTA: line {skipped + 1:,} is {begins!r}, and no title line comes before it.",
        position=skipped + 1,
        hint=hint,
    )


def _title(line: bytes, name: str) -> str:
    return line.rstrip(b"\r").decode("utf-8", "replace").strip()
