"""bigWig through pyBigWig: one value a base, for genome browsers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write the ``value`` of [``start``, ``end``) on ``chrom``; rows must come in genome order.

    ``details["contigs"]``: (name, length) of every contig, in the genome's order.
    """
    import numpy as np
    import pyBigWig

    file = pyBigWig.open(str(path), "w")
    try:
        file.addHeader([(name, int(length)) for name, length in details["contigs"]])
        for table in tables:
            if not {"chrom", "start", "end", "value"} <= set(table.columns):
                raise OutputError(
                    "A bigWig holds one value a position; this output has none.",
                    hint="Use .tsv or .parquet.",
                )
            values = np.asarray(table["value"], dtype=np.float64)
            kept = np.isfinite(values)
            if kept.any():
                file.addEntries(
                    [chrom for chrom, keep in zip(table["chrom"], kept, strict=True) if keep],
                    np.asarray(table["start"])[kept].astype(int).tolist(),
                    ends=np.asarray(table["end"])[kept].astype(int).tolist(),
                    values=values[kept].tolist(),
                )
    finally:
        file.close()
