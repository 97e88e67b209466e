"""100,000 variants of a genome beside the obvious loop: two forwards a variant and strand, batch 32.

    python benchmarks/variants.py [MODEL ...] [--count 4000] [--looped 500] [--genome FASTA]
    python benchmarks/variants.py gpn-ecoli-tiny --file --count 100000

Models: the bundled ones, unless named; ``small-causal`` is a Mamba of two layers, 64 wide, with random
weights. Causal models read windows of 1,024 bp, masked ones of 512 bp; of these the loop runs the
masked window once for each allele, as is usual. Variants are drawn over the whole genome (SNVs; of
causal models one in ten a substitution of two bases, an insertion or a deletion; a seed), so that they
lie as far apart as 100,000 of them do; ours takes the first ``--count`` of them, the loop the first
``--looped``, over the same windows of the same module, by the clock and by processor time.

``--file``: the first ``--count`` through the command, from a file to a file, in a process of its own:
time and peak memory.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import subprocess
import sys
import tempfile
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


def bundled() -> list[str]:
    """The models that ship with a plugin."""
    return [name for name, facts in catalog().items() if facts.weights and facts.weights.bundled]


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
        real = torch.tensor([bases(model, text, longest) for text in texts])
        logits = model.module(input_ids=ids).logits[:, :-1]
        taken = torch.log_softmax(logits, -1).gather(2, ids[:, 1:, None])[..., 0]
        sums.append((taken.double() * real[:, 1:]).sum(1))
    return sums[1] - sums[0]


def bases(model: Model, text: str, longest: int) -> list[int]:
    """1 where a token is a base that something foretells."""
    spans = model.tokenizer.encode(text).offsets
    marks = [int(end > start) for start, end in spans]
    return [0, *marks[1:], *[0] * (longest - len(marks))]


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


def compared(name: str, model: Model, genome: str, options: Any) -> None:
    causal = model.manifest.direction == "causal"
    size = options.window or (1024 if causal else 512)
    variants, contig = drawn(genome, 100_000, not causal), Contig.of(genome)
    few, fewer = variants[: options.count], variants[: options.looped]
    contig_effects(model, contig, few[:32], window=size)
    loop(model, contig, few[:32], size, causal)
    begun = time.perf_counter(), time.process_time()
    ours = contig_effects(model, contig, few, window=size)
    middle = time.perf_counter(), time.process_time()
    plain = loop(model, contig, fewer, size, causal)
    end = time.perf_counter(), time.process_time()
    mine = [(late - early) / len(few) for early, late in zip(begun, middle, strict=True)]
    usual = [(late - early) / len(fewer) for early, late in zip(middle, end, strict=True)]
    worst = np.abs(ours[: len(fewer)] - plain).max()
    print(
        f"{name}, {size:,} bp: {len(few):,} variants, {1 / mine[0]:.0f} a second; the loop "
        f"{len(fewer):,}, {1 / usual[0]:.1f} a second; {usual[0] / mine[0]:.2f} x by the clock, "
        f"{usual[1] / mine[1]:.2f} x of processor time ({1000 * mine[1]:.1f} and "
        f"{1000 * usual[1]:.1f} ms a variant); worst deviation {worst:.1e}, largest effect "
        f"{np.abs(plain).max():.2f}",
        flush=True,
    )


def filed(name: str, genome: str, options: Any) -> None:
    """The command over a file of variants; what it took."""
    causal = name.startswith("mamba")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "genome.fa").write_text(f">c\n{genome}\n")
        chosen = drawn(genome, 100_000, not causal)[: options.count]
        lines = [f"c:{position}:{ref}:{alt}\n" for position, ref, alt in chosen]
        (path / "variants.txt").write_text("".join(lines))
        command = ["variants", name, "variants.txt", "--genome", "genome.fa", "-o", "out.parquet"]
        script = (
            f"import torch; torch.set_num_threads({options.threads}); "
            "from dnallm_core.cli.main import run; import sys; sys.exit(run(sys.argv[1:]))"
        )
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, *command], check=True, cwd=folder
        )
        took = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{name}: {len(chosen):,} variants from file to file in {took:.0f} s, "
        f"{used.ru_utime + used.ru_stime:.0f} s of processor time, peak {used.ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Measure what is asked for, or the bundled models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("models", nargs="*", help="default: the bundled ones")
    parser.add_argument("--count", type=int, default=4000, help="variants that we score")
    parser.add_argument("--looped", type=int, default=500, help="variants that the loop scores")
    parser.add_argument("--window", type=int, help="bp (default: 1,024 causal, 512 masked)")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--genome", type=Path, default=GENOME)
    parser.add_argument("--file", action="store_true", help="through the command")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with gzip.open(options.genome, "rt") as file:
        genome = "".join(line.strip() for line in file if not line.startswith(">")).upper()
    for name in options.models or bundled():
        if options.file:
            filed(name, genome, options)
            continue
        small = name == "small-causal"
        model = causal_model() if small else dnallm_core.load(name, device="cpu")
        compared(name, model, genome, options)


if __name__ == "__main__":
    main()
