"""100,000 variants of a genome beside the obvious loop: two forwards a variant and strand, batch 32.

    python benchmarks/variants.py [causal] [masked] [--count 4000] [--looped 500] [--genome FASTA]

``causal``: a Mamba of two layers with random weights, windows of 1,024 bp. ``masked``: the bundled
model, windows of 512 bp; the loop runs the masked window once for each allele, as is usual. Variants
are drawn over the whole genome (SNVs, substitutions of two bases, insertions, deletions; a seed), so
that they lie as far apart as 100,000 of them do; ours takes the first ``--count`` of them, the loop
the first ``--looped``, over the same windows of the same module, and both rates are by the clock.
"""

from __future__ import annotations

import argparse
import gzip
import random
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import find_implementation
from dnallm_core.models import Model
from dnallm_core.models.contig import Contig
from dnallm_core.models.variant_windows import PlacedVariant, placed_variants
from dnallm_core.models.variants import contig_effects
from dnallm_core.sequences.tokenizers import tokenizer_for

import dnallm_core

GENOME = Path(__file__).parents[2] / "shared/data/ecoli_536.fa.gz"
BATCH = 32
Listed = list[tuple[int, str, str]]


def causal_model(width: int = 64, layers: int = 2) -> Model:
    """A small Mamba over single bases, as it is initialised."""
    family, letters = catalog().family("plant-dnamamba"), catalog().family("hyenadna")
    assert family is not None
    assert letters is not None
    implementation = find_implementation(family)
    specs = letters.tokenizer if isinstance(letters.tokenizer, tuple) else (letters.tokenizer,)
    tokenizer = tokenizer_for(specs, folder=None, vocabulary_size=None)
    settings = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "vocab_size": tokenizer.vocabulary_size,
    }
    torch.manual_seed(0)
    network = implementation.build(implementation.read_config(None, settings, None)).eval()
    facts = replace(family, max_length=131_072, max_tokens=131_073)
    return implementation(facts, network, tokenizer, provenance={"device": "cpu"})


def drawn(genome: str, count: int, snvs_alone: bool) -> Listed:
    """Variants in order of place; nine of ten are SNVs."""
    draw = random.Random(0)
    found: Listed = []
    for at in sorted(draw.sample(range(10, len(genome) - 60), count)):
        kind = 0.0 if snvs_alone else draw.random()
        ref = alt = genome[at]
        if kind < 0.93:
            ref = genome[at : at + (1 if kind < 0.9 else 2)]
            alt = "".join(draw.choice("ACGT".replace(base, "")) for base in ref)
        elif kind < 0.965:
            alt = ref + "".join(draw.choices("ACGT", k=draw.randint(1, 10)))
        else:
            ref = genome[at : at + 1 + draw.randint(1, 10)]
        if set(ref) <= set("ACGT"):
            found.append((at + 1, ref, alt))
    return found


def loop(model: Model, contig: Contig, variants: Listed, size: int, causal: bool) -> np.ndarray:
    """Reference and alternative of each strand, a forward each, 32 variants at a time."""
    side = looped_causal if causal else looped_masked
    found = []
    with torch.inference_mode():
        for first in range(0, len(variants), BATCH):
            some = variants[first : first + BATCH]
            strands = [
                side(model, placed_variants(contig, some, size, causal=causal, reverse=reverse))
                for reverse in (False, True)
            ]
            found.append((strands[0] + strands[1]) / 2)
    return torch.cat(found).numpy()


def looped_causal(model: Model, placed: list[PlacedVariant]) -> torch.Tensor:
    sums = []
    for texts in ([each.window for each in placed], [each.alternative for each in placed]):
        rows = [model.tokenizer.encode(text).ids for text in texts]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        real = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in texts])
        logits = model.module(input_ids=ids).logits[:, :-1]
        taken = torch.log_softmax(logits, -1).gather(2, ids[:, 1:, None])[..., 0]
        sums.append((taken.double() * real[:, 1:]).sum(1))
    return sums[1] - sums[0]


def looped_masked(model: Model, placed: list[PlacedVariant]) -> torch.Tensor:
    bases = model.tokenizer.base_ids
    assert bases is not None
    rows = torch.tensor([model.tokenizer.encode(each.window).ids for each in placed])
    at = torch.tensor([each.start for each in placed])
    each = torch.arange(len(placed))
    rows[each, at] = model.tokenizer.mask_id or 0
    of_each = []
    for letters in ([one.alt for one in placed], [one.ref for one in placed]):
        logits = model.module(input_ids=rows).logits[each, at]
        of_each.append(torch.log_softmax(logits.double(), -1)[each, [bases[x] for x in letters]])
    return of_each[0] - of_each[1]


def compared(name: str, model: Model, genome: str, size: int, options: Any) -> None:
    causal = name == "causal"
    variants, contig = drawn(genome, 100_000, not causal), Contig.of(genome)
    few, fewer = variants[: options.count], variants[: options.looped]
    contig_effects(model, contig, few[:32], window=size)
    loop(model, contig, few[:32], size, causal)
    began = time.perf_counter()
    ours = contig_effects(model, contig, few, window=size)
    middle = time.perf_counter()
    plain = loop(model, contig, fewer, size, causal)
    end = time.perf_counter()
    rate, usual = len(few) / (middle - began), len(fewer) / (end - middle)
    worst = np.abs(ours[: len(fewer)] - plain).max()
    print(
        f"{name}: {len(few):,} variants in {middle - began:.1f} s, {rate:.0f} a second; the loop "
        f"{len(fewer):,} in {end - middle:.1f} s, {usual:.0f} a second; {rate / usual:.2f} x; worst "
        f"deviation {worst:.1e}, largest effect {np.abs(plain).max():.2f}",
        flush=True,
    )


def main() -> None:
    """Measure what is asked for, or both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", help="causal, masked (default: both)")
    parser.add_argument("--count", type=int, default=4000, help="variants that we score")
    parser.add_argument("--looped", type=int, default=500, help="variants that the loop scores")
    parser.add_argument("--window", type=int, help="bp (default: 1,024 causal, 512 masked)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--genome", type=Path, default=GENOME)
    parser.add_argument("--model", help="another model than the small Mamba or the bundled one")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with gzip.open(options.genome, "rt") as file:
        genome = "".join(line.strip() for line in file if not line.startswith(">")).upper()
    for name in options.what or ("causal", "masked"):
        if options.model or name == "masked":
            model = dnallm_core.load(options.model or "caduceus-ecoli-tiny", device="cpu")
        else:
            model = causal_model()
        compared(
            name, model, genome, options.window or (1024 if name == "causal" else 512), options
        )


if __name__ == "__main__":
    main()
