"""What the windows of causal models cost in quality: on a grid, or with the variant in the middle.

    python benchmarks/causal_windows.py [--genes 40] [--each 12] [--window 1024] [--genome FASTA]

In predicted genes of the bundled causal model's held-out region so many stop-gaining and so many
synonymous substitutions are drawn (a seed), and the same ones are scored in windows of both kinds, both
strands averaged. The AUROC is taken gene by gene (1: every stop-gaining one below every synonymous one)
and averaged; intervals are by resampling genes, the difference's too.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dnallm_core.models.contig import Contig
from dnallm_core.models.variant_windows import placed_variants
from dnallm_core.models.variants import placed_effects
from dnallm_core.pretraining.bases import reverse_complement, split_genome

import dnallm_core

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from stop_gain import CODE, Gene, held_out_genes  # noqa: E402

GENOME = ROOT.parent / "shared/data/ecoli_536.fa.gz"
GENES = ROOT / "docs/demo/data/ecoli_536_genes.tsv.gz"
Listed = list[tuple[int, str, str]]


def drawn(bases: np.ndarray, gene: Gene, each: int, seed: int) -> tuple[Listed, Listed]:
    """Stop-gaining and synonymous substitutions of a gene, on the genome's forward strand."""
    coding = bases[gene.start : gene.end]
    if not gene.forward:
        coding = reverse_complement(coding)
    stops: Listed = []
    same: Listed = []
    for at in range(3, len(coding) - 3):
        codon = coding[at - at % 3 : at - at % 3 + 3].astype(int)
        if (codon > 3).any():
            continue
        before = CODE[int(codon @ (16, 4, 1))]
        place = gene.start + at if gene.forward else gene.end - 1 - at
        for base in range(4):
            if base == coding[at]:
                continue
            changed = codon.copy()
            changed[at % 3] = base
            after = CODE[int(changed @ (16, 4, 1))]
            letters = (int(coding[at]), base) if gene.forward else (3 - int(coding[at]), 3 - base)
            variant = (place + 1, "ACGT"[letters[0]], "ACGT"[letters[1]])
            if after == "*" and before != "*":
                stops.append(variant)
            elif after == before:
                same.append(variant)
    draw = np.random.default_rng(seed)

    def some(found: Listed) -> Listed:
        return [found[at] for at in sorted(draw.permutation(len(found))[:each])]

    return some(stops), some(same)


def effects(model: Any, contig: Contig, variants: Listed, size: int, grid: bool) -> np.ndarray:
    placed = [
        one
        for reverse in (False, True)
        for one in placed_variants(contig, variants, size, causal=grid, reverse=reverse)
    ]
    return np.asarray(placed_effects(model, placed)).reshape(2, -1).mean(0)


def auroc(low: np.ndarray, high: np.ndarray) -> float:
    """The share of pairs in which the first is the lesser; ties count half."""
    apart = low[:, None] - high[None]
    return float((apart < 0).mean() + (apart == 0).mean() / 2)


def main() -> None:
    """Score the same substitutions in both kinds of windows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--genes", type=int, default=40)
    parser.add_argument("--each", type=int, default=12, help="substitutions of a kind in a gene")
    parser.add_argument("--window", type=int, default=1024)
    parser.add_argument("--genome", type=Path, default=GENOME)
    parser.add_argument("--model", default="mamba-ecoli-tiny")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = dnallm_core.load(options.model, device="cpu")
    genome = split_genome(options.genome, options.window)
    bases = np.concatenate([genome.training, genome.held_out])
    text = np.frombuffer(b"ACGTN", np.uint8)[bases].tobytes().decode()
    contig = Contig.of(text)
    genes = held_out_genes(GENES, genome, options.genes)
    kinds = (("grid", True), ("centred", False))
    found: dict[str, list[float]] = {name: [] for name, _ in kinds}
    spent = dict.fromkeys(found, 0.0)
    values: dict[str, list[np.ndarray]] = {name: [] for name in found}
    for number, gene in enumerate(genes):
        stops, same = drawn(bases, gene, options.each, number)
        for name, grid in kinds:
            began = time.process_time()
            scored = effects(model, contig, stops + same, options.window, grid)
            spent[name] += time.process_time() - began
            values[name].append(scored)
            found[name].append(auroc(scored[: len(stops)], scored[len(stops) :]))
        if number % 10 == 9:
            print(number + 1, {name: round(float(np.mean(x)), 4) for name, x in found.items()})
            sys.stdout.flush()
    rows = np.random.default_rng(1).integers(0, len(genes), (2_000, len(genes)))
    grid, centred = (np.array(found[name]) for name, _ in kinds)
    for name, each in (("grid", grid), ("centred", centred), ("grid - centred", grid - centred)):
        low, high = np.percentile(each[rows].mean(1), [2.5, 97.5])
        print(f"{name}: {each.mean():.4f}, 95 % interval {low:.4f} to {high:.4f}")
    both = [np.concatenate(values[name]) for name, _ in kinds]
    print(
        f"{len(genes)} genes, {len(both[0]):,} substitutions; the two kinds of windows correlate by "
        f"{np.corrcoef(*both)[0, 1]:.4f}; processor time "
        + ", ".join(f"{name} {x:.0f} s" for name, x in spent.items())
    )


if __name__ == "__main__":
    main()
