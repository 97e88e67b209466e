"""Every substitution of regions: what a saturation mutagenesis would measure, in silico."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..models import Model
from ..models.batching import TOKENS_A_BATCH
from ..models.likelihood import BASES
from ..models.variants import PlacedVariant, placed_effects, window_around, window_size
from ..sequences.files import Genome, Region
from .job import Job
from .memory import BatchLimit
from .pipeline import in_parts
from .table import Table

PART_POSITIONS = 1024
ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet", ".npz", ".zarr", ".bw", ".bigwig")
Place = tuple[str, int]  # contig, 0-based position


def scan_regions(
    model: Model,
    genome: Genome,
    regions: Iterable[Region],
    output: Path,
    *,
    window: int | None = None,
    both_strands: bool = True,
    batch_tokens: int = TOKENS_A_BATCH,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write three rows a base: ``chrom``, ``pos`` (1-based), ``ref``, ``alt``, ``effect`` (nats).

    A bigWig holds one value a base: the mean effect of its three substitutions. Bases other than A,
    C, G, T have no substitutions. The window of a base depends on its place in the genome alone.
    """
    listed = list(regions)
    limit = BatchLimit(batch_tokens)
    per_base = output.name.lower().endswith((".bw", ".bigwig"))

    def prepare(part: list[Place]) -> tuple[list[Place], list[PlacedVariant]]:
        placed = []
        for contig, at in part:
            length = genome.lengths[genome.contig(contig)]
            start, end = window_around(at, "N", "N", window_size(model, window), length)
            text = genome.fetch(contig, start, end)
            base = text[at - start]
            if base in BASES:
                placed += [
                    PlacedVariant(text, at - start, base, other) for other in BASES if other != base
                ]
        kept = [
            (contig, at) for contig, at in part if genome.fetch(contig, at, at + 1) in set(BASES)
        ]
        return kept, placed

    def compute(prepared: tuple[list[Place], list[PlacedVariant]]) -> Table:
        import numpy as np

        places, placed = prepared
        values = np.empty(0, dtype=np.float32)
        if placed:
            values = limit.attempt(lambda most: placed_effects(model, placed, tokens=most))
            if both_strands:
                other = [each.reversed() for each in placed]
                reverse = limit.attempt(lambda most: placed_effects(model, other, tokens=most))
                values = (values + reverse) / 2
        position = np.array([at for _, at in places], dtype=np.int64)
        if per_base:
            return Table(
                {
                    "chrom": [contig for contig, _ in places],
                    "start": position,
                    "end": position + 1,
                    "value": values.reshape(-1, 3).mean(axis=1).astype(np.float32),
                }
            )
        return Table(
            {
                "chrom": [contig for contig, _ in places for _ in range(3)],
                "pos": np.repeat(position + 1, 3),
                "ref": [each.ref for each in placed],
                "alt": [each.alt for each in placed],
                "effect": values.astype(np.float32),
            }
        )

    job = Job(
        "scan",
        model,
        genome.path,
        output,
        {
            "regions": [[each.contig, each.start, each.end] for each in listed],
            "window": window, "both_strands": both_strands, "batch_tokens": batch_tokens,
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
        details={"contigs": list(genome.lengths.items())},
    )  # fmt: skip
    places = ((each.contig, at) for each in listed for at in range(each.start, each.end))
    return job.carry_out(
        lambda: in_parts(places, lambda _: 1, PART_POSITIONS),
        prepare=prepare,
        compute=compute,
        size=len,
        total=sum(each.end - each.start for each in listed),
    )
