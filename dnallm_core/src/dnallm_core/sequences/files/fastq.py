"""FASTQ, four lines a record, read in blocks: qualities are checked for length and dropped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from itertools import repeat
from operator import add, sub

from ...errors import SequenceError
from ..alphabet import is_plain, normalised
from .opening import Source, reading
from .record import Record


def read_fastq(source: Source, *, keep_case: bool = False, allow: str = "") -> Iterator[Record]:
    """The records of a FASTQ file whose records are of four lines each.

    Raises SequenceError, with the line, where a record is not of that form, and for letters that
    are no DNA.
    """
    source.refuse_binary("FASTQ")
    index, name = 0, source.name
    make = partial(tuple.__new__, Record)
    for text in _whole_records(source.blocks(), name):
        titles, sequences, marks, qualities = text[0::4], text[1::4], text[2::4], text[3::4]
        _check(titles, sequences, marks, qualities, index, name)
        if not is_plain("".join(sequences).encode()):
            sequences = [
                normalised(each, record=_name(title), keep_case=keep_case, allow=allow)
                for title, each in zip(titles, sequences, strict=True)
            ]
        names, rest = _names(titles, index)
        places = range(index, index + len(titles))
        # Everything a record goes through is a loop in C: two million reads are common.
        yield from map(make, zip(names, sequences, rest, repeat(name), places, repeat(None)))
        index += len(titles)


def _names(titles: list[str], index: int) -> tuple[list[str], list[str]]:
    """Names and what follows them; titles of two words each, as sequencers write them, in one go."""
    words = "\n".join(titles).split()
    if len(words) == 2 * len(titles):
        names, rest = words[0::2], words[1::2]
        lengths = map(add, map(len, names), map(len, rest))
        one_blank = list(map(sub, map(len, titles), lengths)) == [1] * len(titles)
        if one_blank and "@" not in names and all(map(str.startswith, titles, names)):
            return "\n".join(names)[1:].split("\n@"), rest
    parts = [title[1:].split(None, 1) for title in titles]
    return (
        [each[0] if each else str(index + at) for at, each in enumerate(parts, 1)],
        [each[1] if len(each) > 1 else "" for each in parts],
    )


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
        and ("\n" + "\n".join(titles)).count("\n@") == count
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
