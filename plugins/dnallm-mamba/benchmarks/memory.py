"""Peak memory: a long Caduceus-PS forward, and a score streamed through Plant DNAMamba.

    python memory.py caduceus 131072 [LAYERS]
    python memory.py stream 1000000
    python memory.py command 1000000      # the same as a user's ``dnallm score FILE``
    python memory.py training             # forward and backward by length, blocks kept or recomputed

Random weights (memory does not depend on them). Run each in a process of its own: the figure is the
process's highest, printed beside what it was before the work.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from dnallm_core.catalog import catalog
from dnallm_core.sequences.tokenizers import tokenizer_for
from dnallm_core.training.recomputation import recompute
from dnallm_mamba.caduceus import CaduceusConfig, CaduceusForMaskedLM
from dnallm_mamba.plant_dnamamba import PlantDNAMamba

COMMAND = [sys.executable, "-c", "from dnallm_core.cli.main import main; raise SystemExit(main())"]


def highest() -> float:
    """GB (10^9 bytes) at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def caduceus(length: int, layers: int) -> None:
    """One forward of Caduceus-PS, width 256."""
    config = CaduceusConfig(d_model=256, n_layer=layers, vocab_size=16, rcps=True)
    module = CaduceusForMaskedLM(config).eval()
    ids = torch.randint(7, 11, (1, length))
    with torch.no_grad():
        module(input_ids=ids)


SIZES = {"hidden_size": 128, "num_hidden_layers": 4, "vocab_size": 11}


def random_sequence(length: int) -> str:
    """Random bases."""
    places = np.random.default_rng(0).integers(0, 4, length)
    return np.frombuffer(b"ACGT", np.uint8)[places].tobytes().decode()


def stream(length: int) -> None:
    """One score of a random sequence, 4 layers of width 128."""
    family = catalog().family("plant-dnamamba")
    config = PlantDNAMamba.read_config(None, SIZES, None)
    tokenizer = tokenizer_for(family.tokenizer, folder=None, vocabulary_size=11)
    model = PlantDNAMamba(family, PlantDNAMamba.build(config).eval(), tokenizer)
    print(f"score {float(model.score(random_sequence(length))[0]):.4f}")


def command(length: int) -> None:
    """The same through the command, in a process of its own, from a checkpoint and a FASTA file."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        config = PlantDNAMamba.read_config(None, SIZES, None)
        PlantDNAMamba.build(config).save_pretrained(folder / "checkpoint")
        (folder / "one.fa").write_text(f">one\n{random_sequence(length)}\n")
        given = ["plant-dnamamba", "one.fa", "-o", "one.tsv", "--weights", "checkpoint"]
        subprocess.run([*COMMAND, "score", *given, "--device", "cpu"], cwd=folder, check=True)
        print((folder / "one.tsv").read_text().strip())
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"the command itself: {spent.ru_maxrss * 1024 / 1e9:.2f} GB, {spent.ru_utime:.0f} CPU s")


def step(length: int, layers: int, again: int) -> None:
    """One forward and backward pass of Caduceus-Ph, width 256; two short ones first warm up."""
    config = CaduceusConfig(d_model=256, n_layer=layers, vocab_size=16)
    module = CaduceusForMaskedLM(config).train()
    if again:
        recompute(module)
    for positions in (64, 64, length):
        ids = torch.randint(7, 11, (1, positions))
        if positions == length:
            print(f"before {highest()}")
        module(input_ids=ids, labels=ids).loss.backward()
    print(f"after {highest()}")


def training() -> None:
    """A table: what one step needs above the network and its gradients, in MB."""
    lengths, layers = (2048, 4096, 8192), (4, 8)
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1000000"}  # freed blocks are given back
    for count in layers:
        for again in (0, 1):
            row = []
            for length in lengths:
                command = [sys.executable, __file__, "step", str(length), str(count), str(again)]
                done = subprocess.run(command, capture_output=True, text=True, env=environment)
                said = dict(line.split()[:2] for line in done.stdout.splitlines())
                row.append(1000 * (float(said["after"]) - float(said["before"])))
            how = "recomputed" if again else "kept"
            figures = " ".join(
                f"{length:,} bp {each:6.0f} MB" for length, each in zip(lengths, row, strict=True)
            )
            print(f"{count} blocks, {how:10} {figures}", flush=True)


def main() -> None:
    """Do what was asked and print the figures."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    begun, before = time.process_time(), highest()
    if sys.argv[1] == "caduceus":
        caduceus(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 16)
    elif sys.argv[1] == "step":
        step(*(int(each) for each in sys.argv[2:]))
        return
    elif sys.argv[1] == "training":
        training()
        return
    else:
        {"stream": stream, "command": command}[sys.argv[1]](int(sys.argv[2]))
    seconds = time.process_time() - begun
    print(f"{' '.join(sys.argv[1:])}: {highest():.2f} GB, {before:.2f} before; {seconds:.0f} CPU s")


if __name__ == "__main__":
    main()
