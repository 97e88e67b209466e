"""The causal model that ships: it generates without a download, and is what its card says."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.loading import load

NAME = "mamba-ecoli-tiny"
FOLDER = Path(str(files("dnallm_mamba"))) / "weights" / NAME


@pytest.fixture(scope="module")
def card():
    return json.loads((FOLDER / "card.json").read_text())


def test_it_is_small_and_its_card_names_its_weights(card):
    assert sum(each.stat().st_size for each in FOLDER.iterdir()) <= 6_000_000
    weights = (FOLDER / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card["weights_sha256"]
    assert card["record"]["parameters"] == catalog()[NAME].parameters
    assert card["record"]["config"] == dict(catalog()[NAME].config)


def test_the_card_says_which_counts_it_beats_and_which_it_does_not(card):
    figures = card["figures"]
    table = next(name for name in figures["margins"] if name.startswith("order"))
    assert figures["margins"][table]["interval"][0] > 0
    assert figures["sentence"] in (FOLDER / "MODEL_CARD.md").read_text()


def test_it_generates_bases_the_same_for_the_same_seed():
    model = load(NAME, device="cpu", dtype="float32")
    first, again, other = (
        model.generate("ATGGCTGAAAAACTG", max_new_bases=60, seed=seed)[0].sequence
        for seed in (1, 1, 2)
    )
    assert first == again != other
    assert len(first) == 60
    assert set(first) <= set("ACGT")
