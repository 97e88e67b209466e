"""Does a masked model tell stop-gaining substitutions from synonymous ones in genes it never saw?

Genes are predictions (``call_genes.py``), wholly in the held-out region. Bases six apart are masked
together, as in training, in a window around the gene, on both strands; an effect is the
log-probability of the alternative less that of the reference's base. The AUROC is taken gene by gene
(0.5 is chance, 1 that every stop-gaining substitution is rated below every synonymous one), the mean's
interval by resampling genes. Tables of counted contexts are asked the same.
"""

from __future__ import annotations

import csv
import gzip
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from dnallm_core.models import Model
from dnallm_core.pretraining.bases import Bases, SplitGenome, reverse_complement
from dnallm_core.pretraining.contexts import TWO_SIDED, ContextCounts, context_numbers, count
from dnallm_core.pretraining.windows import Letters
from numpy.typing import NDArray

GENES = 40
SPACING = 6
NETWORK = "this network"
LENGTHS = (300, 900)  # bp: whole within a window, with room around
ORDER = "TCAG"
AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODE = {
    "ACGT".index(a) * 16 + "ACGT".index(b) * 4 + "ACGT".index(c): AMINO_ACIDS[16 * i + 4 * j + k]
    for i, a in enumerate(ORDER)
    for j, b in enumerate(ORDER)
    for k, c in enumerate(ORDER)
}


class Gene(NamedTuple):
    """A predicted gene, by its place in the genome, 0-based."""

    start: int
    end: int
    forward: bool


def held_out_genes(table: Path, genome: SplitGenome, number: int = GENES) -> list[Gene]:
    """Whole genes of the held-out region, of lengths that a window holds, evenly chosen."""
    text = gzip.decompress(table.read_bytes()).decode()
    rows = csv.DictReader(
        io.StringIO("\n".join(line for line in text.splitlines() if line[0] != "#")), delimiter="\t"
    )
    found = [
        Gene(int(row["start"]), int(row["end"]), row["strand"] == "+")
        for row in rows
        if row["partial"] == "0" and int(row["start"]) >= genome.edge + 512
    ]
    found = [
        gene
        for gene in found
        if LENGTHS[0] <= gene.end - gene.start <= LENGTHS[1] and gene.end < genome.length - 512
    ]
    return found[:: max(1, len(found) // number)][:number]


def stop_gain(model: Model, genome: SplitGenome, genes: list[Gene], window: int) -> dict[str, Any]:
    """AUROC of the model and of tables, with 95 % intervals."""
    letters = Letters.of(model)
    whole = np.concatenate([genome.training, genome.held_out])
    ladder = ContextCounts.of(genome.training, TWO_SIDED)
    counts = count(genome.training, 4, 4)
    share = counts.sum(0) / counts.sum()
    found: dict[str, list[float]] = {NETWORK: [], "4 + 4 neighbours": [], "interpolated": []}
    for gene in genes:
        start = (gene.start + gene.end) // 2 - window // 2
        bases = whole[start : start + window]
        number = context_numbers(bases, 4, 4)
        table = (counts[number] + 16 * share) / (counts[number].sum(1, keepdims=True) + 16)
        views = {
            NETWORK: _masked(model, letters, bases),
            "4 + 4 neighbours": np.log(table),
            "interpolated": np.log(ladder.expectation(bases, own=False)),
        }
        inside = slice(gene.start - start, gene.end - start)
        for name, logs in views.items():
            coding, own = logs[inside], bases[inside]
            if not gene.forward:
                coding, own = coding[::-1, ::-1], reverse_complement(own)
            found[name].append(_auroc(*_effects(coding, own)))
    make = np.random.default_rng(1)
    drawn = make.integers(0, len(genes), (2_000, len(genes)))
    rows: dict[str, dict[str, Any]] = {
        name: {
            "auroc": float(np.mean(each)),
            "interval": [
                float(x) for x in np.percentile(np.array(each)[drawn].mean(1), [2.5, 97.5])
            ],
        }
        for name, each in found.items()
    }
    best = max((name for name in rows if name != NETWORK), key=lambda name: rows[name]["auroc"])
    apart = np.array(found[NETWORK]) - np.array(found[best])
    margin = {
        "best": best,
        "auroc": float(apart.mean()),
        "interval": [float(x) for x in np.percentile(apart[drawn].mean(1), [2.5, 97.5])],
    }
    return {"genes": len(genes), "rows": rows, "margin": margin}


def _masked(model: Model, letters: Letters, bases: Bases) -> NDArray[np.float64]:
    """(length, 4) log-probabilities of the masked base: the mean of the strands' probabilities."""
    place = np.arange(len(bases))
    hidden = np.stack([place % SPACING == phase for phase in range(SPACING)])
    columns = letters.table[:4].tolist()
    views = []
    for turned in (False, True):
        row = reverse_complement(bases) if turned else bases
        masks = hidden[:, ::-1] if turned else hidden
        ids = letters.tokens(np.tile(row, (SPACING, 1)), masks)
        with torch.inference_mode():
            logits = model.module(input_ids=torch.from_numpy(ids).to(model.device)).logits
        logs = letters.answering(logits, len(row))[..., columns].double().log_softmax(-1)
        view = (logs.cpu().numpy() * masks[..., None]).sum(0)
        views.append(view[::-1, ::-1] if turned else view)
    return np.logaddexp(*views) - np.log(2)


def _effects(logs: NDArray[np.float64], own: Bases) -> tuple[list[float], list[float]]:
    """Effects of the stop-gaining and of the synonymous substitutions of a coding strand."""
    stops, same = [], []
    for at in range(3, len(own) - 3):  # the start and the stop codon aside
        first = at - at % 3
        codon = own[first : first + 3].astype(int)
        if (codon > 3).any():
            continue
        before = CODE[int(codon @ (16, 4, 1))]
        for base in range(4):
            if base == own[at]:
                continue
            changed = codon.copy()
            changed[at % 3] = base
            after = CODE[int(changed @ (16, 4, 1))]
            effect = float(logs[at, base] - logs[at, own[at]])
            if after == "*" and before != "*":
                stops.append(effect)
            elif after == before:
                same.append(effect)
    return stops, same


def _auroc(low: list[float], high: list[float]) -> float:
    """The share of pairs in which the first is the lesser; ties count half."""
    values = np.sort(np.array(high))
    above = len(values) - np.searchsorted(values, low, "right")
    ties = np.searchsorted(values, low, "right") - np.searchsorted(values, low, "left")
    return float((above + ties / 2).mean() / len(values))
