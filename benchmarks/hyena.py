"""HyenaDNA on a CPU: one forward pass beside the FFTs and linear maps in it, and its peak memory.

The replay does what no implementation can leave out, at once and without chunks: for every block
the four ``nn.Linear`` calls, and one forward and one inverse real FFT over all channels (filters are
kept, so theirs are not counted). Pass and replay take turns; the ratio is of processor time, which
other programs disturb less than the clock. Weights are random: time and memory don't depend on
them. Peak memory is that of a fresh process above the libraries' own.

    python benchmarks/hyena.py [--model hyenadna-medium-160k] [--tokens 32768] [--rounds 5]
    python benchmarks/hyena.py --model hyenadna-large-1m --tokens 1000002 --rounds 0
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from dnallm_core.catalog import catalog
from dnallm_hyena.convolution import fft_size
from dnallm_hyena.hyenadna import HyenaDNA
from dnallm_hyena.network import HyenaDNAForCausalLM
from torch.nn import functional


def network(name: str) -> HyenaDNAForCausalLM:
    """A published shape with random weights."""
    torch.manual_seed(0)
    settings = HyenaDNA.read_config(None, catalog()[name].config, None)
    return HyenaDNAForCausalLM(settings).eval()


def replay(model: HyenaDNAForCausalLM, tokens: int) -> Callable[[], None]:
    """The FFTs and linear maps of one pass."""
    width, inner = model.config.d_model, model.config.d_inner
    size = fft_size(tokens)
    x, wide = torch.randn(1, tokens, width), torch.randn(1, tokens, inner)
    signal = torch.randn(1, width, tokens)
    spectrum = torch.fft.rfft(signal, n=size)
    layer: Any = model.hyena.backbone.layers[0]

    def run() -> None:
        for _ in range(model.config.n_layer):
            for linear in (layer.mixer.in_proj, layer.mixer.out_proj, layer.mlp.fc1):
                functional.linear(x, linear.weight, linear.bias)
            functional.linear(wide, layer.mlp.fc2.weight, layer.mlp.fc2.bias)
            torch.fft.rfft(signal, n=size)
            torch.fft.irfft(spectrum, n=size)
        functional.linear(x, model.lm_head.weight)

    return run


def seconds(call: Callable[[], Any], clock: Callable[[], float] = time.process_time) -> float:
    """Time of one call."""
    begun = clock()
    call()
    return clock() - begun


def peak() -> float:
    """Most memory that this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="hyenadna-medium-160k")
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = network(given.model)
    ids = torch.randint(7, 12, (1, given.tokens))
    with torch.inference_mode():
        before = peak()
        first = seconds(lambda: model(ids), time.perf_counter)
        result = {
            "model": given.model,
            "tokens": given.tokens,
            "threads": given.threads,
            "first_pass_wall_s": round(first, 2),
            "peak_above_libraries_gb": round(peak() - before, 2),
        }
        if given.rounds:
            bare = replay(model, given.tokens)
            bare()
            ours, theirs = [], []
            for _ in range(given.rounds):
                ours.append(seconds(lambda: model(ids)))
                theirs.append(seconds(bare))
            result["pass_cpu_s"] = round(statistics.median(ours), 3)
            result["ffts_and_linears_cpu_s"] = round(statistics.median(theirs), 3)
            result["ratio"] = round(statistics.median(ours) / statistics.median(theirs), 2)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
