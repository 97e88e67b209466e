"""Which reader a path needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import SequenceError
from .alignment import Alignment
from .fasta import FastaAlignment
from .maf import MafAlignment
from .zarr_layout import ZarrAlignment

_FASTA = (".fa", ".fasta", ".fna", ".afa", ".aln")
_COMPRESSED = (".gz", ".bgz")


def open_alignment(
    path: Path | str,
    *,
    reference: str | None = None,
    species: Sequence[str] | None = None,
    contig: str | None = None,
) -> Alignment:
    """An alignment by its path: ``*.zarr`` (or ``.zarr.zip``), ``*.maf``, or aligned FASTA.

    ``reference``: the genome that positions count on; ``species``: the others, in the order wanted;
    ``contig``: what an aligned FASTA's reference is called in the genome.

    Raises SequenceError where there is no such file or it is of no known format.
    """
    place = Path(path)
    if not place.exists():
        raise SequenceError(f"There is no alignment at {place}.")
    suffixes = [each.lower() for each in place.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    last = suffixes[-1] if suffixes else ""
    if place.is_dir() or suffixes[-2:] == [".zarr", ".zip"]:
        return ZarrAlignment(place, reference=reference, species=species)
    if last == ".maf":
        return MafAlignment(place, reference=reference, species=species)
    if last in _FASTA:
        whole = FastaAlignment(place, reference=reference, contig=contig)
        return whole.select(species) if species else whole
    raise SequenceError(
        f"{place} is of no known alignment format.",
        hint="Known are *.zarr (and *.zarr.zip), *.maf (plain or bgzip) and aligned *.fa.",
    )
