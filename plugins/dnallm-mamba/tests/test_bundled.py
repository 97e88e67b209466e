"""The model that ships: it loads without a download, is what its card says, and has learnt."""

from __future__ import annotations

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


def test_it_fits_into_four_megabytes_and_stores_nothing_but_tensors_and_text():
    sizes = {each.name: each.stat().st_size for each in FOLDER.iterdir()}
    assert sorted(sizes) == ["MODEL_CARD.md", "card.json", "config.json", "model.safetensors"]
    assert sum(sizes.values()) <= 4_000_000


def test_the_manifest_and_the_folder_describe_one_network(model):
    row = catalog()[NAME]
    stored = json.loads((FOLDER / "config.json").read_text())
    listed = Caduceus.read_config(None, row.config, None)
    for name in ("d_model", "n_layer", "vocab_size", "rcps"):
        assert getattr(listed, name) == stored[name]
    assert {key: stored["ssm_cfg"][key] for key in row.config["ssm_cfg"]} == row.config["ssm_cfg"]
    assert sum(each.numel() for each in model.module.parameters()) == row.parameters


def test_the_card_states_data_region_seed_and_figures_beside_the_table():
    card = json.loads((FOLDER / "card.json").read_text())
    assert len(card["sha256"]) == 64
    assert card["edge"] == card["length"] * 9 // 10
    assert card["seed"] == 536
    assert 1.5 < card["both"] < card["network"] < card["table"] < 2.0
    text = (FOLDER / "MODEL_CARD.md").read_text()
    for shown in (card["sha256"], f"{card['network']:.4f}", f"{card['table']:.4f}"):
        assert shown in text


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
