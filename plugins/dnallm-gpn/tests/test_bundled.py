"""The convolutional model that ships: it loads without a download, and is what its card says."""

from __future__ import annotations

import hashlib
import json
import math
from importlib.resources import files
from pathlib import Path

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.loading import load

NAME = "gpn-ecoli-tiny"
FOLDER = Path(str(files("dnallm_gpn"))) / "weights" / NAME

HELD_OUT = Path(__file__).resolve().parents[3] / "docs/demo/data/ecoli_536_4618001_4638000.fa"


@pytest.fixture(scope="module")
def card():
    return json.loads((FOLDER / "card.json").read_text())


def test_it_is_small_and_stores_nothing_but_tensors_and_text(card):
    sizes = {each.name: each.stat().st_size for each in FOLDER.iterdir()}
    assert set(sizes) == {
        "MODEL_CARD.md", "card.json", "config.json", "curves.tsv", "model.safetensors",
    }  # fmt: skip
    assert sum(sizes.values()) <= 6_000_000
    weights = (FOLDER / "model.safetensors").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card["weights_sha256"]
    assert card["record"]["parameters"] == catalog()[NAME].parameters
    assert card["record"]["config"] == dict(catalog()[NAME].config)


def test_the_card_holds_it_against_the_best_table_with_an_interval(card):
    figures = card["figures"]
    table = next(name for name in figures["margins"] if "neighbours" in name)
    low, high = figures["margins"][table]["interval"]
    assert 0 < low < figures["margins"][table]["bits"] < high
    text = (FOLDER / "MODEL_CARD.md").read_text()
    assert figures["sentence"] in text
    assert card["weights_sha256"] in text
    assert card["stop_gain"]["genes"] >= 20


def test_it_names_bases_of_a_genome_that_it_has_not_seen_better_than_chance():
    if not HELD_OUT.exists():
        pytest.skip("the demonstration's data are not beside this plugin")
    sequence = "".join(HELD_OUT.read_text().splitlines()[1:])[8_000:9_500]
    model = load(NAME, device="cpu", dtype="float32")
    bits = -model.score(sequence)[0] / math.log(2)
    assert bits < 1.93
