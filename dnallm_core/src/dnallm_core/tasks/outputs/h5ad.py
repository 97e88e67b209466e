"""AnnData: vectors are ``X``, every other column is in ``obs``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write one ``.h5ad``; it is held in memory once, as its format wants."""
    import anndata
    import numpy as np
    import pandas as pd

    vectors: list[Any] = []
    columns: dict[str, list[Any]] = {}
    for table in tables:
        name = table.vector_name
        if name is None:
            raise OutputError("This output has no vectors to be X.", hint="Use .tsv or .parquet.")
        vectors.append(np.asarray(table[name], dtype=np.float32))
        for other, column in table.columns.items():
            if other != name:
                columns.setdefault(other, []).extend(np.asarray(column).tolist())
    matrix = np.concatenate(vectors) if vectors else np.empty((0, 0), dtype=np.float32)
    index = [str(number) for number in range(len(matrix))]
    data = anndata.AnnData(X=matrix, obs=pd.DataFrame(columns, index=index))
    data.uns["dnallm"] = json.dumps(details["settings"], sort_keys=True)
    data.write_h5ad(path)
