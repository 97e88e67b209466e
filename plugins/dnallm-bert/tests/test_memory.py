"""Loading a checkpoint takes little more memory than its weights.

Measured in this process, as another one would spend seconds on imports. Free memory is given back
to the system before: what is then taken counts, even where something lay there earlier.
"""

from __future__ import annotations

import ctypes
import gc
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from dnallm_core.loading import build, find_implementation
from safetensors.torch import save_file
from torch import Tensor

import dnallm_core

CONFIG = {
    "vocab_size": 4101,
    "hidden_size": 512,
    "num_hidden_layers": 5,
    "num_attention_heads": 8,
    "intermediate_size": 2048,
    "max_position_embeddings": 512,
}
GIVE_BACK = (
    getattr(ctypes.CDLL(None), "malloc_trim", None) if Path("/proc/self/status").exists() else None
)
pytestmark = pytest.mark.skipif(GIVE_BACK is None, reason="needs Linux's /proc and glibc")


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say")


def taken(work: Callable[[], object]) -> tuple[object, int]:
    """What ``work`` returns, and the most anonymous bytes above the beginning while it ran."""
    gc.collect()
    GIVE_BACK(0)
    before, peak, done = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = work()
    done.set()
    watcher.join()
    return result, max(peak, anonymous()) - before


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """The weights of a BERT of 74 MB under the authors' names."""
    implementation = find_implementation(dnallm_core.catalog()["dnabert-6"])
    with torch.device("meta"):
        module = build(implementation, implementation.read_config(None, CONFIG, None))
    return {
        name: torch.full(each.shape, 0.01, device="cpu")
        for name, each in module.state_dict().items()
        if not name.startswith("cls.predictions.decoder")  # tied
    }


def size(tensors: dict[str, Tensor]) -> int:
    return sum(each.numel() * each.element_size() for each in tensors.values())


def test_the_measure_counts_a_copy_even_where_memory_was_freed_before(tensors):
    earlier = [each.clone() for each in tensors.values()]
    del earlier
    copies, peak = taken(lambda: [each.clone() for each in tensors.values()])
    assert copies
    assert peak >= 0.99 * size(tensors)


@pytest.mark.parametrize("form", ["safetensors", "bin"])
def test_anonymous_memory_stays_below_a_tenth_above_the_weights(form, tensors, tmp_path, golden):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    if form == "safetensors":
        save_file(tensors, tmp_path / "model.safetensors")
    else:
        torch.save(tensors, tmp_path / "pytorch_model.bin")
    # What loading imports is not what it takes.
    dnallm_core.load("dnabert", weights=golden / "dnabert" / "k6", device="cpu", dtype="float32")
    model, peak = taken(
        lambda: dnallm_core.load("dnabert", weights=tmp_path, device="cpu", dtype="float32")
    )
    weights = size(tensors)
    assert sum(each.numel() for each in model.module.parameters()) * 4 == weights
    assert weights > 70_000_000
    assert peak <= 1.1 * weights
