"""BGZF with an index beside it, through pysam: rows of any stretch of a genome, without the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..table import Table
from .genome_order import Placed, in_genome_order
from .text import header_of, lines_of

LONGEST = 1 << 29  # bp of a contig that a .tbi can index; a .csi takes any
BLOCK = 4096  # lines that are written together


def write(path: Path, tables: Iterable[Table], details: Mapping[str, Any]) -> None:
    """Write a TSV whose columns ``chrom`` and ``pos`` (1-based) say where a row lies.

    Rows are in genome order; the first line names the columns, and the index passes over it.
    ``details["contigs"]``: (name, length) of every contig, in the genome's order.
    """
    header: list[str] = []
    contigs = details["contigs"]
    names, lines = in_genome_order(
        _placed(tables, header), [name for name, _ in contigs], path.parent
    )
    with BgzfText(path) as file:
        write_lines(file, ["\t".join(header)] if header else [])
        write_lines(file, lines)
    make_index(path, contigs, names, seq_col=0, start_col=1, end_col=1, line_skip=1)


def _placed(tables: Iterable[Table], header: list[str]) -> Iterator[Placed]:
    for table in tables:
        header[:] = header_of(table)
        places = [int(each) for each in table["pos"]]
        yield from zip(table["chrom"], places, lines_of(table, "\t"), strict=True)


class BgzfText:
    """Text into a BGZF file; the same text is the same bytes."""

    def __init__(self, path: Path) -> None:
        import pysam

        self._file = pysam.BGZFile(str(path), "wb")

    def __enter__(self) -> BgzfText:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, text: str) -> None:
        """Add text."""
        self._file.write(text.encode())


def write_lines(file: Any, lines: Iterable[str]) -> None:
    """Write lines, each with its end."""
    rest = iter(lines)
    while block := list(islice(rest, BLOCK)):
        block.append("")
        file.write("\n".join(block))


def make_index(
    path: Path, contigs: Sequence[tuple[str, int]], names: Sequence[str], **columns: Any
) -> None:
    """Put ``path`` + ``.tbi`` beside a BGZF file, or ``.csi`` where a contig is too long for that.

    ``names``: the contigs that occur; ``columns``: what pysam's ``tabix_index`` is told of the rows.
    """
    import pysam

    lengths = dict(contigs)
    long = max((lengths.get(name, 0) for name in names), default=0) >= LONGEST
    index = path.with_name(path.name + (".csi" if long else ".tbi"))
    named = path.with_name(path.name + ".gz")  # other names are compressed again
    path.rename(named)
    try:
        pysam.tabix_index(str(named), index=str(index), csi=long, force=True, **columns)
    finally:
        named.rename(path)
