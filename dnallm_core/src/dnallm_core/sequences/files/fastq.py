"""FASTQ, four lines a record, read in blocks: qualities are checked for length and dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import repeat

from ...errors import SequenceError
from ..alphabet import is_plain, normalised
from .opening import Source, reading
from .record import Block, Record


class FastqBlock(Block):
    """Records of a FASTQ file, with their titles as they stand there."""

    __slots__ = ("_index", "_source", "_titles")

    def __init__(
        self, names: list[str], sequences: list[str], titles: list[str], source: str, index: int
    ) -> None:
        super().__init__(names, sequences)
        self._titles, self._source, self._index = titles, source, index

    def records(self) -> Iterable[Record]:
        """See ``Block``."""
        words = [each[1:].split(None, 1) for each in self._titles]
        rest = [each[1] if len(each) > 1 else "" for each in words]
        places = range(self._index, self._index + len(self))
        return map(Record, self.names, self.sequences, rest, repeat(self._source), places)


def read_fastq(source: Source, *, keep_case: bool = False, allow: str = "") -> Iterator[FastqBlock]:
    """The records of a FASTQ file whose records are of four lines each, many at a time.

    Raises SequenceError, with the line, where a record is not of that form, and for letters that
    are no DNA.
    """
    source.refuse_binary("FASTQ")
    index, name = 0, source.name
    for text in _whole_records(source.blocks(), name):
        # Everything that every record goes through is a loop in C: two million reads are common.
        titles, sequences, marks, qualities = text[0::4], text[1::4], text[2::4], text[3::4]
        _check(titles, sequences, marks, qualities, index, name)
        if not is_plain("".join(sequences).encode()):
            sequences = [
                normalised(each, record=_name(title), keep_case=keep_case, allow=allow)
                for title, each in zip(titles, sequences, strict=True)
            ]
        yield FastqBlock(_names(titles, index), sequences, titles, name, index)
        index += len(titles)


def _names(titles: list[str], index: int) -> list[str]:
    """The titles' first words; a record without one is called by its number (from 1)."""
    names = [title.split(None, 1)[0] for title in titles]
    names = "\n".join(names)[1:].split("\n@")  # each without the "@" that it begins with
    if "" in names:
        return [_name(each) or str(index + at) for at, each in enumerate(titles, 1)]
    return names


def _name(title: str) -> str:
    return (title[1:].split(None, 1) or [""])[0]


def _whole_records(blocks: Iterable[bytes], name: str) -> Iterator[list[str]]:
    """Lines of whole records; a line of any length is joined once."""
    parts: list[bytes] = []
    waiting: list[str] = []
    for block in blocks:
        cut = block.rfind(b"\n")
        if cut < 0:
            parts.append(block)
            continue
        waiting += _lines(b"".join([*parts, block[:cut]]), name)
        parts = [block[cut + 1 :]]
        whole = len(waiting) - len(waiting) % 4
        if whole:
            yield waiting[:whole]
            waiting = waiting[whole:]
    last = b"".join(parts)
    if last:
        waiting += _lines(last, name)
    while waiting and not waiting[-1].strip():
        waiting.pop()
    if waiting:
        yield waiting


def _lines(data: bytes, name: str) -> list[str]:
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").removesuffix(b"\r")
    with reading(name):
        return data.decode("utf-8").split("\n")


def _check(
    titles: list[str],
    sequences: list[str],
    marks: list[str],
    qualities: list[str],
    index: int,
    name: str,
) -> None:
    count = len(titles)
    if (
        count == len(qualities)
        and "\n".join(["", *titles]).count("\n@") == count
        and (marks.count("+") == count or ("\n" + "\n".join(marks)).count("\n+") == count)
        and list(map(len, sequences)) == list(map(len, qualities))
    ):
        return
    for number, title in enumerate(titles):
        line = 4 * (index + number) + 1
        record = _name(title)
        if title[:1] != "@":
            what = f"is {title[:20]!r}, where a record's title (@name) was expected"
        elif number >= len(marks):
            what = "begins a record that the file's end cuts short"
        elif marks[number][:1] != "+":
            line, what = line + 2, f"is {marks[number][:20]!r}, where `+` was expected"
        elif number >= len(qualities):
            what = "begins a record that the file's end cuts short"
        elif len(sequences[number]) != len(qualities[number]):
            what = (
                f"begins a record with {len(sequences[number]):,} bases and "
                f"{len(qualities[number]):,} qualities"
            )
        else:
            continue
        raise SequenceError(
            f"{name} is no FASTQ of four lines a record: line {line:,} {what}.",
            record=record,
            position=line,
            hint="It looks like FASTA." if line == 1 and title[:1] == ">" else "",
        )
