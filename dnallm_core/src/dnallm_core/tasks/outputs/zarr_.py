"""Zarr for embeddings of genome size: an array a column, appended a part at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write a group with one array a column."""
    import numpy as np
    import zarr

    group = zarr.open_group(str(path), mode="w", attributes={"dnallm": details["settings"]})
    for table in tables:
        for name, column in table.columns.items():
            text = not isinstance(column, np.ndarray)
            array = np.array(column, dtype=object) if text else np.asarray(column)
            if name not in group:
                chunks = (min(max(len(array), 1), 4096), *array.shape[1:])
                group.create_array(
                    name,
                    shape=(0, *array.shape[1:]),
                    dtype=str if text else array.dtype,
                    chunks=chunks,
                )
            group[name].append(array)
