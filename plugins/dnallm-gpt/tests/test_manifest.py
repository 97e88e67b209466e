"""What the manifest states, held against the networks that it describes."""

from __future__ import annotations

import json
from importlib.resources import files

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation
from dnallm_core.sequences.tokenizers import UndecidedTokenizer, tokenizer_for

OURS = {key: each for key, each in catalog().items() if each.plugin == "dnallm-gpt"}
SHAPED = sorted(key for key, each in OURS.items() if each.config)


def parameters(module):
    return sum(each.numel() for each in {id(p): p for p in module.parameters()}.values())


@pytest.mark.parametrize("name", SHAPED)
def test_the_number_of_parameters_is_the_networks(name):
    manifest = OURS[name]
    implementation = find_implementation(manifest)
    module = build(implementation, implementation.read_config(None, manifest.config, None))
    assert parameters(module) == manifest.parameters
    assert all(each.is_meta for each in module.parameters())


def test_generator_has_the_published_number_of_parameters():
    assert OURS["generator-eukaryote-1.2b"].parameters == 1_162_061_824
    assert OURS["generator-eukaryote-3b"].parameters == 2_998_262_784


@pytest.mark.parametrize("name", SHAPED)
def test_the_size_of_the_weights_is_the_parameters_in_four_or_two_bytes(name):
    manifest = OURS[name]
    stored = sum(
        each.bytes or 0
        for each in manifest.weights.files
        if each.name.endswith((".safetensors", ".pth", ".bin"))
    )
    if not stored:
        pytest.skip("the size of the file was not seen")
    width = 4 if stored > 3 * manifest.parameters else 2
    header = stored - width * manifest.parameters
    assert 0 <= header < 200_000


def test_every_check_is_of_a_model_and_as_wide_as_it():
    checks = json.loads((files("dnallm_gpt") / "facts" / "checks.json").read_text())
    checked = {key for key, each in OURS.items() if each.check}
    assert set(checks) == checked
    for name, cases in checks.items():
        config = OURS[name].config
        width = next(
            config[key]
            for key in ("hidden_size", "n_embd", "embedding_dim", "d_model")
            if key in config
        )
        for case in cases:
            assert len(case["values"]) == width
            assert case["source"].startswith("tcztzy/evo.cpp@")


def test_names_that_people_use_find_their_model():
    zoo = catalog()
    for name, alias in {
        "dnagpt-0.1b-h": "dna_gpt0.1b_h",
        "generator-eukaryote-1.2b": "GenerTeam/GENERator-eukaryote-1.2b-base",
        "plant-dnagpt-bpe": "zhangtaolab/plant-dnagpt-BPE",
        "genomeocean-4b": "pGenomeOcean/GenomeOcean-4B",
    }.items():
        assert zoo[alias].id == name


def test_non_commercial_weights_say_so():
    for name, manifest in OURS.items():
        if name.startswith(("plant-", "dnagpt")):
            assert manifest.licence.commercial is False, name


@pytest.mark.parametrize("name", [key for key, each in OURS.items() if each.config])
def test_the_longest_sequence_stated_fills_the_tokens_stated(name):
    manifest = OURS[name]
    size = manifest.config["vocab_size"]
    tokenizer = tokenizer_for(manifest.tokenizer, vocabulary_size=size)
    if isinstance(tokenizer, UndecidedTokenizer) or manifest.max_length is None:
        pytest.skip("its vocabulary lies in the checkpoint")
    tokens = len(tokenizer.encode(("ACGTTG" * manifest.max_length)[: manifest.max_length]).ids)
    # DNAGPT's authors keep two tokens for tags that stand in the text
    assert manifest.max_tokens - 2 <= tokens <= manifest.max_tokens
