"""Measure a bundled model as ``bundle_model.py`` does, and add the figures to the card that it has.

    python tools/measure_bundled.py caduceus-ecoli-tiny --genome ecoli_536.fa.gz \\
        --other "phage lambda" lambda_phage.fa.gz

For a model that was bundled by other code than that.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import torch
from bundle_model import judged
from dnallm_core.loading import load
from dnallm_core.pretraining.bases import read_bases, split_genome

HEADING = "\n## Measured as the other bundled models are\n"
HELD_OUT = """
Weights in float16: SHA-256 `{weights}`.
Held out, bits a base on the same {count:,} masked bases, with 95 % of 2,000 resamplings of {windows}
windows of the region:

| | bits a base | |
|---|---|---|
{table}

{sentence}
"""


def main() -> None:
    """Measure, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name")
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--other", nargs=2, action="append", default=[], metavar=("NAME", "FASTA"))
    parser.add_argument("--window", type=int, default=1_024)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model = load(arguments.name, device="cpu", dtype="float32")
    genome = split_genome(arguments.genome, arguments.window)
    others = {name: read_bases(Path(path))[0] for name, path in arguments.other}
    figures, text, more = judged(model, genome, arguments.window, others)
    assert model.folder is not None
    weights = hashlib.sha256((model.folder / "model.safetensors").read_bytes()).hexdigest()
    card = json.loads((model.folder / "card.json").read_text())
    card.update(weights_sha256=weights, figures=figures, **more)
    (model.folder / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    table = "\n".join(
        "| {} | {:.4f} | {:.4f} to {:.4f} |".format(row["name"], row["bits"], *row["interval"])
        for row in figures["rows"]
    )
    page = (model.folder / "MODEL_CARD.md").read_text().partition(HEADING)[0]
    page += HEADING + HELD_OUT.format(
        weights=weights, count=figures["bases"], windows=figures["windows"], table=table,
        sentence=figures["sentence"],
    )  # fmt: skip
    (model.folder / "MODEL_CARD.md").write_text(page + text)
    print(page + text)


if __name__ == "__main__":
    main()
