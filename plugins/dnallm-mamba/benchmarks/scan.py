"""How fast each engine of the selective scan is, against what cannot be avoided: the projections.

    python scan.py [--length 16384] [--layers 16] [--width 256] [--threads 1] [--parts forward stock]

Everything is measured side by side in one run, in CPU seconds of this process (other work on the
machine then counts little), the least of some repetitions:

    linear    the network's own nn.Linear calls, alone, on inputs of the same shapes
    engine    a whole forward of Caduceus-Ph on that engine, and its ratio to linear
    stock     transformers' MambaModel without kernels, and ours of the same size (part ``stock``)
    training  a forward and backward pass, and its ratio to a forward's linear
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from dnallm_mamba.caduceus import CaduceusConfig, CaduceusForMaskedLM
from dnallm_mamba.plant_dnamamba import PlantDNAMambaForCausalLM
from dnallm_mamba.scan import native
from dnallm_mamba.scan.engines import VARIABLE
from torch import nn
from transformers import MambaConfig, MambaModel


def least(call: Callable[[], Any], repeats: int) -> float:
    """CPU seconds of the fastest of some calls, after one that warms up."""
    if repeats > 1:
        call()
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        call()
        times.append(time.process_time() - begun)
    return min(times)


def linear_calls(module: nn.Module, ids: torch.Tensor) -> list[tuple[nn.Module, torch.Size]]:
    """Every nn.Linear call of one forward: the layer and its input's shape."""
    calls: list[tuple[nn.Module, torch.Size]] = []
    hooks = [
        each.register_forward_pre_hook(lambda layer, given: calls.append((layer, given[0].shape)))
        for each in module.modules()
        if isinstance(each, nn.Linear)
    ]
    module(input_ids=ids)
    for hook in hooks:
        hook.remove()
    return calls


def run_alone(calls: list[tuple[nn.Module, torch.Size]]) -> None:
    """The recorded calls on inputs of their shapes, made once a shape."""
    inputs = {shape: torch.randn(shape) for _, shape in calls}
    for layer, shape in calls:
        layer(inputs[shape])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--length", type=int, default=16_384)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=2)
    parts = ["forward", "training", "stock"]
    parser.add_argument("--parts", nargs="+", default=parts[:2], choices=parts)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    begun = time.perf_counter()
    native.library()
    print(f"native engine ready after {time.perf_counter() - begun:.2f} s")
    config = CaduceusConfig(
        d_model=arguments.width, n_layer=arguments.layers, vocab_size=16, rcps=False
    )
    module = CaduceusForMaskedLM(config).eval()
    ids = torch.randint(7, 11, (1, arguments.length))
    with torch.no_grad():
        calls = [] if arguments.parts == ["stock"] else linear_calls(module, ids)
        linear = least(lambda: run_alone(calls), arguments.repeats)
        print(f"linear            {linear:8.2f} s")
        for engine in ("plain", "native") if "forward" in arguments.parts else ():
            os.environ[VARIABLE] = engine
            seconds = least(lambda: module(input_ids=ids), arguments.repeats)
            print(f"{engine:8}          {seconds:8.2f} s = {seconds / linear:.2f} x linear")
    for engine in ("plain", "native") if "training" in arguments.parts else ():
        os.environ[VARIABLE] = engine
        part = ids[:, : arguments.length // 4]  # gradients of the whole would not fit everywhere
        seconds = 4 * least(lambda: module(input_ids=part, labels=part).loss.backward(), 1)  # noqa: B023
        print(f"{engine:8} training {seconds:8.2f} s = {seconds / linear:.2f} x linear")
    if "stock" in arguments.parts:
        settings = MambaConfig(
            hidden_size=arguments.width, num_hidden_layers=arguments.layers, vocab_size=16
        )
        ours, stock = PlantDNAMambaForCausalLM(settings).eval(), MambaModel(settings).eval()
        with torch.no_grad():
            taken: dict[str, list[float]] = {"plain": [], "native": []}
            for _ in range(arguments.repeats):  # before and after the slow one
                for engine, found in taken.items():
                    os.environ[VARIABLE] = engine
                    found.append(least(lambda: ours(ids), 1))
            slow = least(lambda: stock(ids, use_cache=False), 1)
            print(f"transformers      {slow:8.2f} s")
            for engine, found in taken.items():
                os.environ[VARIABLE] = engine
                seconds = min(*found, least(lambda: ours(ids), 1))
                print(f"{engine:8} same     {seconds:8.2f} s: {slow / seconds:.1f} x faster")


if __name__ == "__main__":
    main()
