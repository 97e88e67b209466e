"""Holding variants to a genome: is its base there the one that they say it is?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice

from ...errors import SequenceError
from .genome import Genome
from .record import Variant

ANOTHER_BUILD = 0.1
"""The share of disagreeing variants above which they are likely those of another assembly."""


class ReferenceCheck:
    """Compares REF with the genome, counts, and says so; a disagreement stops or is reported.

    ``on_mismatch``: "error" raises SequenceError at the first disagreement, having looked at a hundred
    more to say whether it looks like another assembly; "report" lets it through as unscorable.
    """

    def __init__(self, genome: Genome, *, on_mismatch: str = "error") -> None:
        if on_mismatch not in ("error", "report"):
            raise ValueError(f"on_mismatch is error or report, not {on_mismatch!r}")
        self.genome = genome
        self.on_mismatch = on_mismatch
        self.compared = 0
        self.mismatched = 0

    def apply(self, variants: Iterable[Variant]) -> Iterator[Variant]:
        """The variants, those that disagree with the genome stopped at or marked."""
        rest = iter(variants)
        for variant in rest:
            why = self._why(variant)
            if why and self.on_mismatch == "error":
                for each in islice(rest, 100):
                    self._why(each)
                raise SequenceError(
                    f"Variant {variant.label} (record {variant.record:,}): {why}.",
                    record=str(variant.record),
                    position=variant.pos,
                    hint=self.sentence() or "Mark such variants instead with on_mismatch report.",
                )
            yield replace(variant, unscorable=why) if why and not variant.unscorable else variant

    def sentence(self) -> str:
        """What the counts say where they say anything: the share, and what may be the cause."""
        if not self.mismatched or self.mismatched <= ANOTHER_BUILD * self.compared:
            return ""
        return (
            f"{self.mismatched:,} of {self.compared:,} variants disagree with {self.genome.path.name}: "
            "are they those of another build (assembly)?"
        )

    def _why(self, variant: Variant) -> str:
        """Why a variant does not fit the genome, or ""; contigs that aren't there included."""
        if not variant.ref or variant.pos < 1:
            return variant.unscorable
        try:
            contig = self.genome.contig(variant.chrom)
        except SequenceError as error:
            if self.on_mismatch == "error":
                raise
            return error.sentence.rstrip(".")
        start = variant.pos - 1
        end = start + len(variant.ref)
        length = self.genome.lengths[contig]
        self.compared += 1
        if end > length:
            self.mismatched += 1
            return f"it ends at {end:,}, and {contig} has {length:,} bp"
        found = self.genome.fetch(variant.chrom, start, end).upper()
        if found == variant.ref or "N" in variant.ref:
            return ""
        self.mismatched += 1
        shown = found if len(found) <= 20 else f"{found[:20]}…"
        return f"its REF is {variant.ref[:20]}, and the genome has {shown} there"
