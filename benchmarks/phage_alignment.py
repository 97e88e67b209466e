"""GPN-MSA's path from end to end: 16 phage genomes aligned, read back, windowed and scored.

The rule of the alignment, in place of a real aligner: every genome is laid along the first by global
alignment (Needleman and Wunsch 1970; match 1, mismatch -1, gap -2, at most ``BAND`` bases off the
diagonal), and bases that the first lacks are left out. The network has GPN-MSA's published size but
for the number of species, and random weights.

    python benchmarks/phage_alignment.py [--bases 64] [--layers 12]
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from dnallm_core.models.substitutions import substitutions
from dnallm_core.sequences.alignment import open_alignment, write_zarr
from dnallm_gpn.gpn_msa_network import GPNRoFormerConfig, GPNRoFormerForMaskedLM
from numpy.typing import NDArray

import dnallm_core

GENOMES = Path(__file__).parents[2] / "shared/data/phix174_like_phages.fa.gz"
BAND = 400
MATCH, MISMATCH, GAP = 1, -1, -2
_FAR = -(10**6)


def read_fasta(path: Path) -> dict[str, str]:
    """Records by name."""
    with gzip.open(path, "rt") as file:
        records = file.read().split(">")[1:]
    split = [record.partition("\n") for record in records]
    return {head.split()[0]: body.replace("\n", "").upper() for head, _, body in split}


def laid_along(reference: str, others: list[str], band: int = BAND) -> list[str]:
    """Each of ``others`` as a row of the reference's length, by banded global alignment.

    All pairs at once, one anti-diagonal d = i + j after another; i counts on the reference, j on
    the other, and k = j - i stays within the band.
    """
    longest = max(len(each) for each in others)
    band += max(abs(len(each) - len(reference)) for each in others)
    target = np.frombuffer(reference.encode(), dtype=np.uint8)
    rows = np.zeros((len(others), longest), dtype=np.uint8)
    for number, each in enumerate(others):
        rows[number, : len(each)] = np.frombuffer(each.encode(), dtype=np.uint8)
    k = np.arange(-band, band + 1)
    steps = len(reference) + longest + 1
    moves = np.zeros((steps, len(others), len(k)), dtype=np.uint8)  # 0 both, 1 reference, 2 other
    before = np.full((len(others), len(k)), _FAR)
    last = before.copy()
    for d in range(steps):
        i, j = (d - k) // 2, (d + k) // 2
        on = ((d - k) % 2 == 0) & (i >= 0) & (j >= 0) & (i <= len(reference)) & (j <= longest)
        both = np.full_like(last, _FAR)
        inner = on & (i > 0) & (j > 0)
        same = rows[:, j[inner] - 1] == target[i[inner] - 1]
        both[:, inner] = before[:, inner] + np.where(same, MATCH, MISMATCH)
        gap_in_other = np.full_like(last, _FAR)
        gap_in_other[:, :-1] = last[:, 1:] + GAP
        gap_in_reference = np.full_like(last, _FAR)
        gap_in_reference[:, 1:] = last[:, :-1] + GAP
        choices = np.stack([both, gap_in_other, gap_in_reference])
        moves[d] = choices.argmax(0)
        now = np.where(on, choices.max(0), _FAR)
        if d == 0:
            now[:, band] = 0
        before, last = last, now
    return [_traced(moves[:, n], len(reference), each, band) for n, each in enumerate(others)]


def _traced(moves: NDArray[np.uint8], length: int, other: str, band: int) -> str:
    row = ["-"] * length
    i, j = length, len(other)
    while i > 0 or j > 0:
        move = moves[i + j, j - i + band]
        if move == 0:
            i, j = i - 1, j - 1
            row[i] = other[j]
        elif move == 1:
            i -= 1
        else:
            j -= 1
    return "".join(row)


def write_alignment(genomes: dict[str, str], path: Path) -> None:
    """The genomes as aligned FASTA, the first being the reference."""
    (name, reference), *others = genomes.items()
    rows = laid_along(reference, [text for _, text in others])
    records = [(name, reference), *zip((each for each, _ in others), rows, strict=True)]
    path.write_text("".join(f">{each}\n{row}\n" for each, row in records))


def random_checkpoint(folder: Path, species: int, layers: int, width: int = 768) -> None:
    """GPN-MSA with random weights for so many other species."""
    torch.manual_seed(0)
    config = GPNRoFormerConfig(
        n_aux_features=5 * species,
        num_hidden_layers=layers,
        hidden_size=width,
        intermediate_size=4 * width,
        num_attention_heads=width // 64,
    )
    GPNRoFormerForMaskedLM(config).save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bases", type=int, default=64)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--genomes", type=Path, default=GENOMES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    genomes = read_fasta(arguments.genomes)
    name, reference = next(iter(genomes.items()))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        started = time.perf_counter()
        write_alignment(genomes, folder / "phages.fa")
        aligned_s = time.perf_counter() - started
        flat = open_alignment(folder / "phages.fa")
        write_zarr(flat, folder / "phages.zarr")
        stored = open_alignment(folder / "phages.zarr")
        random_checkpoint(folder / "model", len(flat.species), arguments.layers)
        model = dnallm_core.load("gpn-msa", weights=folder / "model", device="cpu")
        middle = len(reference) // 2
        found = []
        for alignment in (flat, stored):
            started = time.process_time()
            found.append(
                substitutions(
                    model,
                    reference,
                    start=middle,
                    end=middle + arguments.bases,
                    window=128,
                    alignment=alignment,
                    contig=name,
                )
            )
            scored_s = time.process_time() - started
        letters = flat.columns(name, 0, len(reference))
        print(
            json.dumps(
                {
                    "genomes": len(genomes),
                    "reference": name,
                    "bp": len(reference),
                    "identical_to_reference": round(
                        float((letters[:, 1:] == letters[:, :1]).mean()), 3
                    ),
                    "gaps": round(float((letters[:, 1:] == ord("-")).mean()), 3),
                    "aligned_s": round(aligned_s, 1),
                    "variants": 3 * arguments.bases,
                    "cpu_s_a_variant": round(scored_s / (3 * arguments.bases), 4),
                    "fasta_and_zarr_agree": bool(
                        np.array_equal(found[0].effects, found[1].effects)
                    ),
                }
            )
        )


if __name__ == "__main__":
    main()
