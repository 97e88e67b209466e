"""What loading a checkpoint of published size takes: seconds and anonymous memory beside its weights.

A made-up checkpoint in shards of 2 GB is written to a temporary folder, then loaded by another
process that watches its own anonymous memory. Values don't matter to either.

    python benchmarks/loading.py [--models NAME ...] [--folder SCRATCH] [--dtype bfloat16]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch
from dnallm_core.loading import build, find_implementation
from safetensors.torch import save_file

import dnallm_core

DEFAULT = (
    "dnabert-2-117m",
    "nucleotide-transformer-500m-human-ref",
    "nucleotide-transformer-2.5b-multi-species",
)
SHARD = 2_000_000_000


def write(name: str, folder: Path, dtype: torch.dtype) -> int:
    """A checkpoint of the model's size under the network's own names; the bytes of its weights."""
    manifest = dnallm_core.catalog()[name]
    implementation = find_implementation(manifest)
    module = build(implementation, implementation.read_config(None, manifest.config, None))
    (folder / "config.json").write_text(json.dumps(dict(manifest.config)))
    shards: list[list[str]] = [[]]
    held = total = 0
    seen: set[int] = set()
    state = module.state_dict(keep_vars=True)
    for key, tensor in state.items():
        if id(tensor) in seen:  # tied
            continue
        seen.add(id(tensor))
        size = tensor.numel() * dtype.itemsize
        if held + size > SHARD and shards[-1]:
            shards.append([])
            held = 0
        shards[-1].append(key)
        held += size
        total += size
    places = {}
    for number, keys in enumerate(shards, 1):
        file = f"model-{number:05}-of-{len(shards):05}.safetensors"
        tensors = {key: torch.full(state[key].shape, 0.01, dtype=dtype) for key in keys}
        save_file(tensors, folder / file)
        places.update(dict.fromkeys(keys, file))
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return total


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel does not say")


def measure(family: str, folder: Path, dtype: str) -> None:
    """Load in this process and print seconds and the most anonymous memory above the beginning."""
    import transformers  # noqa: F401  # what loading imports is not what it takes

    find_implementation(dnallm_core.catalog().family(family))
    before, peak, done = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    model = dnallm_core.load(family, weights=folder, device="cpu", dtype=dtype)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    parameters = sum(each.numel() for each in model.module.parameters())
    peak = max(peak, anonymous()) - before
    print(json.dumps({"seconds": seconds, "anonymous bytes": peak, "parameters": parameters}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(DEFAULT))
    parser.add_argument("--folder", help="where the checkpoints are written for the time")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--measure", nargs=2, metavar=("FAMILY", "CHECKPOINT"))
    options = parser.parse_args()
    if options.measure:
        measure(options.measure[0], Path(options.measure[1]), options.dtype)
        return
    report = {}
    for name in options.models:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            weights = write(name, Path(folder), getattr(torch, options.dtype))
            family = dnallm_core.catalog()[name].family
            done = subprocess.run(
                [sys.executable, __file__, "--measure", family, folder, "--dtype", options.dtype],
                capture_output=True,
                text=True,
                check=True,
            )
            taken = json.loads(done.stdout.splitlines()[-1])
            report[name] = {
                "weights bytes": weights,
                **taken,
                "anonymous over weights (at most 1.1)": taken["anonymous bytes"] / weights,
            }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
