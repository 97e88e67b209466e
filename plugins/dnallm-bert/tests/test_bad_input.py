"""A checkpoint that does not fit is refused in a sentence that says why."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import pytest
import torch
from dnallm_core.errors import CheckpointError, SequenceError

import dnallm_core

CARRIED = Path(__file__).parent / "golden"


def load(family, folder):
    return dnallm_core.load(family, weights=folder, device="cpu", dtype="float32")


@pytest.fixture
def copy(tmp_path):
    """A copy of a carried checkpoint whose config.json is changed."""

    def changed(name: str, **settings):
        folder = tmp_path / "checkpoint"
        shutil.copytree(CARRIED / name, folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        return folder

    return changed


@pytest.mark.parametrize(
    ("family", "other", "lacks"),
    [
        ("dnabert", "nucleotide-transformer-v1/v1", "bert.embeddings.word_embeddings.weight"),
        ("nucleotide-transformer-v1", "dnabert/k6", "esm.embeddings.word_embeddings.weight"),
        ("dnabert-2", "dnabert/k6", "bert.encoder.layer.0.attention.self.Wqkv.weight"),
        ("gena-lm", "moderngena/base", "bert.embeddings.word_embeddings.weight"),
        ("moderngena", "gena-lm/base", "model.embeddings.tok_embeddings.weight"),
    ],
)
def test_a_checkpoint_of_another_family_is_refused(family, other, lacks):
    with pytest.raises(CheckpointError) as error:
        load(family, CARRIED / other)
    assert f"it lacks {lacks}" in str(error.value)
    assert "Name the family that the checkpoint is of." in str(error.value)


def test_dnabert_2_given_as_dnabert_lists_what_is_missing_and_left_over():
    with pytest.raises(CheckpointError) as error:
        load("dnabert", CARRIED / "dnabert-2" / "base")
    assert "bert.encoder.layer.0.attention.self.query.weight" in error.value.missing
    assert "bert.encoder.layer.0.attention.self.Wqkv.weight" in error.value.unexpected


def test_a_checkpoint_of_another_size_is_refused(copy):
    with pytest.raises(CheckpointError) as error:
        load("dnabert", copy("dnabert/k6", hidden_size=36))
    assert "of another shape" in str(error.value)
    assert error.value.misshapen


def test_a_checkpoint_with_fewer_layers_than_its_configuration_is_refused(copy):
    with pytest.raises(CheckpointError) as error:
        load("nucleotide-transformer-v2", copy("nucleotide-transformer-v2/v2", num_hidden_layers=3))
    assert all(".layer.2." in key for key in error.value.missing)


def test_a_vocabulary_that_disagrees_with_the_embedding_is_refused(copy):
    with pytest.raises(CheckpointError) as error:
        load("dnabert-2", copy("dnabert-2/base", vocab_size=5000))
    assert "a vocabulary of 5,000 tokens, the embedding" in str(error.value)
    assert "has 4,096 rows" in str(error.value)


def test_a_tokenizer_larger_than_the_embedding_is_refused(copy):
    folder = copy("nucleotide-transformer-v1/v1")
    longer = ["".join(each) for each in product("ACGT", repeat=7)][:5000]
    tokens = ["<unk>", "<pad>", "<mask>", "<cls>", *longer]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n")
    with pytest.raises(CheckpointError, match="5,004 tokens, and the network's embedding 4,105"):
        load("nucleotide-transformer-v1", folder)


def test_a_missing_shard_is_named(tmp_path):
    (tmp_path / "config.json").write_text((CARRIED / "dnabert/k6/config.json").read_text())
    names = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    shutil.copy(CARRIED / "dnabert/k6/pytorch_model.bin", tmp_path / names[0])
    (tmp_path / "pytorch_model.bin.index.json").write_text(
        json.dumps({"weight_map": {"bert.pooler.dense.bias": names[1], "x": names[0]}})
    )
    with pytest.raises(CheckpointError, match=f"lacks 1 of 2 shards: {names[1]}"):
        load("dnabert", tmp_path)


def test_a_configuration_without_sizes_is_refused(copy):
    with pytest.raises(CheckpointError, match="positive whole number for num_hidden_layers"):
        load("grover", copy("grover/base", num_hidden_layers=None))


def test_heads_that_cannot_share_the_width_are_refused(copy):
    with pytest.raises(
        CheckpointError, match="hidden_size 24, which 5 attention heads cannot share"
    ):
        load("dnabert", copy("dnabert/k6", num_attention_heads=5))


def test_a_position_embedding_that_the_network_lacks_is_refused(copy):
    with pytest.raises(CheckpointError, match="position_embedding_type 'relative_key'"):
        load("dnabert", copy("dnabert/k6", position_embedding_type="relative_key"))


def test_sparse_gena_lm_is_refused(copy):
    with pytest.raises(CheckpointError, match="DeepSpeed's sparse attention"):
        load("gena-lm", copy("gena-lm/base", sparse_attention={"block": 64}))


@pytest.mark.parametrize(
    ("family", "folder", "most"),
    [
        ("dnabert", "dnabert/k6", 512),
        ("nucleotide-transformer-v1", "nucleotide-transformer-v1/v1", 1000),
        ("prokbert", "prokbert/mini", 40),
    ],
)
def test_more_tokens_than_positions_are_refused(family, folder, most):
    module = load(family, CARRIED / folder).module
    with torch.no_grad():
        module(input_ids=torch.full((1, most), 5))
        with pytest.raises(SequenceError, match=f"{most + 1:,} tokens.*positions for {most:,}"):
            module(input_ids=torch.full((1, most + 1), 5))
