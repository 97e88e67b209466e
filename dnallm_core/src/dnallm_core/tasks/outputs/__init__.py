"""Output formats: a name's ending chooses the writer; each takes tables in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from ...errors import CapabilityError, OutputError
from ..table import Table

# ending -> (module, distributions that it needs)
FORMATS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    ".tsv": ("text", ()),
    ".tsv.gz": ("text", ()),
    ".csv": ("text", ()),
    ".csv.gz": ("text", ()),
    ".npy": ("arrays", ()),
    ".npz": ("arrays", ()),
    ".parquet": ("parquet", ("pyarrow",)),
    ".zarr": ("zarr_", ("zarr",)),
    ".h5ad": ("h5ad", ("anndata",)),
    ".bw": ("bigwig", ("pyBigWig",)),
    ".bigwig": ("bigwig", ("pyBigWig",)),
    ".fa": ("fasta", ()),
    ".fasta": ("fasta", ()),
}

PLACED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    **FORMATS,
    ".tsv.gz": ("indexed", ("pysam",)),
    ".vcf": ("vcf", ()),
    ".vcf.gz": ("vcf", ("pysam",)),
}
"""As FORMATS, for tasks whose rows each lie at a place of a genome: compressed ones have an index."""

INDEXES = (".tbi", ".csi")
"""What is put beside an output by which any stretch of it is found."""

Writer = Callable[[Path, Iterable[Table], Mapping[str, Any]], None]


def writer_for(
    path: Path,
    allowed: Iterable[str] | None = None,
    formats: Mapping[str, tuple[str, tuple[str, ...]]] = FORMATS,
) -> Writer:
    """The ``write(scratch path, tables, details)`` of a path's ending.

    Raises OutputError for an ending that is none, or none of ``allowed``; CapabilityError where a
    library is missing, before any work is done.
    """
    ending = ending_of(path)
    endings = list(allowed if allowed is not None else formats)
    if ending not in endings:
        raise OutputError(
            f"{path.name}: its ending names no format for this.",
            hint=f"Use one of {', '.join(endings)}.",
        )
    module, needed = formats[ending]
    for distribution in needed:
        try:
            import_module(distribution)
        except ImportError:
            raise CapabilityError(
                f"Writing {ending} needs {distribution}, which is not installed.",
                hint='pip install "dnallm-core[files]"',
            ) from None
    write: Writer = import_module(f"{__name__}.{module}").write
    return write


def ending_of(path: Path) -> str:
    """The ending that chooses the format: the longest that is known."""
    name = path.name.lower()
    known = [ending for ending in PLACED if name.endswith(ending)]
    return max(known, key=len, default=path.suffix.lower())
