"""Any file of sequences, one ``Record`` at a time; the one door that tasks use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ...errors import SequenceError
from ..alphabet import is_plain, normalised
from .fasta import read_fasta
from .fastq import read_fastq
from .opening import Source, opened
from .record import Block, Record
from .tables import read_table

FORMATS = ("fasta", "fastq", "table", "lines")
_TABLES = (".csv", ".tsv", ".parquet", ".pq")
_COMPRESSED = (".gz", ".bgz", ".zst", ".bz2", ".xz")
BLOCK_BASES = 1 << 16
BLOCK_RECORDS = 256


class Records(Iterator[Record]):
    """The records of a file, one by one or (``in_blocks``) many at a time; the one or the other."""

    def __init__(self, items: Iterator[Record | Block]) -> None:
        self.items = items
        self._singly = _singly(items)

    def __next__(self) -> Record:
        return next(self._singly)

    def close(self) -> None:
        """Let go of the file."""
        self.items.close()  # type: ignore[attr-defined]  # a generator


def in_blocks(records: Iterable[Record]) -> Iterator[Block]:
    """Records as blocks: as their file gives them, or some hundred of any others.

    What was read before an error comes before the error.
    """
    each = iter(records)
    items: Iterator[Record | Block] = each.items if isinstance(each, Records) else each
    names: list[str] = []
    sequences: list[str] = []
    size = 0
    failure: Exception | None = None
    while failure is None:
        try:
            item = next(items, None)
        except Exception as error:
            item, failure = None, error
        if isinstance(item, Record):
            names.append(item.name)
            sequences.append(item.sequence)
            size += len(item.sequence)
            if size < BLOCK_BASES and len(names) < BLOCK_RECORDS:
                continue
        if names:
            yield Block(names, sequences)
            names, sequences, size = [], [], 0
        if isinstance(item, Block):
            yield item
        elif item is None:
            break
    if failure is not None:
        raise failure


def _singly(items: Iterable[Record | Block]) -> Iterator[Record]:
    for item in items:
        if isinstance(item, Block):
            yield from item.records()
        else:
            yield item


def read_records(
    path: Path | str | BinaryIO,
    *,
    format: str | None = None,
    column: str | None = None,
    name_column: str | None = None,
    keep_case: bool = False,
    allow: str = "",
    skip_empty: bool = False,
    duplicates: str | None = None,
) -> Iterator[Record]:
    """The sequences of a file, or of stdin (``-``), streamed in order.

    ``format`` is fasta, fastq, table (CSV, TSV, Parquet) or lines (one bare sequence a line); without
    it the content tells: ``>`` is FASTA, ``@`` FASTQ, a Parquet file or a name in .csv or .tsv or a
    given ``column`` a table, bare letters are lines. Compression is told by content too.

    Rules, the same for all formats: IUPAC codes are kept; lower case, which marks repeats in
    soft-masked genomes, becomes upper case unless ``keep_case``; U becomes T; Windows line ends are
    taken. An empty record is an error that names it, or is left out with ``skip_empty``.
    ``duplicates``: two records of one name are an "error", get ``_2``, ``_3`` … ("suffix"), or may
    ("keep"). Without it they are an error in FASTA and named tables and may be elsewhere: the two
    mates of a read share their name. "keep" alone holds no names in memory.

    Raises SequenceError, with record, 1-based position and character where there are such.
    """
    return Records(
        _read(path, format, column, name_column, keep_case, allow, skip_empty, duplicates)
    )


def _read(
    path: Path | str | BinaryIO,
    format: str | None,
    column: str | None,
    name_column: str | None,
    keep_case: bool,
    allow: str,
    skip_empty: bool,
    duplicates: str | None,
) -> Iterator[Record | Block]:
    with opened(path) as source:
        found = format or _told(source, column)
        if found not in FORMATS:
            raise SequenceError(
                f"No format is called {found!r}.", hint=f"There are {', '.join(FORMATS)}."
            )
        items = _items(source, found, column, name_column, keep_case, allow)
        if duplicates is None:
            duplicates = "error" if found == "fasta" or name_column is not None else "keep"
        if duplicates != "keep":
            items = _named_apart(_singly(items), duplicates)
        items = _full(items, skip_empty)
        first = next(items, None)
        if first is None:
            raise SequenceError(f"{source.name} holds no sequence.")
        yield first
        yield from items


def _full(items: Iterable[Record | Block], skip_empty: bool) -> Iterator[Record | Block]:
    for item in items:
        if isinstance(item, Block) and "" not in item.sequences:
            yield item
            continue
        for record in item.records() if isinstance(item, Block) else (item,):
            if record.sequence:
                yield record
            elif not skip_empty:
                raise SequenceError(
                    f"Record {record.name} of {record.source} is empty.",
                    record=record.name,
                    hint="Leave such records out with skip_empty (--skip-empty).",
                )


def _items(
    source: Source,
    found: str,
    column: str | None,
    name_column: str | None,
    keep_case: bool,
    allow: str,
) -> Iterator[Record | Block]:
    if found == "table":
        return read_table(
            source, column=column, name_column=name_column, keep_case=keep_case, allow=allow
        )
    readers: dict[str, Callable[..., Iterator[Record | Block]]] = {
        "fasta": read_fasta,
        "fastq": read_fastq,
        "lines": read_lines,
    }
    return readers[found](source, keep_case=keep_case, allow=allow)


def read_lines(source: Source, *, keep_case: bool = False, allow: str = "") -> Iterator[Record]:
    """One bare sequence a line; a record's name is its line number. Blank lines are dropped."""
    source.refuse_binary("one sequence a line")
    index = 0
    for number, line in enumerate(_lines(source), 1):
        if not line:
            continue
        name = str(number)
        if is_plain(line):
            letters = line.decode("ascii")
        else:
            letters = normalised(
                line.decode("utf-8", "replace"), record=name, keep_case=keep_case, allow=allow
            )
        yield Record(name, letters, "", source.name, index)
        index += 1


def _lines(source: Source) -> Iterator[bytes]:
    """Lines without their ends; one of any length is joined once."""
    parts: list[bytes] = []
    for block in source.blocks():
        *whole, rest = block.split(b"\n")
        for line in whole:
            yield b"".join([*parts, line]).strip()
            parts = []
        parts.append(rest)
    yield b"".join(parts).strip()


def _told(source: Source, column: str | None) -> str:
    """The format, told by the content first and by the name where the content may be several."""
    head = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    suffixes = [each.lower() for each in Path(source.name).suffixes if each not in _COMPRESSED]
    suffix = suffixes[-1] if suffixes else ""
    if source.head.startswith(b"PAR1"):
        return "table"
    source.refuse_binary("a file of sequences")
    if head.startswith(b"##fileformat=VCF"):
        raise SequenceError(f"{source.name} is VCF, which holds variants, not sequences.")
    if head[:4] in (b"@HD\t", b"@SQ\t", b"@PG\t", b"@RG\t"):
        raise SequenceError(
            f"{source.name} is SAM, which holds aligned reads.",
            hint="`samtools fasta` turns it into FASTA.",
        )
    if head.startswith(b">"):
        return "fasta"
    if head.startswith(b"@"):
        return "fastq"
    if column is not None or suffix in _TABLES:
        return "table"
    if suffix in (".fa", ".fasta", ".fna", ".ffn", ".fas"):
        return "fasta"  # its reader says what is wrong with the first line
    if suffix in (".fq", ".fastq"):
        return "fastq"
    first = head.split(b"\n", 1)[0]
    if b"\t" in first or b"," in first:
        return "table"
    return "lines"


def _named_apart(records: Iterator[Record], rule: str) -> Iterator[Record]:
    if rule not in ("error", "suffix"):
        raise SequenceError(f"duplicates is error, suffix or keep, not {rule!r}.")
    seen: dict[str, int] = {}
    for record in records:
        times = seen.get(record.name, 0) + 1
        seen[record.name] = times
        if times == 1:
            yield record
        elif rule == "error":
            raise SequenceError(
                f"{record.source} has two records called {record.name}; the second is "
                f"record {record.index + 1:,}.",
                record=record.name,
                hint='Rename one, or say duplicates="suffix" or "keep" (--duplicates).',
            )
        else:
            apart = f"{record.name}_{times}"
            while apart in seen:
                times += 1
                apart = f"{record.name}_{times}"
            seen[record.name] = times
            seen[apart] = 1
            yield record._replace(name=apart)
