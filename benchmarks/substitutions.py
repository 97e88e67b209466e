"""Every substitution of the human mitochondrial genome: shared work against one forward a variant.

Networks of published size with random weights, one strand (the other costs the same again), CPU
seconds of one thread. A model of rates scores the whole genome. A masked model scores a sample of
``--positions`` in the middle; what a segment of 1,024 positions shares is timed as it is and spread
over them. Against it stands one forward pass a variant, the base masked, over

- ``field``: the smallest window that gives the same number, the receptive field;
- ``genome``: the genome, which is the window that holds all of a stretch's variants;
- ``published``: the authors' window of 512 bp, where nothing but the three alternatives is shared.

    python benchmarks/substitutions.py [--models NAME ...] [--positions 8] [--genome FASTA]
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from dnallm_gpn import _cone

GENOME = Path(__file__).parents[2] / "shared/data/human_mtdna.fa.gz"
LENGTH = 16_569
PUBLISHED = 512


def _forward_benchmark() -> Any:
    spec = importlib.util.spec_from_file_location("gpn_forward", Path(__file__).with_name("gpn.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ids_of(path: Path, alphabet: str) -> torch.Tensor:
    """A genome's ids, or random ones of its length where the file is absent."""
    if path.exists():
        with gzip.open(path, "rt") as file:
            text = "".join(line.strip() for line in file if not line.startswith(">"))
    else:
        text = "".join(random.Random(0).choices("ACGT", k=LENGTH))
    return torch.tensor([max(alphabet.find(base), 2) for base in text.upper()])


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, and what came out."""
    start = time.process_time()
    result = run()
    return time.process_time() - start, result


def one_forward(network: Any, ids: torch.Tensor, at: int, reach: int) -> torch.Tensor:
    """Logits at ``at``, it alone masked, from the window ``reach`` to either side."""
    low = max(0, at - reach)
    window = ids[low : at + reach + 1].clone()
    window[at - low] = 1
    return network(input_ids=window[None]).logits[0, at - low]


def masked(name: str, network: Any, genome: Path, count: int) -> dict[str, Any]:
    ids = ids_of(genome, "...ACGT")
    middle = len(ids) // 2
    segment = torch.arange(middle, middle + _cone.SEGMENT)
    sample = segment[:: len(segment) // count][:count]
    layers = list(network.layers)
    needed, active = _cone.stretches(layers)
    field = max(needed[0])
    shared_s, unmasked = timed(
        lambda: _cone._unmasked(network, layers, needed, active, ids, segment)
    )
    mask = network.embed(torch.tensor([[1]]))
    step = max(1, 2**23 // (max(each.width for each in active) * network.config.hidden_size))

    def batches() -> torch.Tensor:
        parts = [
            _cone._batch(network, layers, active, unmasked, each, mask, len(ids))
            for each in sample.split(step)
        ]
        return torch.cat(parts)

    sample_s, ours = timed(batches)
    each_s = (sample_s / len(sample) + shared_s / len(segment)) / 3
    checked = [0, len(sample) - 1]
    field_s, plain = timed(
        lambda: [one_forward(network, ids, int(sample[n]), field) for n in checked]
    )
    field_s /= len(checked)
    worst = max(
        float((ours[n] - logits).abs().max()) for n, logits in zip(checked, plain, strict=True)
    )
    genome_s, whole = timed(lambda: one_forward(network, ids, int(sample[0]), len(ids)))
    worst = max(worst, float((ours[0] - whole).abs().max()))
    published_s, _ = timed(lambda: one_forward(network, ids, middle, PUBLISHED // 2))
    return {
        "model": name,
        "sampled_positions": len(sample),
        "receptive_field_bp": 2 * field + 1,
        "shared_s_a_variant": round(each_s, 4),
        "variants_a_second": round(1 / each_s, 3),
        "forward_s": {
            "field": round(field_s, 3),
            "genome": round(genome_s, 3),
            "published": round(published_s, 3),
        },
        "multiple": {
            "field": round(field_s / each_s, 1),
            "genome": round(genome_s / each_s, 1),
            "published": 3,
        },
        "worst_difference": worst,
        "largest_logit": float(ours.abs().max()),
    }


def rates(name: str, network: Any, genome: Path, count: int) -> dict[str, Any]:
    ids = ids_of(genome, "ACGT")
    left, right = network.receptive_field()
    flanked = torch.nn.functional.pad(ids, (left, right), value=5)
    step = 4096

    def whole() -> torch.Tensor:
        parts = [
            network(input_ids=flanked[None, low : low + step + left + right]).logits[0]
            for low in range(0, len(ids), step)
        ]
        return torch.cat(parts)

    whole_s, ours = timed(whole)
    sample = torch.linspace(0, len(ids) - 1, count).long().tolist()
    alone_s, plain = timed(
        lambda: [
            network(input_ids=flanked[None, at : at + left + right + 1]).logits[0, 0]
            for at in sample
        ]
    )
    worst = max(
        float((ours[at] - rates).abs().max()) for at, rates in zip(sample, plain, strict=True)
    )
    each_s = whole_s / len(ids) / 3
    return {
        "model": name,
        "sampled_positions": len(ids),
        "receptive_field_bp": left + right + 1,
        "shared_s_a_variant": round(each_s, 6),
        "variants_a_second": round(1 / each_s, 1),
        "forward_s": {"field": round(alone_s / count, 3)},
        "multiple": {"field": round(alone_s / count / each_s, 1)},
        "worst_difference": worst,
        "largest_logit": float(ours.abs().max()),
    }


def main() -> None:
    names = ["phylogpn", "gpn-brassicales", "gpn-animal-promoter"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=names, choices=names)
    parser.add_argument("--positions", type=int, default=8)
    parser.add_argument("--genome", type=Path, default=GENOME)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    networks = _forward_benchmark()
    for name in arguments.models:
        network = networks.random_network(name)
        measure = rates if name == "phylogpn" else masked
        with torch.inference_mode():
            found = measure(name, network, arguments.genome, arguments.positions)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
