"""What a file of sequences, regions or variants is made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple


class Record(NamedTuple):
    """One sequence: its name, the rest of its title, the file and its number in it (from 0).

    ``fields`` holds the other columns where the file is a table. A tuple, since millions of reads are
    made of it, and a dataclass takes three times as long.
    """

    name: str
    sequence: str
    description: str = ""
    source: str = ""
    index: int = 0  # type: ignore[assignment]  # instead of tuple's method
    fields: Mapping[str, Any] | None = None


class Block:
    """Consecutive records as columns: what a task needs of many short ones, at the least cost."""

    __slots__ = ("names", "sequences")

    def __init__(self, names: list[str], sequences: list[str]) -> None:
        self.names = names
        self.sequences = sequences

    def __len__(self) -> int:
        return len(self.sequences)

    def records(self) -> Iterable[Record]:
        """The same, one by one."""
        return map(Record, self.names, self.sequences)


@dataclass(frozen=True, slots=True)
class Region:
    """A stretch [start, end) of a contig, 0-based, on one strand ("+", "-", or "." for none)."""

    contig: str
    start: int
    end: int
    name: str = ""
    strand: str = "."

    @property
    def label(self) -> str:
        """The name, or ``contig:start-end`` as genome browsers write it (1-based, both included)."""
        return self.name or f"{self.contig}:{self.start + 1}-{self.end}"


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternative allele: ``pos`` is 1-based, as in VCF.

    ``unscorable`` says why no model can score it (a symbolic allele, a mismatch); "" where one can.
    ``record`` is its number in the file (from 1); the alleles of one row share it.
    """

    chrom: str
    pos: int
    ref: str
    alt: str
    id: str = ""
    unscorable: str = ""
    record: int = 0

    @property
    def label(self) -> str:
        """``chrom:pos:ref:alt``."""
        return f"{self.chrom}:{self.pos}:{self.ref}:{self.alt}"
