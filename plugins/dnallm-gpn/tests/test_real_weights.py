"""The published weights give the numbers that their authors' tests pin; skipped where not at hand."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
import torch
from dnallm_core.errors import WeightsUnavailableError

import dnallm_core

PINNED = json.loads(files("dnallm_gpn").joinpath("facts/rates.json").read_text())


@pytest.mark.parametrize("name", PINNED)
def test_pinned_rates_come_out(name: str) -> None:
    try:
        model = dnallm_core.load(name, offline=True, device="cpu", dtype="float32")
    except (WeightsUnavailableError, ImportError):
        pytest.skip(f"the weights of {name} are not on this machine")
    left, right = model.receptive_field()
    for row in PINNED[name]:
        text = row["flank"] * left + row["sequence"] + row["flank"] * right
        ids = torch.tensor([model.tokenizer.encode(text).ids])
        with torch.inference_mode():
            rates = model.substitution_logits({"input_ids": ids})[0, row["position"] - 1]
        torch.testing.assert_close(rates, torch.tensor(row["values"]), rtol=1e-4, atol=1e-4)
