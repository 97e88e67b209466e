"""NumPy: ``.npy`` holds the vectors alone, ``.npz`` every column by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write the tables end to end."""
    import numpy as np

    if str(details["name"]).lower().endswith(".npy"):
        _write_vectors(path, tables)
        return
    gathered: dict[str, list[Any]] = {}
    for table in tables:
        for name, column in table.columns.items():
            gathered.setdefault(name, []).append(np.asarray(column))
    with path.open("wb") as file:
        whole: dict[str, Any] = {key: np.concatenate(parts) for key, parts in gathered.items()}
        np.savez(file, **whole)


def _write_vectors(path: Path, tables: Iterable[Table]) -> None:
    """Stream the vector column: the header is written last, when the number of rows is known."""
    import numpy as np

    rows, width = 0, None
    with path.open("wb") as file:
        header_size = 128
        file.write(b" " * header_size)
        for table in tables:
            name = table.vector_name
            if name is None:
                raise OutputError(
                    "This output has no vectors, which are all that .npy can hold.",
                    hint="Use .tsv, .npz or .parquet.",
                )
            vectors = np.ascontiguousarray(table[name], dtype="<f4")
            rows, width = rows + vectors.shape[0], vectors.shape[1]
            file.write(vectors.tobytes())
        facts = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width or 0}), }}"
        padding = header_size - 10 - len(facts) - 1
        header = b"\x93NUMPY\x01\x00" + (header_size - 10).to_bytes(2, "little")
        file.seek(0)
        file.write(header + facts.encode() + b" " * padding + b"\n")
