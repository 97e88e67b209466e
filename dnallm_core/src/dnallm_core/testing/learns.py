"""Tier *runs*: fine-tuned for a moment, a small network of the family tells a planted motif."""

from __future__ import annotations

import random
from typing import Any

from ..models.protocols import Embeds
from .promise import NotApplicable, check, require
from .subject import FamilySubject

MOTIF = "TATATATATATA"  # seen by single bases, and by tokens of several in any frame
BATCH, MOST_STEPS, ENOUGH, RATES = 16, 200, 0.1, (5e-3, 1e-2)


@check("C119", "runs", "family")
def check_learns_a_planted_motif(subject: FamilySubject) -> None:
    """Fine-tuned for at most 200 small steps, it tells unseen sequences that hold a planted motif."""
    import torch

    from ..models.heads import Head, HeadedNetwork
    from . import example

    if not ({"classification", "regression"} & set(subject.facts.tasks) and subject.keeps(Embeds)):
        raise NotApplicable("it declares no task that is fine-tuned")
    if "alignment" in subject.facts.inputs:
        raise NotApplicable("it is asked with an alignment")
    _ = subject.tokenizer
    length = max(48, min(subject.length, 600)) if not subject.implementation.pads else 48
    shares = []
    for rate in RATES:  # a network of chance may miss one of them
        own = {name: each.clone() for name, each in subject.tensors.items()}  # they change
        module = example.loaded(subject.implementation, subject.config, own)
        model: Any = subject.implementation(
            subject.model.manifest, module, subject.tokenizer_or_undecided
        )
        width = model.token_states({"input_ids": subject.ids(subject.length)}).shape[-1]
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(0)
            network = HeadedNetwork(model, Head(width, 2, dropout=0.0))
            shares.append(_told_after_training(network, length, rate))
        if shares[-1] >= 0.8:
            return
    require(
        False, f"after {MOST_STEPS} steps it tells {max(shares):.0%} of unseen sequences aright"
    )


def _told_after_training(network: Any, length: int, rate: float) -> float:
    """The share of unseen sequences that are told aright."""
    import torch

    network.train()
    network.network.requires_grad_(True)
    optimiser = torch.optim.AdamW(network.parameters(), lr=rate)
    recent = 1.0
    for step in range(MOST_STEPS):
        texts, labels = _planted(BATCH, length, seed=step)
        logits = network(**network.collated(network.rows(texts)))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(labels))
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        recent = 0.7 * recent + 0.3 * float(loss.detach())
        if recent < ENOUGH:
            break
    texts, labels = _planted(64, length, seed=10_007)
    answers = network.outputs(network.rows(texts)).argmax(1).tolist()
    return sum(a == b for a, b in zip(answers, labels, strict=True)) / len(labels)


def _planted(count: int, length: int, seed: int) -> tuple[list[str], list[int]]:
    """Sequences, every other one with the motif, where whole tokens begin."""
    chooser = random.Random(seed)
    texts = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        if number % 2:
            at = 12 * chooser.randrange((length - len(MOTIF)) // 12 + 1)
            letters[at : at + len(MOTIF)] = MOTIF
        texts.append("".join(letters))
    return texts, [number % 2 for number in range(count)]
