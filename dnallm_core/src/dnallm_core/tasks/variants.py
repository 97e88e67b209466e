"""Score a file of variants over a genome."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..models import Model
from ..models.batching import TOKENS_A_BATCH
from ..models.contig import Contig
from ..models.embedding_distances import check_states
from ..models.placed_windows import fitting
from ..models.variant_windows import window_size
from ..models.variants import Effect, check_effect, contig_effects, why_not
from ..sequences.alignment import Alignment
from ..sequences.alphabet import BASES
from ..sequences.files import Genome, ReferenceCheck, Variant
from .genomes import alignment_settings, check_window, contig_of, genome_settings
from .job import Job
from .memory import BatchLimit
from .outputs import PLACED
from .pipeline import in_parts
from .table import Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

PART_VARIANTS = 1024
ENDINGS = (".tsv", ".tsv.gz", ".csv", ".csv.gz", ".parquet", ".npz", ".vcf", ".vcf.gz")
Prepared = tuple[list[Variant], list[str]]


def score_variants(
    model: Model,
    variants: Iterable[Variant],
    genome: Genome,
    output: Path,
    *,
    source: Path | str = "-",
    alignment: Alignment | None = None,
    alignment_source: str | None = None,
    window: int | None = None,
    both_strands: bool = True,
    effect: Effect = "likelihood",
    on_mismatch: str = "error",
    batch_tokens: int = TOKENS_A_BATCH,
    overwrite: bool = False,
    quiet: bool = False,
) -> dict[str, Any]:
    """Write one row an alternative allele, in the input's order.

    Columns: ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``, ``effect`` (nats, harmful is
    negative; empty where it could not be scored), ``reason`` (why not), ``record`` and ``allele``.
    Nothing is dropped. A ``.vcf`` output is the input's VCF with the effect in INFO; ``.vcf.gz`` and
    ``.tsv.gz`` are in genome order, with an index beside them. ``alignment``: for a model that reads
    one; ``alignment_source`` is the path that the record names. ``effect``: see
    ``models.variants.variant_effects``; a distance of embeddings is no number of nats.
    """
    fitting(model, alignment)
    check_window(model, window)
    check_effect(effect)
    if effect == "embedding-distance":
        check_states(model)
    checks = [ReferenceCheck(genome, on_mismatch=on_mismatch)]
    limit = BatchLimit(batch_tokens)

    def prepare(part: list[Variant]) -> Prepared:
        return part, [each.unscorable or _reason(model, each, window) for each in part]

    def score(contig: Contig, asked: list[tuple[int, str, str]], most: int) -> NDArray[Any]:
        return contig_effects(
            model,
            contig,
            asked,
            window=window,
            both_strands=both_strands,
            alignment=alignment,
            effect=effect,
            tokens=most,
        )

    def compute(prepared: Prepared) -> Table:
        import numpy as np

        part, reasons = prepared
        effects = np.full(len(part), np.nan, dtype=np.float32)
        for contig, rows in _by_contig(genome, part, reasons).items():
            asked = [(part[row].pos, part[row].ref, part[row].alt) for row in rows]
            effects[rows] = limit.attempt(partial(score, contig_of(genome, contig), asked))
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

    def parts() -> Iterable[list[Variant]]:
        checks.append(ReferenceCheck(genome, on_mismatch=on_mismatch))
        return _whole_records(checks[-1].apply(variants))

    job = Job(
        "variants",
        model,
        source,
        output,
        {
            **genome_settings(genome), **alignment_settings(alignment_source), "window": window,
            "both_strands": both_strands, "on_mismatch": on_mismatch, "batch_tokens": batch_tokens,
            "effect": effect,
        },
        overwrite=overwrite,
        quiet=quiet,
        endings=ENDINGS,
        formats=PLACED,
        details={"vcf": _absolute(source), "contigs": list(genome.lengths.items())},
    )  # fmt: skip
    return job.carry_out(
        parts,
        prepare=prepare,
        compute=compute,
        size=len,
        unit="variants",
        closing=lambda: checks[-1].sentence(),
    )


def _absolute(source: Path | str) -> str:
    """The input's path from anywhere: another process may write the output."""
    return str(Path(source).absolute()) if Path(source).is_file() else str(source)


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


def _by_contig(genome: Genome, part: list[Variant], reasons: list[str]) -> dict[str, list[int]]:
    """The rows that can be scored, by the genome's own name of their contig."""
    found: dict[str, list[int]] = {}
    for row, (variant, reason) in enumerate(zip(part, reasons, strict=True)):
        if not reason:
            found.setdefault(genome.contig(variant.chrom), []).append(row)
    return found


def _reason(model: Model, variant: Variant, window: int | None) -> str:
    """Why the model cannot score the variant, or ""."""
    if not set(variant.ref + variant.alt) <= set(BASES):
        return "an allele has a letter other than A, C, G and T"
    if variant.ref == variant.alt:
        return "its alleles are equal"
    size = window_size(model, window)
    if len(variant.alt) > size or len(variant.ref) > size:
        return f"an allele is longer than the window of {size:,} bp"
    return why_not(model, variant.ref, variant.alt)
