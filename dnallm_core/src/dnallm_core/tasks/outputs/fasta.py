"""FASTA of generated sequences: what is known of each stands behind its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..table import Table

LINE = 80


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write ``name`` and ``sequence``; the other columns become ``key=value`` in the title."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for table in tables:
            for row in table.rows():
                values = dict(zip(table.columns, row, strict=True))
                name, sequence = values.pop("name"), values.pop("sequence")
                notes = " ".join(f"{key}={_short(value)}" for key, value in values.items())
                file.write(f">{name} {notes}".rstrip() + "\n")
                for at in range(0, len(sequence), LINE):
                    file.write(sequence[at : at + LINE] + "\n")


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) or hasattr(value, "dtype") else str(value)
