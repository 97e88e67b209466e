"""CSV, TSV and Parquet: rows by column name, sequences from one column."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from ...errors import SequenceError, did_you_mean, nearest
from ..alphabet import normalised
from .opening import EXTRA, Source, opened, reading
from .record import Record

_SEQUENCE_NAMES = ("sequence", "seq", "dna", "text")
_NAME_NAMES = ("name", "id", "record", "seq_id", "sequence_id")


def read_rows(path: Path | str | BinaryIO, columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The rows of a CSV, TSV or Parquet file, a dict each, streamed.

    The separator is the one that the first line has most of: tab, comma or semicolon. ``columns``
    must be there. Values of CSV and TSV are text.

    Raises SequenceError for a missing column (naming the nearest), and a row of another width.
    """
    with opened(path) as source:
        yield from rows_of(source, columns)


def rows_of(source: Source, columns: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """As ``read_rows``, of an open file."""
    rows = _parquet_rows if source.head.startswith(b"PAR1") else _text_rows
    yield from rows(source, columns)


def read_table(
    source: Source,
    *,
    column: str | None = None,
    name_column: str | None = None,
    keep_case: bool = False,
    allow: str = "",
) -> Iterator[Record]:
    """The sequences of one column of a table, with the other columns as ``fields``.

    Without ``column``: the one called sequence, seq, dna or text, or the only one there is. Names
    come from ``name_column``, or one called name or id, or are row numbers (from 1).
    """
    chosen = column
    named = name_column
    wanted = [each for each in (column, name_column) if each is not None]
    for index, row in enumerate(rows_of(source, wanted)):
        if chosen is None:
            chosen = _guessed(list(row), source.name)
        if index == 0 and named is None:
            lowered = {each.lower(): each for each in reversed(list(row)) if each != chosen}
            named = next((lowered[each] for each in _NAME_NAMES if each in lowered), None)
        name = str(row[named]) if named is not None else str(index + 1)
        fields = {key: value for key, value in row.items() if key != chosen}
        value = row[chosen]
        letters = normalised(
            "" if value is None else str(value), record=name, keep_case=keep_case, allow=allow
        )
        yield Record(name, letters, "", source.name, index, fields)


def missing_column(name: str, column: str, columns: Sequence[str]) -> SequenceError:
    """The error for a column that isn't there."""
    hint = did_you_mean(nearest(column, columns)) or f"Its columns are {', '.join(columns)}."
    return SequenceError(f"{name} has no column {column!r}.", hint=hint)


def separator(line: str) -> str:
    """The separator that a line has most of; a comma where it has none."""
    return max("\t,;", key=lambda each: (line.count(each), each == ","))


def _text_rows(source: Source, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    source.refuse_binary("a table")
    with reading(source.name):
        text = source.text()
        first = source.head.decode("utf-8", "replace").splitlines()[:1] or [""]
        csv.field_size_limit(2**31 - 1)  # the module's default cuts sequences off at 131,072
        lines = csv.reader(text, delimiter=separator(first[0]))
        header = [each.strip() for each in next(lines, [])]
        for column in columns:
            if column not in header:
                raise missing_column(source.name, column, header)
        if len(set(header)) < len(header):
            twice = next(each for each in header if header.count(each) > 1)
            raise SequenceError(f"{source.name} has two columns called {twice!r}.")
        for row in lines:
            if not row:
                continue
            if len(row) != len(header):
                raise SequenceError(
                    f"{source.name}: line {lines.line_num:,} has {len(row)} fields, "
                    f"and the header {len(header)}.",
                    position=lines.line_num,
                )
            yield dict(zip(header, row, strict=True))


def _parquet_rows(source: Source, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise SequenceError(
            f"{source.name} is a Parquet file, and what reads those isn't installed.",
            hint=f"Install it: {EXTRA}.",
        ) from None
    if not source.stream.seekable():
        raise SequenceError(f"{source.name} is Parquet, which cannot be read from a pipe.")
    try:
        file = parquet.ParquetFile(source.stream)
    except Exception as error:  # pyarrow's own classes, known only where it is installed
        raise SequenceError(f"{source.name} is damaged: {error}.") from error
    for column in columns:
        if column not in file.schema_arrow.names:
            raise missing_column(source.name, column, file.schema_arrow.names)
    for batch in file.iter_batches(batch_size=1024):
        yield from batch.to_pylist()


def _guessed(columns: list[str], name: str) -> str:
    lowered = {each.lower(): each for each in reversed(columns)}
    for each in _SEQUENCE_NAMES:
        if each in lowered:
            return lowered[each]
    if len(columns) == 1:
        return columns[0]
    raise SequenceError(
        f"{name} has no column called sequence: its columns are {', '.join(columns)}.",
        hint="Say which one holds the sequences.",
    )
