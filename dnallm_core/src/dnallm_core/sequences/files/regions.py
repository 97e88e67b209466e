"""BED and GFF: stretches of a genome, and the sequences that lie there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from ...errors import SequenceError
from ..alphabet import reverse_complement
from .genome import Genome
from .opening import opened, reading
from .record import Record, Region


def read_regions(path: Path | str | BinaryIO, *, feature: str | None = None) -> Iterator[Region]:
    """The regions of a BED file (0-based, half open) or a GFF or GTF file (1-based, both included).

    The content tells which: GFF has numbers in columns 4 and 5. ``feature`` keeps the rows of that
    type (column 3 of GFF: gene, exon …). Comments, ``track`` and ``browser`` lines are passed over;
    what follows ``##FASTA`` in GFF is not read.

    Raises SequenceError, with the line, for what is neither, and for a region that ends before it
    starts.
    """
    with opened(path) as source, reading(source.name):
        source.refuse_binary("BED or GFF")
        for number, line in enumerate(source.text(), 1):
            text = line.rstrip("\r\n")
            if text.startswith("##FASTA"):
                return
            if not text.strip() or text.startswith(("#", "track", "browser")):
                continue
            fields = text.split("\t")
            where = f"{source.name}: line {number:,}"
            if len(fields) < 3:
                raise SequenceError(
                    f"{where} has {len(fields)} columns; BED has three at least, divided by tabs.",
                    position=number,
                )
            if len(fields) >= 8 and not fields[1].isdigit() and fields[3].isdigit():
                if feature is not None and fields[2] != feature:
                    continue
                region = _of_gff(fields, where, number)
            else:
                region = _of_bed(fields, where, number)
            if region.start < 0 or region.end < region.start:
                raise SequenceError(
                    f"{where}: {region.contig} from {region.start:,} to {region.end:,} "
                    "ends before it starts.",
                    position=number,
                )
            yield region


def region_records(
    regions: Iterable[Region], genome: Genome, *, flank: int = 0
) -> Iterator[Record]:
    """The sequence of each region, on its own strand: reverse complement on "-".

    ``flank``: so many bp more on both sides, fewer at a contig's end.
    """
    for index, region in enumerate(regions):
        contig = genome.contig(region.contig)
        length = genome.lengths[contig]
        if region.end > length:
            raise SequenceError(
                f"Region {region.label} ends at {region.end:,}, and {contig} has {length:,} bp.",
                record=region.label,
                position=region.end,
                hint="Are the regions those of another assembly?",
            )
        start, end = max(0, region.start - flank), min(length, region.end + flank)
        sequence = genome.fetch(region.contig, start, end)
        if region.strand == "-":
            sequence = reverse_complement(sequence)
        place = f"{contig}:{start + 1}-{end}({region.strand})"
        yield Record(region.label, sequence, place, str(genome.path), index)


def _of_bed(fields: list[str], where: str, number: int) -> Region:
    start, end = _number(fields[1], where, number), _number(fields[2], where, number)
    name = fields[3] if len(fields) > 3 and fields[3] != "." else ""
    strand = fields[5] if len(fields) > 5 and fields[5] in "+-" else "."
    return Region(fields[0], start, end, name, strand or ".")


def _of_gff(fields: list[str], where: str, number: int) -> Region:
    start, end = _number(fields[3], where, number) - 1, _number(fields[4], where, number)
    strand = fields[6] if fields[6] in ("+", "-") else "."
    return Region(fields[0], start, end, _gff_name(fields[8] if len(fields) > 8 else ""), strand)


def _gff_name(attributes: str) -> str:
    """GFF3's ``ID=x;Name=y`` or GTF's ``transcript_id "x"; gene_id "y"``."""
    found: dict[str, str] = {}
    for part in attributes.split(";"):
        key, mark, value = part.strip().partition("=")
        if not mark:
            key, _, value = part.strip().partition(" ")
        if key:
            found.setdefault(key, unquote(value.strip().strip('"')))
    for key in ("ID", "Name", "transcript_id", "gene_id"):
        if found.get(key):
            return found[key]
    return ""


def _number(text: str, where: str, number: int) -> int:
    try:
        return int(text)
    except ValueError:
        raise SequenceError(
            f"{where}: {text!r} is no position.",
            position=number,
            hint="BED is contig, start and end, divided by tabs; a header line begins with #.",
        ) from None
