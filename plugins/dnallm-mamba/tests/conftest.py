"""Golden checkpoints, and a network loaded from one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from dnallm_core import loading

CARRIED = Path(__file__).parent / "golden"
BESIDE = [each / "shared" / "golden" for each in Path(__file__).resolve().parents[4:6]]


@pytest.fixture(scope="session")
def golden():
    """golden("caduceus/ps"): the folder, carried here or beside the checkout; else the test skips."""

    def find(case: str) -> Path:
        for root in (CARRIED, *BESIDE):
            if (root / case / "inputs.json").is_file():
                return root / case
        return pytest.skip(f"golden {case} is neither carried nor beside the checkout")

    return find


@pytest.fixture(scope="session")
def network(golden):
    """network("caduceus/ps"): the golden's network, as ``load`` gives it, in float32 on the CPU."""
    loaded: dict[str, Any] = {}

    def load(case: str) -> Any:
        if case not in loaded:
            family = case.split("/")[0]
            loaded[case] = loading.load(
                family, weights=golden(case), device="cpu", dtype="float32"
            ).module
        return loaded[case]

    return load


@pytest.fixture(scope="session")
def deviation(golden):
    """deviation(module, "caduceus/ps"): worst |ours - expected| / max(1, max |expected|), tolerance."""

    def measure(module: Any, case: str) -> tuple[float, float]:
        folder = golden(case)
        expected = np.load(folder / "expected.npz")
        worst = 0.0
        for name, inputs in json.loads((folder / "inputs.json").read_text())["cases"].items():
            ids = torch.tensor(inputs["input_ids"])
            mask = inputs.get("attention_mask")
            real = torch.ones_like(ids) if mask is None else torch.tensor(mask)
            with torch.no_grad():
                given = None if mask is None else real
                out = module(input_ids=ids, attention_mask=given)
            for field in ("logits", "last_hidden_state"):
                theirs = torch.from_numpy(expected[f"{name}.{field}"])
                apart = (out[field] - theirs).abs() * real[..., None]
                worst = max(worst, float(apart.max() / theirs.abs().max().clamp(min=1)))
        tolerance = json.loads((folder / "about.json").read_text())["tolerance"]
        return worst, tolerance

    return measure
