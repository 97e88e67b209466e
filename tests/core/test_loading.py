"""From a name and a folder to a network that gives the folder's numbers, or a sentence."""

from __future__ import annotations

import json

import pytest
import torch
from dnallm_core.errors import CheckpointError, PluginError, RequirementError, UnknownModelError
from safetensors.torch import load_file, save_file

import dnallm_core


@pytest.fixture
def checkpoint(tmp_path):
    """A toy checkpoint in its authors' layout, and the network it was made from."""
    from transformers import BertConfig, BertForMaskedLM

    torch.manual_seed(0)
    settings = {
        "vocab_size": 8,
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 64,
    }
    network = BertForMaskedLM(BertConfig(**settings)).eval()
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(settings))
    tensors = {
        key: value.contiguous()
        for key, value in network.state_dict().items()
        if not key.startswith("cls.predictions.decoder")
    }
    save_file(tensors, folder / "model.safetensors")
    return folder, network


def _rewrite(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_folder_of_a_family_gives_the_numbers_of_its_network(laboratory, checkpoint):
    laboratory.install()
    folder, network = checkpoint
    model = dnallm_core.load("toy", weights=folder, device="cpu")
    ids = torch.randint(0, 8, (2, 12))
    assert torch.equal(model.module(input_ids=ids).logits, network(input_ids=ids).logits)
    assert not model.module.training


def test_a_missing_a_left_over_and_a_misshapen_key_are_all_listed(laboratory, checkpoint):
    laboratory.install()
    folder, _ = checkpoint

    def spoil(tensors):
        del tensors["bert.encoder.layer.0.output.dense.bias"]
        tensors["surprise"] = torch.zeros(3)
        tensors["cls.predictions.bias"] = torch.zeros(9)

    _rewrite(folder, spoil)
    with pytest.raises(CheckpointError) as caught:
        dnallm_core.load("toy", weights=folder)
    error = caught.value
    assert error.missing == ("bert.encoder.layer.0.output.dense.bias",)
    assert error.unexpected == ("surprise",)
    assert error.misshapen == ("cls.predictions.bias is 9, the network's is 8",)
    for word in (*error.missing, *error.unexpected, *error.misshapen):
        assert word in str(error)


def test_two_copies_of_a_tied_tensor_must_agree(laboratory, checkpoint):
    laboratory.install()
    folder, _ = checkpoint
    words = load_file(folder / "model.safetensors")["bert.embeddings.word_embeddings.weight"]
    _rewrite(folder, lambda tensors: tensors.update({"cls.predictions.decoder.weight": words + 1}))
    with pytest.raises(CheckpointError, match="are one tensor in the network, and differ"):
        dnallm_core.load("toy", weights=folder)


def test_a_truncated_file_is_named_with_its_sizes(laboratory, checkpoint):
    laboratory.install()
    folder, _ = checkpoint
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match=r"its header speaks of [\d,]+"):
        dnallm_core.load("toy", weights=folder)


def test_a_file_of_junk_is_no_checkpoint(laboratory, checkpoint):
    laboratory.install()
    folder, _ = checkpoint
    (folder / "model.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(CheckpointError, match="is no readable safetensors file"):
        dnallm_core.load("toy", weights=folder)


def test_an_empty_folder_and_a_file_and_nothing_are_no_checkpoints(laboratory, tmp_path):
    laboratory.install()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="holds no weights"):
        dnallm_core.load("toy", weights=tmp_path / "empty")
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="is a file; a checkpoint is the folder"):
        dnallm_core.load("toy", weights=tmp_path / "file")
    with pytest.raises(CheckpointError, match="no such folder"):
        dnallm_core.load("toy", weights=tmp_path / "nowhere")


def test_a_missing_shard_is_named(laboratory, checkpoint):
    laboratory.install()
    folder, _ = checkpoint
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(
        CheckpointError, match=r"lacks 2 of 2 shards: model-1\.safetensors, model-2"
    ):
        dnallm_core.load("toy", weights=folder)


def test_bfloat16_is_converted_on_the_way_in(laboratory, checkpoint):
    laboratory.install()
    folder, _ = checkpoint
    model = dnallm_core.load("toy", weights=folder, dtype="bfloat16")
    assert {each.dtype for each in model.module.parameters()} == {torch.bfloat16}


def test_an_unknown_model_names_the_nearest(laboratory):
    laboratory.install()
    with pytest.raises(UnknownModelError, match='Did you mean "toy-1"'):
        dnallm_core.load("toy-11")


def test_a_family_without_weights_lists_its_models(laboratory):
    laboratory.install()
    with pytest.raises(UnknownModelError, match=r"toy is a family\. Its models: toy-1"):
        dnallm_core.load("toy")


def test_config_without_weights_is_refused(laboratory):
    laboratory.install()
    with pytest.raises(RequirementError, match="config= goes with weights="):
        dnallm_core.load("toy-1", config={"hidden_size": 3})


def test_an_unknown_device_and_dtype_are_refused(laboratory, checkpoint):
    laboratory.install()
    with pytest.raises(RequirementError, match="There is no dtype 'float12'"):
        dnallm_core.load("toy", weights=checkpoint[0], dtype="float12")
    with pytest.raises(RequirementError, match="There is no device 'gpu9'"):
        dnallm_core.load("toy", weights=checkpoint[0], device="gpu9")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("raise ValueError('boom')", "cannot be imported: ValueError: boom"),
        ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
        ("import no_such_module_here", "there is no module 'no_such_module_here'"),
        ("x = 1", "which has no such class"),
        ("Toy = 3", "is no dnallm_core.models.Model"),
    ],
)
def test_a_broken_implementation_is_a_sentence(laboratory, checkpoint, code, sentence):
    laboratory.install(files={"network.py": code})
    with pytest.raises(PluginError, match=sentence):
        dnallm_core.load("toy", weights=checkpoint[0])


def test_what_is_not_installed_says_how_to_get_it(laboratory):
    from dnallm_core.catalog import Catalog
    from dnallm_core.index import KnownPlugin
    from dnallm_core.plugins import Discovery, discover

    laboratory.install()
    plugin = next(each for each in discover().plugins if each.distribution == "toy-plugin")
    known = KnownPlugin(
        "toy-plugin", "0.1", "pip install toy-plugin", "", plugin.digest, "listed", plugin.rows
    )
    zoo = Catalog(Discovery((), ()), (known,))
    with pytest.raises(PluginError, match="Install it: pip install toy-plugin"):
        dnallm_core.load("toy-1", zoo=zoo)
