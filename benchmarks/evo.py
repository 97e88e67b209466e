"""Evo on a CPU: prefill and decoding beside the linear maps in them, and what they cost.

Every ``nn.Linear`` call of a run is recorded and called again by itself; run and replay take turns.
The ratio is of processor time, which other programs disturb less than the clock. Weights are random
at the published shape: time and memory don't depend on them. Peak memory is that of this process
above the libraries' own.

    python benchmarks/evo.py [--model evo-2-1b-base] [--tokens 8192] [--decode 100] [--blocks 25]
    python benchmarks/evo.py --filters         # long filters as a recurrence and by FFT
    python benchmarks/evo.py --steady 10000    # cost and state, from first base to last, small networks
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation
from dnallm_evo.configuration import Evo1Config, Evo2Config
from dnallm_evo.filters import Modes, modal
from dnallm_evo.striped_hyena import HyenaState, StripedHyena, StripedState
from torch import Tensor, nn


def network(name: str, blocks: int | None, dtype: torch.dtype) -> StripedHyena:
    """A published shape (or its first blocks) with random weights."""
    manifest = catalog()[name]
    settings = dict(manifest.config)
    if blocks:
        settings["num_layers"] = blocks
        for key in [each for each in settings if each.endswith("_layer_idxs")]:
            settings[key] = [layer for layer in settings[key] if layer < blocks]
    implementation = find_implementation(manifest)
    module = build(implementation, implementation.read_config(None, settings, None))
    exact = ("poles", "residues", "inv_freq")
    for owner in module.modules():
        for table in (owner._parameters, owner._buffers):
            for leaf, value in table.items():
                if value is not None:
                    kept = torch.empty_like(
                        value, device="cpu", dtype=torch.float32 if leaf.endswith(exact) else dtype
                    )
                    table[leaf] = (
                        nn.Parameter(kept, requires_grad=False)
                        if table is (owner._parameters)
                        else kept
                    )
    module.tie_weights()
    torch.manual_seed(0)
    module.initialize_weights()
    return module.eval()


def peak() -> float:
    """Most memory that this process has held, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Clock and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def linear_maps(module: nn.Module, run: Callable[[], Any]) -> Callable[[], None]:
    """All ``nn.Linear`` calls of ``run``, ready to be called again (inputs of the same shape)."""
    calls: list[tuple[nn.Module, torch.Size, torch.dtype]] = []
    hooks = [
        each.register_forward_pre_hook(
            lambda layer, given: calls.append((layer, given[0].shape, given[0].dtype))
        )
        for each in module.modules()
        if isinstance(each, nn.Linear)
    ]
    run()
    for hook in hooks:
        hook.remove()
    inputs = {each[1:]: torch.randn(each[1]).to(each[2]) for each in calls}

    def replay() -> None:
        for layer, shape, dtype in calls:
            layer(inputs[shape, dtype])

    return replay


def beside_linear_maps(
    module: nn.Module, run: Callable[[], Any], rounds: int
) -> tuple[float, float, float]:
    """Medians: clock and processor seconds of ``run``, and processor seconds of its linear maps."""
    clocks: list[tuple[float, float]] = []
    replay = linear_maps(module, lambda: clocks.append(timed(run)))
    bare = [timed(replay)[1]]
    for _ in range(rounds - 1):
        clocks.append(timed(run))
        bare.append(timed(replay)[1])
    wall, ours = (statistics.median(column) for column in zip(*clocks, strict=True))
    return wall, ours, statistics.median(bare)


SMALL: dict[str, Any] = {"hidden_size": 64, "num_layers": 4, "inner_mlp_size": 128}


def small(generation: int, *, attention: bool) -> StripedHyena:
    """A small network of either generation, of all kinds of Hyena blocks that it has."""
    torch.manual_seed(0)
    last = [3] if attention else []
    if generation == 1:
        return StripedHyena(Evo1Config(**SMALL, attn_layer_idxs=last)).eval()
    short = [0] if attention else [0, 3]
    blocks = {"hcs_layer_idxs": short, "hcm_layer_idxs": [1], "hcl_layer_idxs": [2]}
    return StripedHyena(Evo2Config(**SMALL, **blocks, attn_layer_idxs=last)).eval()


def held(state: StripedState) -> dict[str, int]:
    """Bytes of the state that Hyena blocks carry, and of keys and values (those in use)."""
    found = {"hyena": 0, "keys_and_values": 0}
    for each in state.blocks:
        if isinstance(each, HyenaState):
            tensors, name = [each.short, each.inner], "hyena"
        else:
            used = slice(0, each.used)
            tensors, name = [each.keys[:, :, used], each.values[:, :, used]], "keys_and_values"
        found[name] += sum(one.numel() * one.element_size() for one in tensors if one is not None)
    return found


def resident() -> float:
    """Memory that this process holds, in MB."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmRSS"].split()[0]) / 1e3


def steady(bases: int, generation: int, *, attention: bool) -> dict[str, Any]:
    """Processor milliseconds a decoded base, bytes of state and memory, after each tenth."""
    module, state = small(generation, attention=attention), StripedState()
    token = torch.full((1, 1), 65)
    for _ in range(100):  # the first steps load and set up what the libraries need
        module(token, state=state)
    costs, states, memory = [], [held(state)], [resident()]
    for _ in range(10):
        _, processor = timed(lambda: [module(token, state=state) for _ in range(bases // 10)])
        costs.append(round(1e3 * processor / (bases // 10), 3))
        states.append(held(state))
        memory.append(resident())
    return {
        "cpu_ms_a_base_by_tenths": costs,
        "last_tenth_to_first": round(costs[-1] / costs[0], 2),
        "state_bytes_first_and_last": [states[0], states[-1]],
        "process_mb_first_and_last": [round(memory[0]), round(memory[-1])],
    }


def long_filters() -> dict[str, dict[str, float]]:
    """Milliseconds of long filters over 64 channels: as a recurrence, and by FFT.

    Real poles, 16 a channel, as Evo 2 has them. An FFT needs the filter written out, in every pass or
    once with its spectrum kept; the recurrence leaves the state for decoding besides.
    """
    modes = Modes(-torch.rand(64, 16) - 1e-3, torch.randn(64, 16))
    found = {}
    for tokens in (512, 2_048, 8_192, 16_384):
        signal, time_ = torch.randn(1, 64, tokens), torch.arange(tokens, dtype=torch.float32)

        def spectrum(tokens: int = tokens, time_: Tensor = time_) -> Tensor:
            taps = (modes.residues[..., None] * torch.exp(modes.log_poles[..., None] * time_)).sum(
                1
            )
            return torch.fft.rfft(taps, n=2 * tokens)

        def by_fft(of: Tensor, signal: Tensor = signal) -> Tensor:
            size = 2 * signal.shape[-1]
            return torch.fft.irfft(torch.fft.rfft(signal, n=size) * of, n=size)

        kept = spectrum()
        ways: dict[str, Callable[[], Any]] = {
            "recurrence": lambda signal=signal: modal(signal, None, modes),
            "fft": lambda: by_fft(spectrum()),
            "fft, spectrum kept": lambda kept=kept: by_fft(kept),
        }
        found[f"{tokens} tokens"] = {
            name: round(1e3 * min(timed(way)[1] for _ in range(6)), 2) for name, way in ways.items()
        }
    return found


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="evo-2-1b-base")
    parser.add_argument("--tokens", type=int, default=8192)
    parser.add_argument("--decode", type=int, default=100)
    parser.add_argument("--blocks", type=int, default=0)
    parser.add_argument("--dtype", default="bfloat16", choices=("bfloat16", "float32"))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steady", type=int, default=0)
    parser.add_argument("--filters", action="store_true", help="long filters in two ways")
    parser.add_argument("--generation", type=int, choices=(1, 2), help="with --steady: one alone")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with torch.inference_mode():
        if given.filters:
            print(json.dumps({"cpu_ms_of_64_channels": long_filters()}))
            return
        if given.steady:
            found = {
                f"evo-{generation}, {kind}": steady(given.steady, generation, attention=attends)
                for generation in ([given.generation] if given.generation else (1, 2))
                for kind, attends in (("hyena alone", False), ("one block in four attends", True))
            }
            print(json.dumps({"decoded": given.steady, **found}))
            return
        before = peak()
        module = network(given.model, given.blocks or None, getattr(torch, given.dtype))
        weights = sum(each.numel() * each.element_size() for each in module.parameters()) / 1e9
        ids = torch.full((1, given.tokens), 65)
        result: dict[str, Any] = {**vars(given), "weights_gb": round(weights, 2)}
        state = StripedState()

        def prefill() -> None:
            state.blocks, state.tokens = [], 0
            module(ids, state=state)

        def decode() -> None:
            for _ in range(given.decode):
                module(ids[:, :1], state=state)

        for name, run, count in (
            ("prefill", prefill, given.tokens),
            ("decode", decode, given.decode),
        ):
            wall, ours, bare = beside_linear_maps(module, run, given.rounds)
            result[f"{name}_wall_s"] = round(wall, 2)
            result[f"{name}_tokens_a_second"] = round(count / wall, 1)
            result[f"{name}_cpu_s"] = round(ours, 2)
            result[f"{name}_ratio_to_linear_maps"] = round(ours / bare, 2)
        result["peak_above_libraries_gb"] = round(peak() - before, 2)
        print(json.dumps(result))


if __name__ == "__main__":
    main()
