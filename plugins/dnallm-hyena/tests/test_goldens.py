"""HyenaDNA in its authors' layouts gives the authors' numbers."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dnallm_core.models import Model

import dnallm_core

GOLDEN = Path(__file__).parent / "golden" / "hyenadna"
VARIANTS = sorted(each.name for each in GOLDEN.iterdir())
CASES = [
    (variant, case)
    for variant in VARIANTS
    for case in json.loads((GOLDEN / variant / "inputs.json").read_text())["cases"]
]


@cache
def loaded(variant: str) -> Model:
    return dnallm_core.load("hyenadna", weights=GOLDEN / variant, device="cpu", dtype="float32")


def inputs(variant: str, case: str) -> dict[str, Any]:
    return json.loads((GOLDEN / variant / "inputs.json").read_text())["cases"][case]


def assert_agrees(variant: str, case: str, name: str, ours: torch.Tensor) -> None:
    about = json.loads((GOLDEN / variant / "about.json").read_text())
    expected = np.load(GOLDEN / variant / "expected.npz")[f"{case}.{name}"]
    deviation = np.abs(ours.numpy() - expected).max() / max(1.0, np.abs(expected).max())
    assert deviation <= about["tolerance"], f"{name}: {deviation:.2e}"


@pytest.mark.parametrize(("variant", "case"), CASES)
def test_the_whole_forward_pass_agrees(variant: str, case: str) -> None:
    ids = torch.tensor(inputs(variant, case)["input_ids"])
    with torch.inference_mode():
        output = loaded(variant).module(input_ids=ids)
    assert_agrees(variant, case, "logits", output.logits)
    assert_agrees(variant, case, "last_hidden_state", output.last_hidden_state)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_prefix_in_pieces_then_single_tokens_agrees(variant: str) -> None:
    model = loaded(variant)
    ids = torch.tensor(inputs(variant, "plain")["input_ids"])
    state, logits = None, []
    with torch.inference_mode():
        for piece in (ids[:, :5], ids[:, 5:6], ids[:, 6:40], *ids[:, 40:].split(1, dim=1)):
            step = model.advance(piece, state)
            state = step.state
            logits.append(step.logits)
    assert_agrees(variant, "plain", "logits", torch.cat(logits, dim=1))


@pytest.mark.parametrize("variant", VARIANTS)
def test_sequences_become_the_authors_ids(variant: str) -> None:
    tokenizer = loaded(variant).tokenizer
    for case in json.loads((GOLDEN / variant / "tokens.json").read_text())["cases"]:
        found = tokenizer.encode(case["sequence"], special_tokens=case["special_tokens"]).ids
        assert found == case["ids"], case["sequence"]
