"""A model card from a run: data, training, curves and figures, nothing written by hand."""

from __future__ import annotations

import csv
import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .bases import SplitGenome

CARD = """# {title}

A small network of the family {family} ({parameters:,} parameters), trained from nothing on one genome
by `dnallm pretrain`. It knows that genome's kind: take it for trying things out, not for findings.

- Data: `{genome}`, SHA-256 `{sha256}`.
- Training region: positions 1 to {edge:,}, both strands. Held out, and never read in training or
  counting: positions {after:,} to {length:,}.
- Training: {steps:,} steps of {rows} windows of {window:,} bp, {bases:,} bases in all; {minutes:.0f}
  minutes, of which {cpu_minutes:.0f} of a {device}'s; peak learning rate {rate:g}, seed {seed},
  products in {format}. The same command on the same machine gives the same weights.
- Targets: {targets}
- Weights: the moving average, in {stored}; SHA-256 `{weights}`.

Held out, bits a base on the same {count:,} {what}, with 95 % of {resamplings:,} resamplings of
{windows} windows of the region:

| | bits a base | |
|---|---|---|
{table}

{sentence}

{smoothing}

Curves (bits a base; the held-out ones are of {looked_at} windows, for watching only):

| step | training | held out |
|---|---|---|
{curves}
"""
MASKED = (
    "Masks stand 4 to 8 bases apart. Tables count the bases behind both sides' neighbours, on both "
    "strands of the training region; pseudocounts (1, 4, 16 or 64, whichever is best on the held-out "
    "region, in the table's favour) are spread by the bases' shares. The interpolated one shrinks "
    "each size onto the next shorter (weights 1, 20, 40, 40), and is what the targets were mixed with."
)
CAUSAL = (
    "The first eighth of each window is read and not judged. Tables of order k count the bases behind "
    "the k before them, on both strands of the training region; pseudocounts (1, 4, 16 or 64, "
    "whichever is best on the held-out region, in the table's favour) are spread by the bases' shares. "
    "The mixtures are order-mixing compressors (of orders 1 to 4, 6 and 8 to 11; and of 12, 14, 16 and "
    "20 too, which know the copies of what they have read): geometric (logistic) mixing, weights by "
    "the longest context seen, fitted on 200,000 bases of the training region with "
    "each base's own occurrence taken out; like the network, they are frozen on the held-out region, of "
    "which they see all that comes before a base, and not a window alone."
)


def write_card(
    folder: Path,
    record: Mapping[str, Any],
    genome: SplitGenome,
    figures: Mapping[str, Any],
    *,
    title: str = "",
    stored: str = "float32",
    more: Mapping[str, Any] | None = None,
    text: str = "",
) -> dict[str, Any]:
    """Write ``card.json`` and ``MODEL_CARD.md`` into the folder of a run; returns the card."""
    from .. import __version__

    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    card = {
        "record": dict(record), "edge": genome.edge, "length": genome.length,
        "contigs": list(genome.contigs)[:20], "weights_sha256": weights, "stored": stored,
        "figures": dict(figures), "dnallm": __version__, **(more or {}),
    }  # fmt: skip
    (folder / "card.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    share, causal = record["share"], record["family_direction"] == "causal"
    targets = "each base itself."
    if share:
        sides = (
            "one-sided contexts of 2 to 12" if causal else "two-sided contexts of 3 + 3 to 6 + 6"
        )
        targets = (
            f"each base, mixed (at first {share:.0%}, at the end not at all) with what counts of "
            f"its {sides} bases in the training region say of it, its own occurrence taken out."
        )
    page = CARD.format(
        title=title or f"{record['family']}, trained on {genome.name}",
        edge=genome.edge, after=genome.edge + 1, length=genome.length, weights=weights,
        stored=stored, targets=targets, what="bases" if causal else "masked bases",
        count=figures["bases"], windows=figures["windows"], resamplings=2_000,
        sentence=figures["sentence"], smoothing=CAUSAL if causal else MASKED,
        format="bfloat16" if record["bfloat16"] else "float32",
        table="\n".join(
            "| {} | {:.4f} | {:.4f} to {:.4f} |".format(row["name"], row["bits"], *row["interval"])
            for row in figures["rows"]
        ),
        curves=_curves(folder / "curves.tsv"), looked_at=record["looked_at"],
        **record["schedule"],
        **{
            key: record[key]
            for key in (
                "family", "parameters", "genome", "sha256", "window", "bases", "minutes",
                "cpu_minutes", "device", "seed",
            )
        },
    )  # fmt: skip
    (folder / "MODEL_CARD.md").write_text(page + text, encoding="utf-8")
    return card


def _curves(path: Path, lines: int = 10) -> str:
    """Some of the noted losses as rows of a table, in bits."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    training = {int(row["step"]): float(row["loss"]) for row in rows if row["loss"]}
    held_out = {int(row["step"]): float(row["eval_loss"]) for row in rows if row["eval_loss"]}
    steps = sorted(held_out)
    shown = steps[:: max(1, math.ceil(len(steps) / lines))]
    shown = shown if not steps or shown[-1] == steps[-1] else [*shown, steps[-1]]
    return "\n".join(
        f"| {step:,} | {training.get(step, math.nan) / math.log(2):.4f} | "
        f"{held_out[step] / math.log(2):.4f} |"
        for step in shown
    )
