"""TSV and CSV: one row a line; a vector column becomes one column a dimension."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write the tables below one header. Floats with 7 significant digits (float32's worth)."""
    name = str(details["name"]).lower()
    delimiter = "," if ".csv" in name else "\t"
    with _opened(path, compressed=name.endswith(".gz")) as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator="\n")
        header_written = False
        for table in tables:
            if not header_written:
                writer.writerow(_header(table))
                header_written = True
            writer.writerows(_rows(table))


def _opened(path: Path, *, compressed: bool) -> IO[str]:
    if not compressed:
        return path.open("w", encoding="utf-8", newline="")
    # no name and no time in the header: the same rows are the same bytes
    raw = gzip.GzipFile(filename="", mode="wb", fileobj=path.open("wb"), mtime=0)
    return io.TextIOWrapper(raw, encoding="utf-8", newline="")


def _header(table: Table) -> list[str]:
    names: list[str] = []
    for name, column in table.columns.items():
        width = column.shape[1] if getattr(column, "ndim", 1) == 2 else None  # type: ignore[union-attr]
        names += [name] if width is None else [f"{name}_{i}" for i in range(width)]
    return names


def _rows(table: Table) -> Iterator[list[str]]:
    for row in table.rows():
        cells: list[str] = []
        for value in row:
            cells += (
                [_cell(each) for each in value]
                if hasattr(value, "__len__") and not (isinstance(value, str))
                else [_cell(value)]
            )
        yield cells


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, float):
        return "" if number != number else f"{number:.7g}"
    return str(number)
