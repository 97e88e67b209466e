"""Weights in 8 bits: what becomes smaller, what it does to golden scores, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from dnallm_core.errors import RequirementError
from torch import nn

import dnallm_core

GOLDEN = Path(__file__).parent / "golden"
CASES = ["evo-1/evo1_8k", "evo-2/evo2_1b_like"]


def load(case: str, **settings: Any) -> Any:
    family = case.partition("/")[0]
    return dnallm_core.load(family, weights=GOLDEN / case, device="cpu", **settings)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("case", CASES)
def test_golden_likelihoods_move_by_less_than_a_tenth_of_a_nat_a_base(
    case: str, dtype: str
) -> None:
    pytest.importorskip("optimum.quanto")
    model = load(case, dtype=dtype, quantisation="int8")
    stored = json.loads((GOLDEN / case / "inputs.json").read_text())["cases"]
    name = next(key for key, each in stored.items() if "attention_mask" not in each)
    ids = torch.tensor(stored[name]["input_ids"])
    with np.load(GOLDEN / case / "expected.npz") as file:
        theirs = torch.from_numpy(file[f"{name}.logits"]).float()
    with torch.inference_mode():
        ours = model.module(input_ids=ids).logits.float()

    def nats(logits: torch.Tensor) -> float:
        table = logits[:, :-1].log_softmax(-1)
        return float(table.gather(2, ids[:, 1:, None]).mean())

    moved = abs(nats(ours) - nats(theirs))
    print(f"{case} {dtype}: {moved:.4f} nats a base")
    assert moved < 0.1
    assert not torch.equal(ours, theirs)
    assert model.provenance["quantisation"] == "int8"


def test_linear_weights_are_kept_in_8_bits_and_all_else_as_it_was() -> None:
    quanto = pytest.importorskip("optimum.quanto")
    plain, small = load(CASES[1]), load(CASES[1], quantisation="int8")
    made = 0
    for name, layer in plain.module.named_modules():
        other = small.module.get_submodule(name)
        if isinstance(layer, nn.Linear) and layer is not plain.module.unembed:
            assert isinstance(other, quanto.QLinear)
            assert other.weight._data.dtype == torch.int8
            made += 1
        else:
            for key, value in layer.named_parameters(recurse=False):
                assert torch.equal(value, getattr(other, key))
    assert made > 5
    assert torch.equal(small.module.unembed.weight, small.module.embedding_layer.weight)


def test_without_the_library_and_for_another_kind_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RequirementError, match="no quantisation 'int9'"):
        load(CASES[0], quantisation="int9")
    monkeypatch.setitem(sys.modules, "optimum.quanto", None)
    with pytest.raises(RequirementError, match="needs optimum-quanto, which is not installed"):
        load(CASES[0], quantisation="int8")
