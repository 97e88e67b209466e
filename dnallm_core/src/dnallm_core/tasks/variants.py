"""Score a file of variants over a genome."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..models import Model
from ..models.batching import TOKENS_A_BATCH
from ..models.likelihood import BASES
from ..models.variants import PlacedVariant, placed_effects, window_around, window_size
from ..sequences.files import Genome, ReferenceCheck, Variant
from .job import Job
from .memory import BatchLimit
from .pipeline import in_parts
from .table import Table

PART_VARIANTS = 1024
ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet", ".npz", ".vcf", ".vcf.gz")
Prepared = tuple[list[Variant], list[str], list[int], list[PlacedVariant]]


def score_variants(
    model: Model,
    variants: Iterable[Variant],
    genome: Genome,
    output: Path,
    *,
    source: Path | str = "-",
    window: int | None = None,
    both_strands: bool = True,
    on_mismatch: str = "error",
    batch_tokens: int = TOKENS_A_BATCH,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write one row an alternative allele, in the input's order.

    Columns: ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``, ``effect`` (nats, harmful is
    negative; empty where it could not be scored), ``reason`` (why not), ``record`` and ``allele``.
    Nothing is dropped. A ``.vcf`` output is the input's VCF with the effect in INFO.
    """
    check = ReferenceCheck(genome, on_mismatch=on_mismatch)
    limit = BatchLimit(batch_tokens)

    def prepare(part: list[Variant]) -> Prepared:
        reasons, rows, placed = [], [], []
        for row, variant in enumerate(part):
            reason = variant.unscorable
            if not reason:
                found = _placed(model, genome, variant, window)
                if isinstance(found, str):
                    reason = found
                else:
                    rows.append(row)
                    placed.append(found)
            reasons.append(reason)
        return part, reasons, rows, placed

    def compute(prepared: Prepared) -> Table:
        import numpy as np

        part, reasons, rows, placed = prepared
        effects = np.full(len(part), np.nan, dtype=np.float32)
        if placed:
            values = limit.attempt(lambda most: placed_effects(model, placed, tokens=most))
            if both_strands:
                other = [each.reversed() for each in placed]
                reverse = limit.attempt(lambda most: placed_effects(model, other, tokens=most))
                values = (values + reverse) / 2
            effects[rows] = values
        return Table(
            {
                "chrom": [each.chrom for each in part],
                "pos": np.array([each.pos for each in part], dtype=np.int64),
                "id": [each.id for each in part],
                "ref": [each.ref for each in part],
                "alt": [each.alt for each in part],
                "effect": effects,
                "reason": reasons,
                "record": np.array([each.record for each in part], dtype=np.int64),
                "allele": np.array(_alleles(part), dtype=np.int64),
            }
        )

    job = Job(
        "variants",
        model,
        source,
        output,
        {
            "genome": str(genome.path), "window": window, "both_strands": both_strands,
            "on_mismatch": on_mismatch, "batch_tokens": batch_tokens,
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
        details={"vcf": str(source)},
    )  # fmt: skip
    record = job.carry_out(
        lambda: _whole_records(check.apply(variants)),
        prepare=prepare,
        compute=compute,
        size=len,
    )
    record["warning"] = check.sentence()
    return record


def _whole_records(variants: Iterable[Variant]) -> Iterable[list[Variant]]:
    """Parts that never divide the alleles of one row, so that each knows its number."""
    held: list[Variant] = []
    for part in in_parts(variants, lambda _: 1, PART_VARIANTS):
        held += part
        last = held[-1].record
        cut = next((i for i, each in enumerate(held) if each.record == last), len(held))
        if cut:
            yield held[:cut]
            held = held[cut:]
    if held:
        yield held


def _alleles(part: list[Variant]) -> list[int]:
    numbers, before, number = [], None, 0
    for each in part:
        number = number + 1 if each.record == before else 0
        before = each.record
        numbers.append(number)
    return numbers


def _placed(
    model: Model, genome: Genome, variant: Variant, window: int | None
) -> PlacedVariant | str:
    """The variant in its window, or the reason why it has none."""
    if not set(variant.ref + variant.alt) <= set(BASES):
        return "an allele has a letter other than A, C, G and T"
    if variant.ref == variant.alt:
        return "its alleles are equal"
    contig = genome.contig(variant.chrom)
    length = genome.lengths[contig]
    size = window_size(model, window)
    at = variant.pos - 1
    start, end = window_around(at, variant.ref, variant.alt, size, length)
    if len(variant.alt) > size or len(variant.ref) > size:
        return f"an allele is longer than the window of {size:,} bp"
    text = genome.fetch(variant.chrom, start, end)
    return PlacedVariant(text, at - start, variant.ref, variant.alt)
