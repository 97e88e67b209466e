"""``dnallm import`` drafts a manifest from a hub's listing and the heads of its files."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.manifest.reader import tomllib
from safetensors.numpy import save

TENSORS = {"embedding.weight": np.ones((8, 2000), np.float32), "head.bias": np.ones(8, np.float32)}
CONFIG = {"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 8,
          "max_position_embeddings": 512}  # fmt: skip


@pytest.fixture
def published(hub, cache, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    files = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": save(TENSORS)}
    hub.publish(files, name="lab/My-Model")
    return files


def test_a_draft_holds_what_the_files_say_and_marks_the_rest(hub, published, capsys):
    assert run(["import", "lab/My-Model"]) == 0
    text = capsys.readouterr().out
    model = tomllib.loads(text)["models"]["my-model"]
    assert model["parameters"] == 8 * 2000 + 8
    assert model["aliases"] == ["lab/My-Model"]
    assert model["weights"]["revision"] == hub.repositories["lab/My-Model"].commit
    (file,) = model["weights"]["files"]
    assert file["bytes"] == len(published["model.safetensors"])
    assert model["config"]["vocab_size"] == 8
    assert 'direction = "bidirectional"' in text
    assert 'architecture = "TODO"' in text


def test_weights_are_not_downloaded_whole(hub, cache, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    large = save({"embedding.weight": np.ones((8, 200_000), np.float32)})
    hub.publish({"config.json": b"{}", "model.safetensors": large}, name="lab/large")
    assert run(["import", "lab/large"]) == 0
    assert "parameters = 1_600_000" in capsys.readouterr().out
    assert sum(hub.sent.values()) < 0.2 * len(large)


def test_a_repository_that_is_not_there_is_a_sentence(hub, cache, capsys):
    assert run(["import", "lab/absent"]) == 3
    assert "lab/absent cannot be read" in capsys.readouterr().err
    assert run(["import", "no such thing"]) == 2
    assert "neither a folder nor a repository" in capsys.readouterr().err
