"""Layouts are told apart, and what cannot be loaded is refused in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from dnallm_core.errors import CapabilityError, CheckpointError, SequenceError
from dnallm_gpn.gpn import GPN
from dnallm_gpn.gpn_msa import GPNMSA
from dnallm_gpn.phylogpn import PhyloGPN

import dnallm_core

HERE = Path(__file__).parent / "golden"


def test_model_type_chooses_gpns_network() -> None:
    assert type(GPN.read_config(None, {"model_type": "ConvNet"}, None)).__name__ == "ConvNetConfig"
    assert type(GPN.read_config(None, {"model_type": "GPN"}, None)).__name__ == "GPNConfig"


def test_keys_choose_where_no_model_type_is_said() -> None:
    old = GPN.read_config(None, {"hidden_size": 16}, {"model.encoder.0.conv.1.weight": (16, 16, 9)})
    assert type(old).__name__ == "ConvNetConfig"
    new = GPN.read_config(None, {"hidden_size": 16}, {"model.ln_f.weight": (16,)})
    assert type(new).__name__ == "GPNConfig"


def test_brassicales_without_a_dilation_base_means_two() -> None:
    config = GPN.read_config(None, {"model_type": "ConvNet", "hidden_size": 16}, None)
    assert config.dilation_base == 2


def test_phylogpns_releases_are_told_apart_by_keys_alone() -> None:
    settings = {"outer_dim": 40}
    first = PhyloGPN.read_config(None, settings, {"_model.blocks.0.layers.0.bias": (40,)})
    present = PhyloGPN.read_config(None, settings, {"_model.blocks.0.layer_norm1.bias": (40,)})
    assert (first.norm, present.norm) == ("group", "layer")


@pytest.mark.parametrize(
    ("family", "settings", "sentence"),
    [
        (GPN, {"model_type": "bert"}, "model_type is 'bert'"),
        (GPN, {"model_type": "GPNRoFormer"}, 'family "gpn-msa"'),
        (GPNMSA, {"model_type": "GPN"}, 'family "gpn"'),
        (GPN, {"model_type": "GPN", "encoder": "lstm"}, "encoder is 'lstm'; GPN knows convnet"),
        (GPN, {"model_type": "ConvNet", "hidden_size": 4}, "needs 7 channels"),
        (GPN, {"model_type": "ConvNet", "n_layers": 0}, "n_layers is 0; it must be 1 or more"),
        (GPNMSA, {"n_aux_features": 445, "hidden_size": 64}, "needs 451 channels"),
        (PhyloGPN, {"num_stacks": -1}, "num_stacks is -1"),
        (PhyloGPN, {"outer_dim": "wide"}, "outer_dim is 'wide'"),
        (GPNMSA, {"hidden_size": "wide"}, "configuration cannot be used"),
    ],
)
def test_an_impossible_configuration_is_refused(family, settings, sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        family.read_config(None, settings, None)


def test_a_folder_without_a_configuration_is_refused(tmp_path) -> None:
    shutil.copy(HERE / "phylogpn/phylogpn/model.safetensors", tmp_path)
    with pytest.raises(CheckpointError, match=r"holds no config\.json, and none were given"):
        dnallm_core.load("phylogpn", weights=tmp_path, device="cpu")


def test_settings_given_by_hand_do_as_well_as_a_file(tmp_path) -> None:
    shutil.copy(HERE / "phylogpn/phylogpn/model.safetensors", tmp_path)
    settings = json.loads((HERE / "phylogpn/phylogpn/config.json").read_text())
    model = dnallm_core.load("phylogpn", weights=tmp_path, config=settings, device="cpu")
    assert model.module.config.inner_dim == 24


def test_a_checkpoint_of_another_size_is_refused_with_its_keys(tmp_path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(HERE / "gpn/gpn_brassicales", folder)
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "n_layers": 9}))
    with pytest.raises(CheckpointError, match=r"missing.*layers\.8\.convolution\.weight"):
        dnallm_core.load("gpn", weights=folder, device="cpu")


def test_the_head_of_gpn_msa_may_be_stored_once(tmp_path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(HERE / "gpn-msa/gpn_msa", folder)
    path = folder / "pytorch_model.bin"
    tensors = torch.load(path, weights_only=True)
    del tensors["cls.predictions.decoder.bias"], tensors["model.encoder.embed_positions.weight"]
    torch.save(tensors, path)
    once = dnallm_core.load("gpn-msa", weights=folder, device="cpu").module
    twice = dnallm_core.load("gpn-msa", weights=HERE / "gpn-msa/gpn_msa", device="cpu").module
    assert torch.equal(once.cls.predictions.decoder.bias, twice.cls.predictions.decoder.bias)
    ours, stored = once.encoder.embed_positions.weight, twice.encoder.embed_positions.weight
    torch.testing.assert_close(ours, stored)


def test_a_fine_tuned_classifier_loads_as_a_network_that_embeds(tmp_path) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(HERE / "gpn/gpn_brassicales", folder)
    path = folder / "pytorch_model.bin"
    tensors = torch.load(path, weights_only=True)
    tensors = {key: value for key, value in tensors.items() if not key.startswith("cls.")}
    tensors["classifier.out_proj.weight"] = torch.zeros(1, 32)
    torch.save(tensors, path)
    module = dnallm_core.load("gpn", weights=folder, device="cpu").module
    output = module(input_ids=torch.tensor([[3, 4]]))
    assert output.logits is None
    assert output.last_hidden_state.shape == (1, 2, 32)


def test_alignments_are_encoded_as_the_authors_do(golden) -> None:
    model = golden("gpn-msa/gpn_msa").model
    assert model.aligned_species() == 9
    ids = model.encode_alignment(["ACGTacgt", "-N?.RYXu", *["AAAAAAAA"] * 7])
    assert ids.shape == (8, 9)
    assert ids[:, 0].tolist() == [1, 2, 3, 4, 1, 2, 3, 4]
    assert ids[:, 1].tolist() == [0] * 8


@pytest.mark.parametrize("name", ["gpn-msa/gpn_msa", "gpn-star/gpn_star"])
def test_answers_without_an_alignment_are_refused(golden, name: str) -> None:
    model = golden(name).model
    for ask in (model.embed, model.logits, model.score):
        with pytest.raises(CapabilityError, match="reads an alignment beside the sequence"):
            ask("ACGTACGT")
    with pytest.raises(CapabilityError, match="reads an alignment beside the sequence"):
        model.variant_effects("ACGTACGT", [(2, "C", "T")])


def test_alignments_of_the_wrong_shape_are_refused(golden) -> None:
    model = golden("gpn-msa/gpn_msa").model
    with pytest.raises(SequenceError, match="reads 9 aligned species; 2 were given"):
        model.encode_alignment(["ACGT", "ACGT"])
    with pytest.raises(SequenceError, match="one length; these have 3 to 4"):
        model.encode_alignment(["ACGT"] * 8 + ["ACG"])
