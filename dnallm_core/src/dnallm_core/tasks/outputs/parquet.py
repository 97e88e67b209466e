"""Parquet through pyarrow: a vector column is a fixed-size list of float32."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write one row group a table; the run's settings stand in the file's metadata."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    try:
        for table in tables:
            columns = {}
            for name, column in table.columns.items():
                if getattr(column, "ndim", 1) == 2:
                    array = np.asarray(column)
                    flat = pa.array(array.reshape(-1))
                    columns[name] = pa.FixedSizeListArray.from_arrays(flat, array.shape[1])
                else:
                    columns[name] = pa.array(column)
            arrow = pa.table(columns)
            if writer is None:
                note = {b"dnallm": json.dumps(details["settings"], sort_keys=True).encode()}
                writer = pq.ParquetWriter(path, arrow.schema.with_metadata(note))
            writer.write_table(arrow)
    finally:
        if writer is not None:
            writer.close()
