"""``dnallm import``: what a checkpoint's files say becomes a draft, the rest is marked."""

from __future__ import annotations

import json

import pytest
from dnallm_core.cli.main import run
from dnallm_core.manifest.reader import tomllib


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with a configuration and two tensors."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path / "Some_Model-v1"
    folder.mkdir()
    save_file(
        {"table": torch.zeros(8, 4), "head": torch.zeros(4), "steps": torch.zeros(3).long()},
        folder / "model.safetensors",
    )
    settings = {
        "architectures": ["XForMaskedLM"],
        "vocab_size": 8,
        "model_type": "x",
        "nothing": None,
    }
    (folder / "config.json").write_text(json.dumps(settings))
    return folder


def test_a_draft_is_toml_with_what_the_files_say(checkpoint, capsys):
    assert run(["import", str(checkpoint)]) == 0
    text = capsys.readouterr().out
    found = tomllib.loads(text)
    model = found["models"]["some-model-v1"]
    assert model["parameters"] == 36  # whole numbers are no parameters
    assert model["config"]["vocab_size"] == 8
    assert found["families"]["some"]["direction"] == "bidirectional"


def test_what_no_file_says_is_marked_and_refused_until_it_is_filled_in(
    checkpoint, tmp_path, capsys
):
    path = tmp_path / "dnallm.toml"
    assert run(["import", str(checkpoint), "--output", str(path)]) == 0
    assert "marked TODO" in capsys.readouterr().err
    from dnallm_core.errors import ManifestError
    from dnallm_core.manifest.reader import read_rows

    with pytest.raises(ManifestError, match="'TODO' is not one of"):
        read_rows(path)


def test_json_lists_the_tensors(checkpoint, capsys):
    assert run(["import", str(checkpoint), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["tensors"]["table"] == [8, 4]
    assert found["parameters"] == 36


def test_a_truncated_file_is_a_sentence(checkpoint, capsys):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    assert run(["import", str(checkpoint)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_what_is_neither_folder_nor_repository_is_a_sentence(capsys):
    assert run(["import", "no such thing"]) == 2
    assert "neither a folder nor a repository" in capsys.readouterr().err
