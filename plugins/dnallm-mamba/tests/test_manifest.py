"""The manifest of dnallm-mamba holds against the networks it describes."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation

MODELS = {key: row for key, row in catalog().items() if row.plugin == "dnallm-mamba"}
SIZED = sorted(key for key, row in MODELS.items() if row.config)


def test_every_published_checkpoint_of_the_four_families_is_listed():
    families = {}
    for row in MODELS.values():
        families.setdefault(row.family, []).append(row)
    published = {key: sum(not row.is_bundled for row in rows) for key, rows in families.items()}
    assert published == {
        "caduceus": 6,
        "plantcaduceus": 4,
        "plantcad2": 3,
        "plant-dnamamba": 7,
    }


@pytest.mark.parametrize("name", SIZED)
def test_the_number_of_parameters_is_that_of_the_network(name):
    row = MODELS[name]
    implementation = find_implementation(row)
    module = build(implementation, implementation.read_config(None, row.config, None))
    assert sum(each.numel() for each in module.parameters()) == row.parameters


def test_every_check_vector_is_as_wide_as_its_model():
    checks = json.loads(files("dnallm_mamba").joinpath("facts/checks.json").read_text())
    for name, vectors in checks.items():
        row = MODELS[name]
        assert row.check == "facts/checks.json"
        width = row.config["d_model"] * (2 if row.config["rcps"] else 1)
        assert all(len(each["values"]) == width for each in vectors)


def test_what_is_inferred_says_so():
    for row in MODELS.values():
        assert (row.unverified is not None) == (row.family in ("plantcad2", "plant-dnamamba"))


def test_networks_with_both_strands_are_declared_equivariant_and_the_others_not():
    for row in MODELS.values():
        if "rcps" in row.config:
            expected = "equivariant" if row.config["rcps"] else "augmented"
            assert row.reverse_complement == expected, row.id
