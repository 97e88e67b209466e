"""Put a network that ``dnallm pretrain`` made into a plugin: in float16, with a card of what it reaches.

    python tools/bundle_model.py RUN --name gpn-ecoli-tiny --genome ecoli_536.fa.gz \\
        --other "phage lambda" lambda_phage.fa.gz --into plugins/dnallm-gpn/src/dnallm_gpn/weights

The figures on the card are those of the rounded weights, as they ship. The manifest's row is written
by hand.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import load
from dnallm_core.models import Model
from dnallm_core.pretraining.bases import (
    Bases,
    SplitGenome,
    read_bases,
    reverse_complement,
    split_genome,
)
from dnallm_core.pretraining.card import write_card
from dnallm_core.pretraining.contexts import context_numbers
from dnallm_core.pretraining.measuring import measured
from safetensors.torch import load_file, save_file
from stop_gain import held_out_genes, stop_gain

GENES = Path(__file__).resolve().parents[1] / "docs/demo/data/ecoli_536_genes.tsv.gz"
COPIES = """
Bases that follow {order} bases which stand, on either strand, in the training region: {shares}.
They are copies. What stores every word that it has read (long tables, mixtures of long orders) knows such
stretches by heart; a network of this size, trained so briefly, stores no genome. More of both, or a
memory beside the network, would be needed to gain from copies.
"""
ELSEWHERE = """
On genomes of other kinds, beside the same counts of the training region:

| | network | best counts | |
|---|---|---|---|
{rows}
"""
CONSEQUENCES = """
Substitutions that gain a stop against synonymous ones, in {genes} held-out genes (predictions of
pyrodigal): AUROC, mean over genes with 95 % of 2,000 resamplings of the genes.

| | AUROC | |
|---|---|---|
{rows}

Gene by gene, the network's is {margin:+.4f} ({low:+.4f} to {high:+.4f}) from that of the best counts
({best}).
"""


def copied(training: Bases, bases: Bases, order: int = 20) -> float:
    """The share of bases that follow a word of the training region."""
    strands = (training, reverse_complement(training))
    known = np.unique(np.concatenate([context_numbers(each, order, 0) for each in strands]))
    number = context_numbers(bases, order, 0)
    return float(np.isin(number[number >= 0], known).mean())


def judged(
    model: Model, genome: SplitGenome, window: int, others: dict[str, Bases]
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Figures of the held-out region; text and facts of copies, other genomes and consequences."""
    figures = measured(model, genome, window, others=others)
    stretches = {"this region": genome.held_out, **others}
    copies = {name: copied(genome.training, each) for name, each in stretches.items()}
    shares = ", ".join(f"{share:.1%} ({name})" for name, share in copies.items())
    more: dict[str, Any]
    text, more = COPIES.format(shares=shares, order=20), {"copied": copies}
    if figures["elsewhere"]:
        rows = []
        for name, each in figures["elsewhere"].items():
            own = next(row for row in each["rows"] if row["name"] == each["network"])
            least = next(row for row in each["rows"] if row["name"] == each["best"])
            rows.append(
                f"| {name} ({each['bases']:,} bases) | {own['bits']:.4f} "
                f"({own['interval'][0]:.4f} to {own['interval'][1]:.4f}) | {least['bits']:.4f} "
                f"({least['interval'][0]:.4f} to {least['interval'][1]:.4f}) | {each['best']} |"
            )
        text += ELSEWHERE.format(rows="\n".join(rows))
    if model.tokenizer.mask_id is not None and model.manifest.direction == "bidirectional":
        found = stop_gain(model, genome, held_out_genes(GENES, genome), window)
        more["stop_gain"] = found
        lines = [
            f"| {name} | {row['auroc']:.4f} | {row['interval'][0]:.4f} to {row['interval'][1]:.4f} |"
            for name, row in found["rows"].items()
        ]
        text += CONSEQUENCES.format(
            genes=found["genes"],
            rows="\n".join(lines),
            margin=found["margin"]["auroc"],
            low=found["margin"]["interval"][0],
            high=found["margin"]["interval"][1],
            best=found["margin"]["best"],
        )
    return figures, text, more


def main() -> None:
    """Round, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--other", nargs=2, action="append", default=[], metavar=("NAME", "FASTA"))
    parser.add_argument("--into", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    content = json.loads((arguments.run / "run.json").read_text())
    settings = content["settings"]
    folder = arguments.into / arguments.name
    folder.mkdir(parents=True, exist_ok=True)
    tensors = load_file(arguments.run / "model.safetensors")
    halved = {name: each.half() for name, each in tensors.items()}
    save_file(halved, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    shutil.copyfile(arguments.run / "config.json", folder / "config.json")
    shutil.copyfile(arguments.run / "curves.tsv", folder / "curves.tsv")
    model = load(settings["family"], weights=folder, device="cpu", dtype="float32")
    genome = split_genome(arguments.genome, settings["window"], settings["held_out"])
    assert genome.digest == settings["sha256"], "the run was trained on another genome"
    others = {name: read_bases(Path(path))[0] for name, path in arguments.other}
    figures, text, more = judged(model, genome, settings["window"], others)
    facts = catalog().family(settings["family"])
    assert facts is not None
    steps = int(content["took"]["bases"]) // (settings["schedule"]["rows"] * settings["window"])
    record = {
        **settings, **content["took"], "family_direction": facts.direction,
        "schedule": {**settings["schedule"], "steps": steps},
    }  # fmt: skip
    write_card(
        folder,
        record,
        genome,
        figures,
        title=arguments.name,
        stored="float16",
        more=more,
        text=text,
    )
    assert np.isfinite([row["bits"] for row in figures["rows"]]).all()
    print((folder / "MODEL_CARD.md").read_text())


if __name__ == "__main__":
    main()
