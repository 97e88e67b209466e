"""HyenaDNA on a CPU: beside the FFTs and linear maps in it, its authors' code, and plain batches.

The replay does what no implementation can leave out, at once and without chunks: for every block
the four ``nn.Linear`` calls, and one forward and one inverse real FFT over all channels (filters are
kept, so theirs are not counted). Pass and replay take turns; the ratio is of processor time, which
other programs disturb less than the clock. Weights are random: time and memory don't depend on
them. Peak memory is that of a fresh process above the libraries' own.

    python benchmarks/hyena.py [--model hyenadna-medium-160k] [--tokens 32768] [--rounds 5]
    python benchmarks/hyena.py --model hyenadna-large-1m --tokens 1000002 --rounds 0
    python benchmarks/hyena.py --authors PATH/standalone_hyenadna.py [--rounds 3]
    python benchmarks/hyena.py --short 256 [--authors PATH/standalone_hyenadna.py]

``--authors`` is the file of that name in github.com/HazyResearch/hyena-dna (it needs einops): both
networks get the same weights and must agree, take turns, and are each run once more in a process of
their own for the peak memory. ``--short`` scores that many sequences of 1,024 bp with a network of
hyenadna-tiny-1k's shape: through ``score``, and in a plain loop over batches of 16 ready token ids.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from dnallm_core.catalog import catalog
from dnallm_hyena.convolution import fft_size
from dnallm_hyena.hyenadna import HyenaDNA
from dnallm_hyena.network import HyenaDNAForCausalLM
from torch import Tensor, nn
from torch.nn import functional

import dnallm_core

PLAIN_BATCH = 16


def network(name: str, layers: int | None = None) -> HyenaDNAForCausalLM:
    """A published shape (or its first blocks) with random weights."""
    torch.manual_seed(0)
    config = dict(catalog()[name].config)
    config["n_layer"] = layers or config["n_layer"]
    settings = HyenaDNA.read_config(None, config, None)
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
    """Most memory that this process has held, in GB (ru_maxrss would begin with the parent's)."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0]) * 1024 / 1e9


def authors_network(file: Path, ours: HyenaDNAForCausalLM) -> nn.Module:
    """The authors' backbone of the same shape with the weights of ``ours``."""
    import transformers.tokenization_utils  # noqa: F401  (looks for torchvision before it is stood in for)

    if importlib.util.find_spec("torchvision") is None:

        class StochasticDepth(nn.Identity):
            """What stochastic depth is outside training."""

            def __init__(self, *_: Any, **__: Any) -> None:
                super().__init__()

        operations = types.ModuleType("torchvision.ops")
        operations.StochasticDepth = StochasticDepth  # type: ignore[attr-defined]
        sys.modules["torchvision"] = types.ModuleType("torchvision")
        sys.modules["torchvision.ops"] = operations
    found = importlib.util.spec_from_file_location("standalone_hyenadna", file)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    config = ours.config
    # As the authors' config.json of the published checkpoints has it.
    layer = {
        "_name_": "hyena", "emb_dim": config.emb_dim, "filter_order": config.filter_order,
        "short_filter_order": 3, "l_max": config.max_seq_len, "modulate": True, "w": 10,
        "lr": 6e-4, "wd": 0.0, "lr_pos_emb": 0.0,
    }  # fmt: skip
    theirs: nn.Module = module.HyenaDNAModel(
        d_model=config.d_model, n_layer=config.n_layer, d_inner=config.d_inner,
        vocab_size=config.vocab_size, pad_vocab_size_multiple=8, layer=layer,
        residual_in_fp32=True,
    ).eval()  # fmt: skip
    weights = {k.removeprefix("hyena."): v for k, v in ours.state_dict().items()}
    own = (".pos_emb.z", ".pos_emb.t")
    for key, value in theirs.state_dict().items():
        if not key.endswith(own):  # one sine acts three times
            value.copy_(
                weights[re.sub(r"implicit_filter\.\d+\.freq", "implicit_filter.1.freq", key)]
            )
    return theirs


def beside_authors(given: argparse.Namespace) -> dict[str, Any]:
    """Medians of both networks' times in turns, how far they agree, and each one's peak."""
    ours = network(given.model)
    theirs = authors_network(given.authors, ours)
    ids = torch.randint(7, 12, (1, given.tokens))
    expected = theirs(ids)
    gap = (ours(ids).last_hidden_state - expected).abs().max() / expected.abs().max()
    del expected
    times: dict[str, list[float]] = {"ours": [], "authors": []}
    for _ in range(given.rounds):
        times["ours"].append(seconds(lambda: ours(ids), time.perf_counter))
        times["authors"].append(seconds(lambda: theirs(ids), time.perf_counter))
    medians = {name: statistics.median(each) for name, each in times.items()}
    peaks = {}
    for who in medians:
        command = [sys.executable, __file__, *sys.argv[1:], "--alone", who]
        peaks[who] = float(subprocess.run(command, check=True, capture_output=True).stdout)
    return {
        "largest_difference": float(gap),
        "wall_s": {name: round(each, 2) for name, each in medians.items()},
        "times_faster": round(medians["authors"] / medians["ours"], 2),
        "peak_above_libraries_gb": peaks,
        "part_of_their_memory": round(peaks["ours"] / peaks["authors"], 2),
    }


def alone(given: argparse.Namespace) -> float:
    """Peak of two passes in this process above the libraries and weights, in GB."""
    ours = network(given.model)
    run: Any = ours if given.alone == "ours" else authors_network(given.authors, ours)
    ids = torch.randint(7, 12, (1, given.tokens))
    before = peak()
    for _ in range(2):
        run(ids)
    return round(peak() - before, 3)


def short_sequences(given: argparse.Namespace) -> dict[str, Any]:
    """Sequences of 1,024 bp a second, scored in three ways."""
    ours = network("hyenadna-tiny-1k")
    draw = random.Random(0)
    sequences = ["".join(draw.choices("ACGT", k=1_024)) for _ in range(given.short)]
    with tempfile.TemporaryDirectory() as folder:
        ours.save_pretrained(folder)
        model = dnallm_core.load("hyenadna", weights=folder, device="cpu", dtype="float32")
    ids = torch.tensor([model.tokenizer.encode(each).ids for each in sequences])

    def likelihoods(network: Callable[[Tensor], Tensor]) -> None:
        for some in ids.split(PLAIN_BATCH):
            table = network(some)[:, :-1].log_softmax(-1)
            table.gather(2, some[:, 1:, None]).mean((1, 2)).tolist()

    ways: dict[str, Callable[[], Any]] = {
        "score": lambda: model.score(sequences),
        "plain_loop_same_network": lambda: likelihoods(lambda some: ours(some).logits),
    }
    if given.authors:
        theirs = authors_network(given.authors, ours)
        ways["plain_loop_authors_network"] = lambda: likelihoods(
            lambda some: theirs(some) @ ours.lm_head.weight.T
        )
    times: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way()
    for _ in range(max(1, given.rounds)):
        for name, way in ways.items():
            times[name].append(seconds(way, time.perf_counter))
    rates = {name: round(given.short / statistics.median(each), 1) for name, each in times.items()}
    return {"sequences": given.short, "bp": 1_024, "sequences_a_second": rates}


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="hyenadna-medium-160k")
    parser.add_argument("--tokens", type=int, default=32_768)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--blocks", type=int, help="build so many blocks only")
    parser.add_argument("--authors", type=Path, help="the authors' standalone_hyenadna.py")
    parser.add_argument("--alone", choices=("ours", "authors"), help=argparse.SUPPRESS)
    parser.add_argument("--short", type=int, default=0, help="score so many sequences of 1,024 bp")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    special = alone if given.alone else short_sequences if given.short else beside_authors
    if given.alone or given.short or given.authors:
        with torch.inference_mode():
            said = special(given)
        if not isinstance(said, float):
            said = json.dumps({"model": given.model, "threads": given.threads, **said})
        print(said)
        return
    model = network(given.model, given.blocks)
    ids = torch.randint(7, 12, (1, given.tokens))
    with torch.inference_mode():
        before = peak()
        processor = time.process_time()
        first = seconds(lambda: model(ids), time.perf_counter)
        result = {
            "model": given.model,
            "blocks": model.config.n_layer,
            "tokens": given.tokens,
            "threads": given.threads,
            "first_pass_wall_s": round(first, 2),
            "first_pass_cpu_s": round(time.process_time() - processor, 2),
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
