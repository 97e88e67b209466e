"""What tasks over a genome share: its contigs, its facts for the record, the window's limits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..errors import RequirementError
from ..models import Model
from ..models.contig import Contig
from ..models.variant_windows import window_size
from ..sequences.files import Genome, Region
from .run import content_digest, file_digest


def contig_of(genome: Genome, name: str) -> Contig:
    """A contig, by the genome's own name, for scores to read from."""
    return Contig(name, 0, genome.lengths[name], lambda low, high: genome.fetch(name, low, high))


def genome_settings(genome: Genome) -> dict[str, Any]:
    """What a run's record says of the genome."""
    return {
        "genome": str(genome.path),
        "genome_sha256": file_digest(genome.path),
        "contig_names": genome.contig_names,
    }


def alignment_settings(source: Path | str | None) -> dict[str, Any]:
    """What a run's record says of the alignment, where there is one: its path and its content."""
    if source is None:
        return {"alignment": None}
    return {"alignment": str(source), "alignment_sha256": content_digest(Path(source))}


def in_order(regions: Iterable[Region], genome: Genome) -> list[Region]:
    """The regions in the genome's order, those that overlap or touch made one."""
    rank = {name: number for number, name in enumerate(genome.lengths)}
    named = [replace(each, contig=genome.contig(each.contig)) for each in regions]
    joined: list[Region] = []
    for each in sorted(named, key=lambda region: (rank[region.contig], region.start, region.end)):
        last = joined[-1] if joined else None
        if last is not None and last.contig == each.contig and each.start <= last.end:
            joined[-1] = replace(last, end=max(last.end, each.end), name="")
        else:
            joined.append(each)
    return joined


def check_window(model: Model, window: int | None) -> None:
    """Raise RequirementError where a window is longer than the model takes."""
    facts = model.manifest
    size = window_size(model, window)
    if facts.length_limit == "hard" and facts.max_length and size > facts.max_length:
        raise RequirementError(
            f"A window of {size:,} bp is longer than {facts.id} takes ({facts.max_length:,} bp).",
            requirement="window",
        )
