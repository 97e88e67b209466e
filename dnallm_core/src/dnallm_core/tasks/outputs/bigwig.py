"""bigWig through pyBigWig: one value a base, for genome browsers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...errors import OutputError
from ..table import Table


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write the ``value`` of [``start``, ``end``) on ``chrom``; rows must come in genome order.

    Of rows with a ``pos`` and an ``effect`` towards each alternative, the mean at each position.
    ``details["contigs"]``: (name, length) of every contig, in the genome's order.
    """
    import numpy as np
    import pyBigWig

    file = pyBigWig.open(str(path), "w")
    try:
        file.addHeader([(name, int(length)) for name, length in details["contigs"]])
        for given in tables:
            table = _by_position(given) if {"pos", "effect"} <= set(given.columns) else given
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


def _by_position(table: Table) -> Table:
    """One row a base, with the mean of its rows, which stand together."""
    import numpy as np

    chrom, position = np.array(table["chrom"]), np.asarray(table["pos"])
    new = np.ones(len(table), dtype=bool)
    new[1:] = (position[1:] != position[:-1]) | (chrom[1:] != chrom[:-1])
    first = np.flatnonzero(new)
    counts = np.diff(np.append(first, len(table)))
    effect = np.asarray(table["effect"], dtype=np.float64)
    start = position[first] - 1
    return Table(
        {
            "chrom": chrom[first].tolist(), "start": start, "end": start + 1,
            "value": (np.add.reduceat(effect, first) / counts) if len(first) else effect,
        }
    )  # fmt: skip
