"""The main job on real input: ask the selector, run what it chose, see whether it knows biology.

Scores every substitution of a gene that the bundled model has never seen, sorts them by what they
do to the protein, and draws the result. Writes ``selection.txt``, ``scan.tsv`` and ``scan.png``.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from dnallm_core.sequences.files import Genome, Region
from dnallm_core.tasks.scanning import scan_regions

import dnallm_core as dnallm

HERE = Path(__file__).resolve().parent
GENOME = HERE / "data" / "ecoli_536_4618001_4638000.fa"
CONTIG = "NC_008253.1:4618001-4638000"
GENE = Region(CONTIG, 9_028, 10_876, "open reading frame of 1,848 bp", "+")
WINDOW = 512
KINDS = ("synonymous", "missense", "stop gained")
COLOURS = ("#4477aa", "#ccbb44", "#ee6677")

BINS = [each / 4 for each in range(-18, 15)]  # nats

BASES = "TCAG"
AMINO_ACIDS = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODE = {
    a + b + c: AMINO_ACIDS[16 * i + 4 * j + k]
    for i, a in enumerate(BASES)
    for j, b in enumerate(BASES)
    for k, c in enumerate(BASES)
}


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    print("Which model scores variants, has its weights at hand, and fits this machine?\n")
    selection = dnallm.select(task="variant-effect", weights="bundled", length=WINDOW)
    explained = selection.explain()
    (output / "selection.txt").write_text(explained + "\n")
    print(explained)

    chosen = selection.best.id
    print(f"\nLoading {chosen} and scoring every substitution of {GENE.name} …")
    model = dnallm.load(chosen, device="auto")
    table = output / "scan.tsv"
    with Genome(GENOME) as genome:
        gene = genome.sequence(GENE)
        record = scan_regions(
            model, genome, [GENE], table, window=WINDOW, overwrite=True, quiet=True
        )
    effects: dict[str, list[float]] = {kind: [] for kind in KINDS}
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        kind = consequence(gene, int(row["pos"]) - 1 - GENE.start, row["alt"])
        if kind in effects:
            effects[kind].append(float(row["effect"]))
    print(f"{len(rows):,} substitutions in {record['seconds']:.0f} s on {model.device}.\n")
    print(f"{'consequence':<14}{'number':>8}{'median effect (nats)':>24}")
    for kind in KINDS:
        print(f"{kind:<14}{len(effects[kind]):>8,}{median(effects[kind]):>24.2f}")
    draw(rows, effects, output / "scan.png", chosen)
    print(f"\nWrote {output / 'selection.txt'}, {table} and {output / 'scan.png'}.")


def draw(
    rows: list[dict[str, str]], effects: dict[str, list[float]], path: Path, model: str
) -> None:
    """The first 60 codons as a heat map, and the distribution of each kind of substitution."""
    figure, (heat, kinds) = plt.subplots(
        2, 1, figsize=(11, 6.5), height_ratios=(1, 1.6), layout="constrained"
    )
    shown = 180
    grid = [[float("nan")] * shown for _ in "ACGT"]
    for row in rows:
        at = int(row["pos"]) - 1 - GENE.start
        if at < shown:
            grid["ACGT".index(row["alt"])][at] = float(row["effect"])
    limit = max(abs(value) for line in grid for value in line if value == value)
    picture = heat.imshow(grid, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit)
    heat.set_yticks(range(4), "ACGT")
    heat.set_xlabel("base of the gene (the first 60 codons); white: the reference's own base")
    heat.set_title(f"Every substitution of an unseen E. coli gene, scored by {model}", loc="left")
    figure.colorbar(picture, ax=heat, label="effect (nats)")
    for kind, colour in zip(KINDS, COLOURS, strict=True):
        kinds.hist(
            effects[kind], bins=BINS, density=True, histtype="step", linewidth=1.8, color=colour,
            label=f"{kind} ({len(effects[kind]):,})",
        )  # fmt: skip
        kinds.axvline(median(effects[kind]), color=colour, linestyle=":")
    kinds.set_xlabel("log-likelihood of the substitution less that of the reference (nats)")
    kinds.set_ylabel("density")
    kinds.legend(frameon=False)
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    main()
