"""Put a trained network into the package: in float16, with a card that says what it reaches.

    python pack_bundled.py --genome ecoli_536.fa.gz --work FOLDER --into ../src/dnallm_mamba/weights

The figures on the card are those of the rounded weights, as they ship.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from dnallm_mamba.caduceus import CaduceusForMaskedLM
from train_bundled import (
    SEED,
    TEACHER_SHARE,
    WINDOW,
    count_table,
    held_out_bits,
    read_genome,
)

NAME = "caduceus-ecoli-tiny"
CARD = """# {name}

A small Caduceus-Ph ({parameters:,} parameters), trained for `dnallm-mamba` so that something runs
without a download. It knows one bacterium: take it for trying things out, not for findings.

- Data: one genome, *Escherichia coli* 536 (`{file}`, SHA-256 `{sha256}`).
- Training region: positions 1 to {edge:,}, both strands. Held out, and never read in training or
  counting: positions {after:,} to {length:,}, the last tenth.
- Training: {steps:,} steps, {bases:,} bases, {minutes:.0f} minutes on part of one CPU core, seed {seed};
  `training/train_bundled.py`. Windows of {window:,} bp, masks 4 to 8 bases apart. The targets were in
  part (at first {share:.0%}, at the end none) what counts of the training region's contexts say of a
  base. The learning rate follows the clock, so that a run elsewhere gives similar, not equal, weights.
- Storage: float16, exact in float32 when loaded.

Held out, bits a masked base, all on the same {count:,} masked bases:

| | bits |
|---|---|
| this network, one strand | {network:.4f} |
| this network, mean of both strands' probabilities | {both:.4f} |
| table of counts of 4 + 4 neighbours | {table:.4f} |
| no context | 2.0 |

The table counts both strands of the training region; one pseudocount is spread by the bases' shares.
"""


def main() -> None:
    """Round, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    genome = read_genome(arguments.genome)
    edge = len(genome) * 9 // 10
    module = CaduceusForMaskedLM.from_pretrained(arguments.work / "final").half().float()
    bits = held_out_bits(module, count_table(genome[:edge]), genome[edge:], 480)
    run = json.loads((arguments.work / "report.json").read_text())
    folder = arguments.into / NAME
    module.half().save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config["dtype"] = "float32"  # what it runs in; the file stores half of each number's bytes
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    card = {
        "parameters": sum(each.numel() for each in module.parameters()),
        "file": arguments.genome.name,
        "sha256": hashlib.sha256(arguments.genome.read_bytes()).hexdigest(),
        "edge": edge,
        "length": len(genome),
        "steps": run["steps"],
        "bases": run["steps"] * 8 * WINDOW,
        "minutes": run["minutes"],
        "seed": SEED,
        "network": bits["network"],
        "both": bits["both strands"],
        "table": bits["table"],
        "count": bits["bases"],
    }
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    text = CARD.format(name=NAME, after=edge + 1, window=WINDOW, share=TEACHER_SHARE, **card)
    (folder / "MODEL_CARD.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
