"""What a forward pass costs beside its own convolutions and linear maps alone, at published size.

Every call of ``conv1d`` and ``linear`` in one forward pass is recorded with what it was given; then
the pass and the replay of those calls take turns. Weights are random: time doesn't depend on them.

    python benchmarks/gpn.py [--models NAME ...] [--rounds 5] [--threads 1]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation
from torch.nn import functional

INPUTS = {  # what one pass reads: rows, tokens
    "gpn-brassicales": (1, 512),
    "gpn-animal-promoter": (1, 512),
    "gpn-msa-sapiens": (4, 128),
    "phylogpn": (1, 992),
    "phylogpn-first": (1, 992),
}


def random_network(name: str) -> Any:
    """A published network with random weights."""
    manifest = catalog()[name]
    implementation = find_implementation(manifest)
    network = build(implementation, implementation.read_config(None, manifest.config, None))
    network.to_empty(device="cpu")
    torch.manual_seed(0)
    for key, parameter in network.named_parameters():
        if "norm" in key.lower():
            torch.nn.init.constant_(parameter, 1.0 if key.endswith("weight") else 0.0)
        else:
            torch.nn.init.normal_(parameter, std=0.02)
    return network.eval()


def recorded(run: Callable[[], Any]) -> list[Callable[[], Any]]:
    """Every convolution and linear map that ``run`` calls, ready to be called again."""
    calls: list[Callable[[], Any]] = []
    originals = functional.conv1d, functional.linear

    def note(original: Callable[..., Any]) -> Callable[..., Any]:
        def noting(x: torch.Tensor, *rest: Any, **options: Any) -> torch.Tensor:
            kept = x.detach().clone(memory_format=torch.contiguous_format)
            calls.append(lambda: original(kept, *rest, **options))
            return original(x, *rest, **options)

        return noting

    functional.conv1d, functional.linear = (note(each) for each in originals)
    try:
        run()
    finally:
        functional.conv1d, functional.linear = originals
    return calls


def measure(name: str, rounds: int) -> dict[str, Any]:
    """Median seconds of the pass and of its convolutions and linear maps, and their ratio."""
    network = random_network(name)
    rows, tokens = INPUTS[name]
    inputs = {"input_ids": torch.randint(0, network.config.vocab_size - 2, (rows, tokens))}
    if getattr(network.config, "n_aux_features", 0):
        species = network.config.n_aux_features // network.config.aux_features_vocab_size
        inputs["aux_features"] = torch.randint(0, 5, (rows, tokens, species))
    with torch.inference_mode():
        calls = recorded(lambda: network(**inputs))
        whole, parts = [], []
        for _ in range(rounds + 1):
            start = time.perf_counter()
            network(**inputs)
            middle = time.perf_counter()
            for call in calls:
                call()
            whole.append(middle - start)
            parts.append(time.perf_counter() - middle)
    forward, own = statistics.median(whole[1:]), statistics.median(parts[1:])
    return {
        "model": name,
        "rows": rows,
        "tokens": tokens,
        "calls": len(calls),
        "forward_s": round(forward, 4),
        "own_calls_s": round(own, 4),
        "ratio": round(forward / own, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.models:
        print(json.dumps(measure(name, arguments.rounds)))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
