"""What tasks over a genome share: its contigs, its facts for the record, the window's limits."""

from __future__ import annotations

from typing import Any

from ..errors import RequirementError
from ..models import Model
from ..models.contig import Contig
from ..models.variants import window_size
from ..sequences.files import Genome
from .run import file_digest


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


def check_window(model: Model, window: int | None) -> None:
    """Raise RequirementError where a window is longer than the model takes."""
    facts = model.manifest
    size = window_size(model, window)
    if facts.length_limit == "hard" and facts.max_length and size > facts.max_length:
        raise RequirementError(
            f"A window of {size:,} bp is longer than {facts.id} takes ({facts.max_length:,} bp).",
            requirement="window",
        )
