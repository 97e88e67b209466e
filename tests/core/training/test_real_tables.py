"""Published tables as they are: skipped where they do not lie beside the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from dnallm_core.training.labelled import read_labelled
from dnallm_core.training.splits import leakage

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
TABLES = {
    "plant_promoter_strength": ("regression", 1),
    "plant_open_chromatin": ("classification", 3),
    "domains_of_life": ("classification", 4),
    "arabidopsis_atac_multilabel": ("multi-label", 19),
}
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no published tables here")


@pytest.mark.parametrize("name", TABLES)
def test_a_published_table_is_read_for_what_it_is(name):
    training = read_labelled(DATA / f"{name}.train.csv.gz")
    test = read_labelled(DATA / f"{name}.test.csv.gz", like=training)
    assert (training.kind, training.outputs) == TABLES[name]
    assert (len(training), len(test)) == (500, 100)


def test_the_published_split_of_promoters_leaks_and_it_is_said():
    training = read_labelled(DATA / "plant_promoter_strength.train.csv.gz")
    test = read_labelled(DATA / "plant_promoter_strength.test.csv.gz", like=training)
    assert "7 of the 100 test sequences (7.0%)" in leakage(training, test).sentence
