"""Evo in its authors' layouts gives the authors' numbers, whole and token by token.

Two folders lie beside this file; the others are read from ``shared/golden`` beside the checkout,
where that exists.
"""

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

HERE = Path(__file__).parent / "golden"
BESIDE = Path(__file__).parents[4] / "shared" / "golden"
FOLDERS = {
    f"{folder.parent.name}/{folder.name}": folder
    for root in (BESIDE, HERE)
    for family in ("evo-1", "evo-2")
    if (root / family).is_dir()
    for folder in sorted((root / family).iterdir())
}
CASES = [
    (name, case)
    for name, folder in FOLDERS.items()
    for case in json.loads((folder / "inputs.json").read_text())["cases"]
]


@cache
def loaded(name: str) -> Model:
    family = name.partition("/")[0]
    return dnallm_core.load(family, weights=FOLDERS[name], device="cpu", dtype="float32")


def inputs(name: str, case: str) -> dict[str, Any]:
    return json.loads((FOLDERS[name] / "inputs.json").read_text())["cases"][case]


def assert_agrees(name: str, case: str, array: str, ours: torch.Tensor) -> None:
    with np.load(FOLDERS[name] / "expected.npz") as file:
        key = f"{case}.{array}"
        if key not in file:  # left out for size: about.json says so
            assert (case.startswith("gen") and array == "last_hidden_state") or array == "logits"
            return
        expected = file[key]
    about = json.loads((FOLDERS[name] / "about.json").read_text())
    difference = np.abs(ours.numpy() - expected)
    if "attention_mask" in inputs(name, case):
        difference = difference[np.array(inputs(name, case)["attention_mask"], dtype=bool)]
    deviation = difference.max() / max(1.0, np.abs(expected).max())
    assert deviation <= about["tolerance"], f"{array}: {deviation:.2e}"


@pytest.mark.parametrize(("name", "case"), CASES)
def test_the_whole_forward_pass_agrees(name: str, case: str) -> None:
    given = inputs(name, case)
    tensors = {k: torch.tensor(given[k]) for k in ("input_ids", "attention_mask") if k in given}
    with torch.inference_mode():
        output = loaded(name).module(**tensors)
    assert_agrees(name, case, "logits", output.logits)
    assert_agrees(name, case, "last_hidden_state", output.last_hidden_state)


@pytest.mark.parametrize(("name", "case"), [each for each in CASES if each[1].startswith("gen")])
def test_a_prompt_and_then_single_tokens_agree(name: str, case: str) -> None:
    model, given = loaded(name), inputs(name, case)
    ids, prompt = torch.tensor(given["input_ids"]), given["prompt_length"]
    with torch.inference_mode():
        logits, state = model.advance(ids[:, :prompt])
        pieces = [logits]
        for token in ids[:, prompt:].split(1, dim=1):
            logits, state = model.advance(token, state)
            pieces.append(logits)
        whole = model.module(input_ids=ids).logits
    stepped = torch.cat(pieces, dim=1)
    assert_agrees(name, case, "logits", stepped)
    assert torch.allclose(stepped, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("name", FOLDERS)
def test_sequences_become_the_authors_ids(name: str) -> None:
    tokenizer = loaded(name).tokenizer
    for case in json.loads((FOLDERS[name] / "tokens.json").read_text())["cases"]:
        found = tokenizer.encode(case["sequence"], special_tokens=case["special_tokens"]).ids
        assert found == case["ids"], case["sequence"]
