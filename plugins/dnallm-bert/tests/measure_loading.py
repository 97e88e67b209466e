"""Prints the bytes of a made-up checkpoint's weights and the anonymous memory that loading took."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path

import torch
from dnallm_core.loading import build, find_implementation
from safetensors.torch import save_file

import dnallm_core


def anonymous() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say")


def main(form: str, folder: Path) -> None:
    config = {
        "vocab_size": 4101,
        "hidden_size": 512,
        "num_hidden_layers": 7,
        "num_attention_heads": 8,
        "intermediate_size": 2048,
        "max_position_embeddings": 512,
    }
    (folder / "config.json").write_text(json.dumps(config))
    implementation = find_implementation(dnallm_core.catalog()["dnabert-6"])
    module = build(implementation, implementation.read_config(None, config, None))
    tensors = {
        name: torch.full(each.shape, 0.01)
        for name, each in module.state_dict().items()
        if not name.startswith("cls.predictions.decoder")  # tied
    }
    weights = sum(each.numel() * each.element_size() for each in tensors.values())
    if form == "safetensors":
        save_file(tensors, folder / "model.safetensors")
    else:
        torch.save(tensors, folder / "pytorch_model.bin")
    del module, tensors
    small = Path(__file__).parent / "golden" / "dnabert" / "k6"  # what loading imports, imported
    dnallm_core.load("dnabert", weights=small, device="cpu", dtype="float32")

    before, peak, done = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.001):
            peak = max(peak, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    model = dnallm_core.load("dnabert", weights=folder, device="cpu", dtype="float32")
    done.set()
    watcher.join()
    assert sum(each.numel() for each in model.module.parameters()) * 4 == weights
    print(weights, max(peak, anonymous()) - before)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
