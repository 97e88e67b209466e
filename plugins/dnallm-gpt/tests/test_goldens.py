"""The authors' numbers: each golden loads as it stands and agrees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dnallm_core import load

GOLDEN = Path(__file__).parent / "golden"
CASES = (
    "dnagpt/h_like",
    "plant-dnagpt/base",
    "generator/base",
    "omni-dna/rms",
    "omni-dna/plain",
    "plant-dnagemma/base",
    "genomeocean/base",
    "mistral-dna/base",
)


@pytest.fixture(scope="module", params=CASES)
def golden(request):
    folder = GOLDEN / request.param
    about = json.loads((folder / "about.json").read_text())
    model = load(
        about["family"],
        weights=folder,
        config=about.get("arguments"),
        device="cpu",
        dtype="float32",
    )
    return folder, about, model


def test_states_and_logits_equal_the_authors(golden):
    folder, about, model = golden
    expected = np.load(folder / "expected.npz")
    compared = 0
    for name, case in json.loads((folder / "inputs.json").read_text())["cases"].items():
        inputs = {key: torch.tensor(value) for key, value in case.items() if key != "sequences"}
        with torch.inference_mode():
            output = model.module(**inputs)
        real = np.array(case.get("attention_mask", []), dtype=bool)
        for key in (each for each in expected if each.startswith(f"{name}.")):
            ours, theirs = getattr(output, key.split(".")[1]).numpy(), expected[key]
            assert ours.shape == theirs.shape
            if real.size:
                ours, theirs = ours[real], theirs[real]
            bound = about["tolerance"] * max(1, np.abs(theirs).max())
            assert np.abs(ours - theirs).max() <= bound, key
            compared += 1
    assert compared == len(expected.files)


def test_left_padding_changes_nothing(golden):
    folder, about, model = golden
    expected = np.load(folder / "expected.npz")
    case = json.loads((folder / "inputs.json").read_text())["cases"]["padded"]
    for row, (ids, mask) in enumerate(zip(case["input_ids"], case["attention_mask"], strict=True)):
        real = sum(mask)
        padded = torch.tensor([[ids[-1]] * 4 + ids[:real]])
        left = torch.tensor([[0] * 4 + [1] * real])
        with torch.inference_mode():
            ours = model.module(input_ids=padded, attention_mask=left).last_hidden_state[0, 4:]
        theirs = expected["padded.last_hidden_state"][row, :real]
        bound = about["tolerance"] * max(1, np.abs(theirs).max())
        assert np.abs(ours.numpy() - theirs).max() <= bound


def test_tokens_equal_the_authors(golden):
    folder, _, model = golden
    if not (folder / "tokens.json").exists():
        pytest.skip("the golden has no tokens")
    for case in json.loads((folder / "tokens.json").read_text())["cases"]:
        ids = model.tokenizer.encode(case["sequence"], special_tokens=case["special_tokens"]).ids
        assert ids == case["ids"], case["sequence"]


def test_the_texts_of_the_cases_give_their_ids(golden):
    folder, _, model = golden
    for case in json.loads((folder / "inputs.json").read_text())["cases"].values():
        for text, ids in zip(case.get("sequences", []), case["input_ids"], strict=False):
            own = model.tokenizer.encode(text).ids
            assert own == ids[: len(own)]
