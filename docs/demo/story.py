"""What the demonstration finds out, a function a chapter; ``demo.py`` draws it, the notebook too.

Everything is read from the held-out tenth of *Escherichia coli* 536, which no bundled model was trained
on, and from genes that pyrodigal predicted there.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter
from itertools import pairwise, product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from dnallm_core.sequences.alphabet import reverse_complement
from dnallm_core.sequences.files import Genome
from numpy.typing import NDArray

import dnallm_core as dnallm

HERE = Path(__file__).resolve().parent
GENOME = HERE / "data" / "ecoli_536_held_out.fa.gz"
GENES = HERE / "data" / "ecoli_536_genes.tsv.gz"
WINDOW = 512
PIECE = 300  # bp of a gene or of what lies between genes, when they are embedded
KINDS = ("synonymous", "missense", "stop gained")
PLACES = ("gene, forward", "gene, reverse", "between genes")

BASES = "TCAG"
AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODE = {
    a + b + c: AMINO_ACIDS[16 * i + 4 * j + k]
    for i, a in enumerate(BASES)
    for j, b in enumerate(BASES)
    for k, c in enumerate(BASES)
}


class Gene(NamedTuple):
    """A predicted gene, by its place in the held-out stretch, 0-based."""

    start: int
    end: int
    strand: str


def held_out() -> tuple[str, list[Gene]]:
    """The stretch, and the whole genes in it in order."""
    with Genome(GENOME) as genome:
        (name,) = genome.lengths
        sequence = genome.fetch(name)
    first = int(name.partition(":")[2].partition("-")[0]) - 1  # the title says its place
    with gzip.open(GENES, "rt") as file:
        lines = (line for line in file if not line.startswith("#"))
        genes = [
            Gene(int(row["start"]) - first, int(row["end"]) - first, row["strand"])
            for row in csv.DictReader(lines, delimiter="\t")
            if row["partial"] == "0"
        ]
    return sequence, [gene for gene in genes if gene.start >= 0]


# --- chapter 1 --------------------------------------------------------------------------------


def selections() -> dict[str, Any]:
    """The model chosen for each of the story's tasks, among those that need no download."""
    return {task: selection(task) for task in ("variant-effect", "embedding", "generation")}


def selection(task: str) -> Any:
    """For this machine as it is; where nothing fits, the reasons are all there is to tell."""
    found = dnallm.select(task=task, weights="bundled", length=WINDOW)
    if found.best is None:
        raise SystemExit(found.explain())
    return found


# --- chapter 2 --------------------------------------------------------------------------------


def pieces(sequence: str, genes: list[Gene], each: int, seed: int = 0) -> list[tuple[str, str]]:
    """(place, bases): ``each`` of the three places, of PIECE bp, read along the forward strand."""
    found: dict[str, list[str]] = {place: [] for place in PLACES}
    for gene in genes:
        if gene.end - gene.start >= PIECE:
            middle = (gene.start + gene.end - PIECE) // 2
            place = PLACES[0] if gene.strand == "+" else PLACES[1]
            found[place].append(sequence[middle : middle + PIECE])
    for before, after in pairwise(genes):
        room = after.start - before.end
        if room >= PIECE:
            middle = (before.end + after.start - PIECE) // 2
            found[PLACES[2]].append(sequence[middle : middle + PIECE])
    choose = random.Random(seed)
    return [
        (place, piece)
        for place in PLACES
        for piece in choose.sample(found[place], min(each, len(found[place])))
    ]


def projected(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The first two principal components (n, 2), and the shares of the variance in them."""
    centred = vectors.astype(np.float64) - vectors.mean(0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    return left[:, :2] * values[:2], (values**2 / (values**2).sum())[:2]


def neighbours_agree(vectors: NDArray[np.float32], labels: list[str], k: int = 5) -> float:
    """The mean over labels of the share of pieces whose ``k`` nearest others vote for their own."""
    scaled = (vectors - vectors.mean(0)) / (vectors.std(0) + 1e-9)
    distances = ((scaled[:, None] - scaled[None]) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :k]
    votes = [Counter(labels[i] for i in row).most_common(1)[0][0] for row in nearest]
    right: dict[str, list[bool]] = {}
    for vote, label in zip(votes, labels, strict=True):
        right.setdefault(label, []).append(vote == label)
    return float(np.mean([np.mean(each) for each in right.values()]))


# --- chapter 3 --------------------------------------------------------------------------------


def consequence(gene: str, at: int, alternative: str) -> str:
    """What a substitution at 0-based ``at`` does to the protein: one of ``KINDS``, or start/stop lost."""
    first = at - at % 3
    codon = gene[first : first + 3]
    changed = codon[: at % 3] + alternative + codon[at % 3 + 1 :]
    before, after = CODE[codon], CODE[changed]
    if first == 0:
        return "start lost"
    if before == after:
        return "synonymous"
    if after == "*":
        return "stop gained"
    return "stop lost" if before == "*" else "missense"


def chosen_gene(genes: list[Gene]) -> Gene:
    """The first forward gene of 900 to 1,200 bp that lies well within the stretch."""
    return next(
        gene
        for gene in genes
        if gene.strand == "+" and 900 <= gene.end - gene.start <= 1_200 and gene.start > 100_000
    )


def scanned(
    model: dnallm.Model, sequence: str, gene: Gene
) -> tuple[NDArray[np.float32], dict[str, list[float]]]:
    """Effects (bp, 4) of every substitution of a forward gene, and the effects by consequence."""
    from dnallm_core.models.substitutions import substitutions

    found = substitutions(model, sequence, start=gene.start, end=gene.end, window=WINDOW)
    text = sequence[gene.start : gene.end]
    effects: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for position, _base, alternative, effect in found:
        kind = consequence(text, position - 1 - gene.start, alternative)
        if kind in effects:
            effects[kind].append(effect)
    return found.effects, effects


def auroc(low: list[float], high: list[float]) -> float:
    """The share of pairs in which the first is the lesser; ties count half."""
    values = np.sort(np.array(high))
    below = np.searchsorted(values, low, "left")
    up_to = np.searchsorted(values, low, "right")
    return float((len(values) - up_to + (up_to - below) / 2).mean() / len(values))


# --- chapter 4 --------------------------------------------------------------------------------


def generated(model: dnallm.Model, sequence: str, count: int, length: int, seed: int) -> list[str]:
    """Continuations of stretches of 256 bp, the prompts themselves left out."""
    places = np.linspace(10_000, len(sequence) - 10_000, count).astype(int)
    prompts = [sequence[place : place + 256] for place in places]
    found = model.generate(prompts, max_new_bases=length, temperature=1.0, seed=seed)
    return [each.sequence for each in found]


def shuffled(sequences: list[str], seed: int = 0) -> list[str]:
    """The same bases in random order: what composition alone gives."""
    choose = random.Random(seed)
    return ["".join(choose.sample(each, len(each))) for each in sequences]


def spectrum(sequences: list[str], k: int = 4) -> NDArray[np.float64]:
    """Shares of the 4^k words, both strands counted."""
    words = Counter(
        text[at : at + k]
        for each in sequences
        for text in (each, reverse_complement(each))
        for at in range(len(text) - k + 1)
    )
    counts = np.array([words["".join(word)] for word in product("ACGT", repeat=k)], float)
    return counts / counts.sum()


def reading_frames(sequences: list[str], least: int = 60) -> list[int]:
    """Lengths in bp of the frames from ATG to stop, both strands, of ``least`` bp or more."""
    found = []
    for each in sequences:
        for text in (each, reverse_complement(each)):
            for frame in range(3):
                start = None
                for at in range(frame, len(text) - 2, 3):
                    codon = text[at : at + 3]
                    if start is None and codon == "ATG":
                        start = at
                    elif start is not None and CODE.get(codon, "X") == "*":
                        if at + 3 - start >= least:
                            found.append(at + 3 - start)
                        start = None
    return found
