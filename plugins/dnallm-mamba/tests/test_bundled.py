"""The model that ships: it loads without a download, is what its card says, and has learnt."""

from __future__ import annotations

import hashlib
import json
import math
from importlib.resources import files
from pathlib import Path

import pytest
import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import load
from dnallm_mamba.caduceus import Caduceus

NAME = "caduceus-ecoli-tiny"
FOLDER = Path(str(files("dnallm_mamba"))) / "weights" / NAME
# Escherichia coli 536 (NC_008253.1), from the held-out tenth
REGION = (
    "CTATCGGTGAATGGTAGCTATGCGTTATACAAATAATCTTTGCCCCGTTCTTTTTTGCCAGTTCTACAGCCGCTTTTACA"
    "TCACTGGTTCGCCCGGAATGGGTCACCACCAGCACCACATCTCCTTCCTGTAACAACGAAGCAGACATCATCATGATGTG"
    "AGCGTCCGGATAGGCCTGGCAGCGTACGCCAATGCGCAAAAACTTGTGCTGTACATCAGCACAGATTGCATTTGATCCTC"
    "CGGCACCGTACAAATCCCGCTGTCTGGCCTGATAGAAAAAGCGGGCGGCACGGTGGATCTCATCAACGTTGACGATCGAC"
    "TGACCTTCCATAATGGTGCGTAAAGTGATGTTAAATACCTTATTCACCACATCCTGCGGCGCTTCATCAAAAGCCAACTC"
    "GGAAGGCAATACTTGTTCTGACTGAGAAAAATAATCTTCCAGCGCACTGCGTAAGTTACGAAAGCCGCTAAACCCCAGCA"
    "GCTTTGATACCTTAACGATCATCGCTTCAGATACCGCCAGAGCTTCTGCGACATCTTTAATTGCGGGTGCACAACTCAGG"
    "TTACCGGGTTTGAGTAACCACTCCACGATGCGGCTTTCGTTTTCTGTCATTCCTTCCTGCTTCATTCGCAGGTAAGGCGC"
    "TAACCCGATACCGTTCGGAAGCGCTGAATCAAACTCTGACTGGCTCATCACGTTCTCTTGTCCTTGAATTGAAGACGCCA"
    "CTATATCACCACAGCAAGAACAGAAAAGATGCTGGCAACTTCACAAAAAAATAAAATTTATAAAGTTTGTTTTGTTGTGA"
    "ATAATGGAGAGTGGCTTAAAATTTCATTTCATTTAATCACTTTAAAAACATGATGTTATTTGTTTTCCTGGTTTATTAGA"
    "TGATAGATGTTGCTGGATAGTGAGTGTCTTTAACGCTATTGCGCTGCCAGATGTAACTCTGTAAAACAGATCGGGAAGGC"
)


@pytest.fixture(scope="module")
def model():
    return load(NAME, device="cpu", dtype="float32")


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


def test_the_manifest_and_the_folder_describe_one_network(model):
    row = catalog()[NAME]
    stored = json.loads((FOLDER / "config.json").read_text())
    listed = Caduceus.read_config(None, row.config, None)
    for name in ("d_model", "n_layer", "vocab_size", "rcps"):
        assert getattr(listed, name) == stored[name]
    assert {key: stored["ssm_cfg"][key] for key in row.config["ssm_cfg"]} == row.config["ssm_cfg"]
    assert sum(each.numel() for each in model.module.parameters()) == row.parameters


def test_the_card_holds_it_against_the_best_table_with_an_interval(card):
    figures = card["figures"]
    table = next(name for name in figures["margins"] if "neighbours" in name)
    low, high = figures["margins"][table]["interval"]
    assert 0 < low < figures["margins"][table]["bits"] < high
    text = (FOLDER / "MODEL_CARD.md").read_text()
    assert figures["sentence"] in text
    assert card["weights_sha256"] in text
    assert card["stop_gain"]["genes"] >= 20


def test_weights_are_float32_exactly_as_stored(model):
    assert {each.dtype for each in model.module.parameters()} == {torch.float32}
    assert all(torch.equal(each, each.half().float()) for each in model.module.parameters())


def test_it_names_held_out_masked_bases_better_than_chance(model):
    ids = torch.tensor([model.tokenizer.encode(REGION).ids])
    hidden = torch.arange(4, len(REGION) - 4, 8)
    masked = ids.clone()
    masked[0, hidden] = model.tokenizer.mask_id
    with torch.no_grad():
        logits = model.module(input_ids=masked).logits[0, hidden, 7:11]
    bits = -logits.log_softmax(-1).gather(1, ids[0, hidden, None] - 7).mean() / math.log(2)
    assert bits < 1.95


def test_a_run_records_the_engine_that_computed_it(tmp_path, capsys, monkeypatch):
    from dnallm_core.cli.main import main
    from dnallm_mamba.scan.engines import VARIABLE

    monkeypatch.setenv(VARIABLE, "plain")
    (tmp_path / "one.fa").write_text(f">one\n{REGION[:64]}\n")
    given = [str(tmp_path / "one.fa"), "-o", str(tmp_path / "one.npz"), "--device", "cpu", "--json"]
    with pytest.raises(SystemExit, match="0"):
        main(["embed", NAME, *given])
    said = capsys.readouterr()
    assert json.loads(said.out)["run"]["model"]["engine"] == "plain"
    assert "plain engine" in said.err
