"""Whole-genome alignments seen from one genome: MAF, the published Zarr layout, aligned FASTA.

``open_alignment(path)`` tells the format by the file; ``alignment.fetch(contig, start, end)`` gives
one row a species, the reference genome's first, one letter for each of the reference's positions.
"""

from __future__ import annotations

from .alignment import Alignment, checked_reference
from .fasta import FastaAlignment
from .maf import MafAlignment
from .opening import open_alignment
from .zarr_layout import ZarrAlignment, write_zarr

__all__ = [
    "Alignment",
    "FastaAlignment",
    "MafAlignment",
    "ZarrAlignment",
    "checked_reference",
    "open_alignment",
    "write_zarr",
]
