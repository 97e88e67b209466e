"""The golden cases that this folder carries: checkpoints in the published layouts, and their numbers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import dnallm_core

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Case:
    """One case of a golden folder."""

    name: str
    inputs: dict[str, torch.Tensor]
    sequences: list[str] | None
    expected: dict[str, np.ndarray]


@dataclass(frozen=True)
class Golden:
    """One golden folder, loaded as a user would load it."""

    folder: Path
    about: dict[str, Any]
    model: Any

    def cases(self) -> Iterator[Case]:
        listed = json.loads((self.folder / "inputs.json").read_text())["cases"]
        expected = np.load(self.folder / "expected.npz")
        more = self.folder / "inputs.npz"
        arrays = np.load(more) if more.exists() else {}
        for name, case in listed.items():
            inputs = {
                key: torch.tensor(case[key])
                for key in ("input_ids", "attention_mask")
                if key in case
            }
            inputs |= {
                key.split(".", 1)[1]: torch.tensor(arrays[key])
                for key in arrays
                if key.split(".", 1)[0] == name
            }
            outputs = {
                key.split(".", 1)[1]: expected[key]
                for key in expected
                if key.split(".", 1)[0] == name
            }
            yield Case(name, inputs, case.get("sequences"), outputs)


@cache
def _golden(name: str) -> Golden:
    folder = FOLDER / name
    about = json.loads((folder / "about.json").read_text())
    model = dnallm_core.load(about["family"], weights=folder, device="cpu", dtype="float32")
    return Golden(folder, about, model)


GOLDENS = sorted(str(each.parent.relative_to(FOLDER)) for each in FOLDER.glob("*/*/about.json"))


@pytest.fixture
def golden() -> Callable[[str], Golden]:
    """A golden folder by ``family/variant``; loaded once, so leave its module as it is."""
    return _golden


@pytest.fixture(params=GOLDENS)
def each_golden(request: pytest.FixtureRequest) -> Golden:
    """Every golden folder in turn."""
    return _golden(request.param)
