"""Predicted against measured peak memory of training: in full, by LoRA, the head alone, recomputed.

Each run is a process of its own: the network at its real width with random weights (some of its
blocks, so that it is quick), two steps of AdamW as `dnallm train` takes them, and the peak of its
resident memory above what it held with its libraries imported and one small step taken. glibc is told
to give large blocks back when they are freed (MALLOC_MMAP_THRESHOLD_); by itself it keeps many, and
the peak is up to twice as high (`--keep-freed`).

    python benchmarks/training_memory.py [--models ID ...] [--rows 4] [--bases 510] [--layers 4]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from typing import Any

MODELS = (
    "dnabert-6", "nucleotide-transformer-v2-100m", "generator-eukaryote-1.2b", "caduceus-ph-131k",
    "plant-dnamamba-6mer", "hyenadna-small-32k", "evo-2-1b-base", "gpn-brassicales",
)  # fmt: skip
WAYS = (("full", False), ("full", True), ("lora", False), ("lora", True), ("head", False))
MEGABYTE = 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--bases", type=int, default=510)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--keep-freed", action="store_true", help="glibc as it is by itself")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(one(json.loads(options.one))))
        return
    print(f"{'model':32}{'method':18}{'trained':>12}{'measured':>10}{'predicted':>10}{'ratio':>7}")
    for model in options.models:
        for method, again in WAYS:
            job = {**vars(options), "model": model, "method": method, "recompute": again}
            done = subprocess.run(
                [sys.executable, __file__, "--one", json.dumps(job)],
                capture_output=True,
                text=True,
                env=os.environ
                | ({} if options.keep_freed else {"MALLOC_MMAP_THRESHOLD_": "400000"}),
            )
            name = f"{method}{', recomputed' if again else ''}"
            if done.returncode:
                print(f"{model:32}{name:18} {done.stderr.strip().splitlines()[-1][:60]}")
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            ratio = found["predicted"] / found["measured"]
            print(
                f"{model:32}{name:18}{found['trained']:12,}"
                f"{found['measured'] / MEGABYTE:9,.0f}M{found['predicted'] / MEGABYTE:9,.0f}M"
                f"{ratio:7.2f}",
                flush=True,
            )


def one(job: dict[str, Any]) -> dict[str, float]:
    """Two steps; what was held at most, and what was predicted."""
    import gc

    import torch
    from dnallm_core.catalog import catalog
    from dnallm_core.footprint import Training, predict
    from dnallm_core.footprint.shape import SPELLINGS
    from dnallm_core.loading import find_implementation
    from dnallm_core.measuring import run as measuring
    from dnallm_core.models.heads import Head, HeadedNetwork
    from dnallm_core.sequences.tokenizers import tokenizer_for
    from dnallm_core.training import adapters
    from dnallm_core.training.recomputation import recompute

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    device = torch.device("cpu")
    if job["method"] == "lora":  # its libraries are no part of what is measured
        import peft

        peft.inject_adapter_in_model(
            peft.LoraConfig(target_modules=["0"]), torch.nn.ModuleDict({"0": torch.nn.Linear(8, 8)})
        )
    manifest = catalog()[job["model"]]
    implementation = find_implementation(manifest)
    named = next(each for each in SPELLINGS["layers"] if each in manifest.config)
    config = {**manifest.config, named: min(job["layers"], manifest.config[named])}
    for name, value in config.items():
        if name.endswith("_layer_idxs"):
            config[name] = [at for at in value if at < config[named]]
    settings = implementation.read_config(None, config, None)
    warm = torch.nn.Linear(8, 8)
    optimiser = torch.optim.AdamW(warm.parameters())
    warm(torch.ones(2, 8)).sum().backward()
    optimiser.step()
    gc.collect()
    before = measuring._resident(device)
    measuring._reset_peak(device)
    module = measuring.random_network(implementation, settings, torch.float32, device)
    module.requires_grad_(job["method"] == "full")
    specs = manifest.tokenizer if isinstance(manifest.tokenizer, tuple) else (manifest.tokenizer,)
    tokenizer = tokenizer_for(specs, folder=None, vocabulary_size=settings.vocab_size)
    model = implementation(manifest, module, tokenizer, provenance={})
    if job["method"] == "lora":
        adapters.insert(model, rank=8)
    if job["recompute"]:
        recompute(module)
    tokens = int(job["bases"] / (manifest.resolution or 1))
    width = module(input_ids=torch.ones(1, 8, dtype=torch.long)).last_hidden_state.shape[-1]
    network = HeadedNetwork(model, Head(width, 2), frozen=job["method"] == "head")
    trained = [each for each in network.parameters() if each.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-6)
    row = {"input_ids": [1] * tokens, "counted": [True] * tokens}
    for _ in range(2):
        batch = network.train().collated([row] * job["rows"])
        network(**batch).square().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    measured = measuring._peak(device) - before
    facts = replace(
        manifest,
        config=module.config.to_dict() | {named: config[named]},
        parameters=sum(each.numel() for each in module.parameters()),
    )
    how = Training(job["method"], recompute=job["recompute"])
    predicted = predict(facts, job["bases"], job["rows"], mode="training", training=how)
    return {
        "measured": measured,
        "predicted": predicted.total,
        "trained": sum(each.numel() for each in trained),
    }


if __name__ == "__main__":
    main()
