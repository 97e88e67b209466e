"""What the command prints: data to stdout, talk to stderr, one versioned envelope for ``--json``."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

SCHEMA = 1


def print_json(content: dict[str, Any]) -> None:
    """Print ``content`` inside the envelope that every ``--json`` shares."""
    sys.stdout.write(json.dumps({"schema": SCHEMA, **content}, ensure_ascii=False) + "\n")


def say(text: str) -> None:
    """Tell the user something that is not data."""
    sys.stderr.write(text + "\n")


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns; on a terminal the last one is cut to the width."""
    body = [list(map(str, row)) for row in rows]
    widths = [
        max([len(header[i]), *(len(row[i]) for row in body)], default=0) for i in range(len(header))
    ]
    limit = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for row in [list(header), *body]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        line = "  ".join(cells).rstrip()
        sys.stdout.write((line[: limit - 1] + "…" if limit and len(line) > limit else line) + "\n")


def bp(length: int | None) -> str:
    """A length as people read it: ``131,072 bp``."""
    return "unknown" if length is None else f"{length:,} bp"


def size(count: int | None) -> str:
    """A number of bytes in decimal units."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} TB"


def count(number: int | None) -> str:
    """A number of parameters: ``7.7 M``."""
    if number is None:
        return "unknown"
    for limit, unit in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.1f} {unit}"
    return str(number)
