"""Rows in columns: what a task hands to a writer, a part at a time."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Column = Sequence[str] | NDArray[np.generic]


class Table:
    """Columns of equal length, by name: text (lists of str) and numpy arrays.

    A two-dimensional array is a vector column: (rows, width).
    """

    def __init__(self, columns: Mapping[str, Column]) -> None:
        self.columns = dict(columns)
        lengths = {len(column) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths: {sorted(lengths)}")
        self.length = lengths.pop() if lengths else 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    @property
    def vector_name(self) -> str | None:
        """The name of the vector column, if there is one."""
        for name, column in self.columns.items():
            if getattr(column, "ndim", 1) == 2:
                return name
        return None

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows as tuples of Python values."""
        return list(zip(*self.columns.values(), strict=True))


def write_part(path: Path, table: Table) -> None:
    """Write a table whole or not at all: text as JSON, arrays as ``.npy``, in one ``.npz``.

    The bytes depend on the content alone, so that a resumed run's parts equal an uninterrupted one's.
    """
    import numpy as np

    arrays: dict[str, Any] = {}
    for name, column in table.columns.items():
        if isinstance(column, np.ndarray):
            arrays[f"array:{name}"] = column
        else:
            text = json.dumps(list(column), ensure_ascii=False).encode()
            arrays[f"text:{name}"] = np.frombuffer(text, dtype=np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    temporary = path.with_suffix(".writing")
    temporary.write_bytes(buffer.getvalue())
    temporary.replace(path)


def read_part(path: Path | io.BytesIO) -> Table:
    """A table as ``write_part`` wrote it."""
    import numpy as np

    columns: dict[str, Any] = {}
    with np.load(path, allow_pickle=False) as archive:
        for key in archive.files:
            kind, _, name = key.partition(":")
            content = archive[key]
            columns[name] = content if kind == "array" else json.loads(content.tobytes())
    return Table(columns)
