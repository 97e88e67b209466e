"""TSV and CSV: one row a line; a vector column becomes one column a dimension."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..table import Table

ROWS = 1024  # rows that are turned into text together


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write the tables below one header. Floats with 7 significant digits (float32's worth)."""
    name = str(details["name"]).lower()
    delimiter = "," if ".csv" in name else "\t"
    with _opened(path, compressed=name.endswith(".gz")) as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        header_written = False
        for table in tables:
            if not header_written:
                writer.writerow(header_of(table))
                header_written = True
            writer.writerows(_rows(table))


def header_of(table: Table) -> list[str]:
    """The names of the columns, one a dimension of a vector."""
    names: list[str] = []
    for name, column in table.columns.items():
        width = column.shape[1] if getattr(column, "ndim", 1) == 2 else None  # type: ignore[union-attr]
        names += [name] if width is None else [f"{name}_{i}" for i in range(width)]
    return names


def lines_of(table: Table, delimiter: str) -> list[str]:
    """The rows as lines without their ends."""
    buffer = io.StringIO()
    rows = ([each.replace("\n", " ") for each in row] for row in _rows(table))
    csv.writer(buffer, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return buffer.getvalue().split("\n")[:-1]


def _opened(path: Path, *, compressed: bool) -> IO[str]:
    if not compressed:
        return path.open("w", encoding="utf-8", newline="")
    # no name and no time in the header: the same rows are the same bytes
    raw = gzip.GzipFile(filename="", mode="wb", fileobj=path.open("wb"), mtime=0)
    return io.TextIOWrapper(raw, encoding="utf-8", newline="")


def _rows(table: Table) -> Iterator[tuple[str, ...]]:
    for at in range(0, len(table), ROWS):
        cells: list[list[str]] = []
        for whole in table.columns.values():
            column = whole[at : at + ROWS]
            if getattr(column, "ndim", 1) == 2:
                cells += [_cells(each) for each in column.T]  # type: ignore[union-attr]
            else:
                cells.append(_cells(column))
        yield from zip(*cells, strict=True)


def _cells(column: Any) -> list[str]:
    """A column as text; a number that is not there is empty."""
    values = column.tolist() if hasattr(column, "tolist") else column
    if values and isinstance(values[0], float):
        return ["" if each != each else f"{each:.7g}" for each in values]
    return [each if isinstance(each, str) else str(each) for each in values]
