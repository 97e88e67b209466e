"""What dnallm.toml says of the models is what the networks and tokenizers are."""

from __future__ import annotations

import pytest
import torch
from dnallm_core.loading import build, find_implementation
from dnallm_core.sequences.tokenizers import build_tokenizer

import dnallm_core

ZOO = dnallm_core.catalog()
MODELS = {name: model for name, model in ZOO.items() if model.plugin == "dnallm-bert"}
FIXED_LENGTH = {
    name: model
    for name, model in MODELS.items()
    if model.family
    in ("dnabert", "nucleotide-transformer-v1", "nucleotide-transformer-v2", "agro-nt", "prokbert")
}


def parameters(name: str) -> int:
    model = MODELS[name]
    implementation = find_implementation(model)
    module = build(implementation, implementation.read_config(None, model.config, None))
    return sum(each.numel() for each in module.parameters())


def test_every_family_of_the_plan_is_here():
    assert {model.family for model in MODELS.values()} >= {
        "dnabert",
        "dnabert-2",
        "dnabert-s",
        "nucleotide-transformer-v1",
        "nucleotide-transformer-v2",
        "agro-nt",
        "plant-dnabert",
        "plant-nucleotide-transformer",
        "gena-lm",
        "grover",
        "prokbert",
        "mutbert",
    }


@pytest.mark.parametrize(
    "name", [name for name, model in MODELS.items() if model.parameters and model.config]
)
def test_the_network_has_as_many_parameters_as_the_manifest_says(name):
    assert parameters(name) == MODELS[name].parameters


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("nucleotide-transformer-500m-human-ref", 485_698_825),
        ("nucleotide-transformer-2.5b-multi-species", 2_547_800_585),
        ("nucleotide-transformer-v2-500m", 498_344_971),
        ("agro-nt-1b", 991_260_405),
        ("grover", 87_101_793),
    ],
)
def test_published_counts_are_met_exactly(name, published):
    assert MODELS[name].parameters == published


def test_the_count_published_for_dnabert_2_is_that_of_its_two_label_classifier():
    width, vocabulary = 768, 4096
    head = width * width + width + 2 * width + vocabulary
    pooler, classifier = width * width + width, 2 * width + 2
    assert MODELS["dnabert-2-117m"].parameters - head + pooler + classifier == 117_070_082


@pytest.mark.parametrize("name", FIXED_LENGTH)
def test_the_longest_input_in_bp_is_what_the_tokenizer_makes_of_the_longest_in_tokens(name):
    model = FIXED_LENGTH[name]
    tables = model.tokenizer if isinstance(model.tokenizer, tuple) else (model.tokenizer,)
    size = model.config["vocab_size"]
    tokenizer = build_tokenizer(next(each for each in tables if each["vocabulary_size"] == size))
    assert len(tokenizer.encode("A" * model.max_length).ids) == model.max_tokens
    longer = round(model.max_length + max(1, model.resolution))
    assert len(tokenizer.encode("A" * longer).ids) > model.max_tokens


@pytest.mark.parametrize("name", [name for name, model in MODELS.items() if model.check])
def test_check_vectors_are_as_wide_as_the_network(name):
    import json
    from importlib.resources import files

    vectors = json.loads((files("dnallm_bert") / MODELS[name].check).read_text())[name]
    assert vectors
    for each in vectors:
        assert len(each["values"]) == MODELS[name].config["hidden_size"]
        assert torch.tensor(each["values"]).isfinite().all()
        assert each["source"]


def test_non_commercial_licences_are_said():
    refused = {name for name, model in MODELS.items() if model.licence.commercial is False}
    assert {name for name in MODELS if name.startswith(("nucleotide", "plant", "agro"))} == refused
