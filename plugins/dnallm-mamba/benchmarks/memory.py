"""Peak memory: a long Caduceus-PS forward, and a score streamed through Plant DNAMamba.

    python memory.py caduceus 131072 [LAYERS]
    python memory.py stream 1000000
    python memory.py command 1000000      # the same as a user's ``dnallm score FILE``

Random weights (memory does not depend on them). Run each in a process of its own: the figure is the
process's highest, printed beside what it was before the work.
"""

from __future__ import annotations

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


def main() -> None:
    """Do what was asked and print the figures."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    begun, before = time.process_time(), highest()
    if sys.argv[1] == "caduceus":
        caduceus(int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 16)
    else:
        {"stream": stream, "command": command}[sys.argv[1]](int(sys.argv[2]))
    seconds = time.process_time() - begun
    print(f"{' '.join(sys.argv[1:])}: {highest():.2f} GB, {before:.2f} before; {seconds:.0f} CPU s")


if __name__ == "__main__":
    main()
