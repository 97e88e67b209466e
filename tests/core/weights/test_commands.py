"""``dnallm pull`` and ``dnallm cache``: what they print, and their exit codes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dnallm_core.cli.main import run
from dnallm_core.weights import locks, pins

TOY = """\
schema = 1
api = ">=1,<2"

[families.toy]
title = "Toy"
architecture = "encoder-transformer"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "toy_plugin.network:Toy"
scaling = { time = "quadratic", memory = "quadratic" }
tasks = ["embedding"]
resolution = 1.0
max_length = 64
tokenizer = { kind = "character", vocabulary = ["A", "C", "G", "T", "N"], unknown = "N" }

[models.toy-1]
family = "toy"
aliases = ["lab/model"]
weights = { hub = "lab/model", files = [{ name = "model.bin" }] }

[models.toy-2]
family = "toy"
weights = { hub = "lab/absent", files = [{ name = "model.bin" }] }
"""


@pytest.fixture
def toy(laboratory, cache, hub, noise, monkeypatch):
    monkeypatch.setenv("DNALLM_ONLY", "toy-plugin")
    laboratory.install(manifest=TOY)
    hub.publish({"model.bin": noise(50_000)})
    return noise(50_000)


def test_pull_says_where_the_weights_lie_and_that_they_were_recorded(toy, capsys):
    assert run(["pull", "lab/model"]) == 0
    output = capsys.readouterr()
    assert (Path(output.out.strip()) / "model.bin").read_bytes() == toy
    assert "held to from now on" in output.err
    assert "model.bin: 50.0 kB" in output.err
    assert run(["pull", "toy-1", "--offline", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


def test_pull_goes_on_after_a_failure_and_ends_with_its_code(toy, capsys):
    assert run(["pull", "toy-2", "toy-1", "--json"]) == 3
    output = capsys.readouterr()
    first, second = json.loads(output.out)["models"]
    assert first["error"]["code"] == "WeightsUnavailableError"
    assert "has no repository lab/absent" in first["error"]["message"]
    assert second["files"] == {"model.bin": hashlib.sha256(toy).hexdigest()}
    assert run(["pull", "toy-2"]) == 3
    assert run(["pull", "toy-3"]) == 2
    assert 'Did you mean "toy-' in capsys.readouterr().err


def test_pull_offline_says_what_is_missing(toy, capsys):
    assert run(["pull", "toy-1", "--offline"]) == 3
    assert "toy-1 is not here (model.bin of lab/model missing in" in capsys.readouterr().err


def test_pulling_and_looking_into_the_cache_import_no_torch(toy, capsys):
    code = (
        "import sys; from dnallm_core.cli.main import run; run(sys.argv[1:]); print(*sys.modules)"
    )
    for command in (["pull", "toy-1"], ["cache", "verify"], ["cache", "list"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *command],
            env={**os.environ, "PYTHONPATH": sys.path[0]},
            capture_output=True,
            text=True,
            check=True,
        )
        assert "dnallm_core.cli" in done.stdout
        assert "torch" not in done.stdout.split()


def test_the_cache_is_listed_with_what_is_unfinished(toy, hub, capsys, monkeypatch, noise):
    run(["pull", "toy-1", "--quiet"])
    (cache_file,) = Path(capsys.readouterr().out.strip()).glob("model.bin")
    partial = Path(str(cache_file).replace("/weights/", "/incoming/") + ".partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_bytes(noise(1_000))
    assert run(["cache", "list", "--json"]) == 0
    content = json.loads(capsys.readouterr().out)
    (held,) = content["models"]
    assert (held["id"], held["hub"], held["bytes"]) == ("toy-1", "lab/model", 50_000)
    assert held["partial_bytes"] == 1_000
    assert held["files"][0]["sha256"] == hashlib.sha256(toy).hexdigest()
    assert run(["cache", "list"]) == 0
    assert "toy-1" in capsys.readouterr().out


def test_verify_hashes_everything_and_names_what_is_damaged(toy, capsys):
    run(["pull", "toy-1", "--quiet"])
    path = Path(capsys.readouterr().out.strip()) / "model.bin"
    assert run(["cache", "verify"]) == 0
    assert "1 files, whole" in capsys.readouterr().out
    path.write_bytes(bytes(50_000))
    assert run(["cache", "verify", "lab/model"]) == 3
    output = capsys.readouterr()
    assert "DAMAGED: model.bin" in output.out
    assert "`dnallm pull toy-1` fetches damaged files again" in output.err
    assert run(["cache", "verify", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["models"][0]["damaged"] == ["model.bin"]
    run(["pull", "toy-1", "--quiet"])
    assert path.read_bytes() == toy


def test_remove_takes_a_model_out_of_the_cache_and_forgets_it_where_asked(toy, cache, capsys):
    run(["pull", "toy-1", "--quiet"])
    assert run(["cache", "remove"]) == 2
    assert "name the models to remove, or say --all" in capsys.readouterr().err
    assert run(["cache", "remove", "toy-1"]) == 0
    assert "toy-1: removed, 50.0 kB free" in capsys.readouterr().out
    assert not (cache / "weights" / "toy-1").exists()
    assert pins.recorded_commit("lab/model", "main")
    assert run(["cache", "remove", "toy-1", "--forget", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["forgotten"] == ["lab/model"]
    assert pins.recorded_commit("lab/model", "main") is None
    assert run(["cache", "remove", "toy-1"]) == 2
    assert run(["cache", "verify", "toy-1"]) == 2


def test_remove_does_not_take_a_download_from_under_another_process(toy, cache, capsys):
    run(["pull", "toy-1", "--quiet"])
    (lock,) = (cache / "locks").glob("toy-1-*.lock")
    with locks.locked(lock):
        assert run(["cache", "remove", "toy-1"]) == 3
    assert "is being downloaded by another process: nothing was removed" in capsys.readouterr().err
    assert (cache / "weights" / "toy-1").exists()


def test_remove_leaves_a_shared_cache_alone(toy, cache, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "shared"))
    run(["pull", "toy-1", "--quiet"])
    monkeypatch.setenv("DNALLM_CACHE", str(cache))
    monkeypatch.setenv("DNALLM_SHARED_CACHE", str(tmp_path / "shared"))
    capsys.readouterr()
    assert run(["cache", "remove", "toy-1"]) == 0
    assert "is shared: dnallm does not change it" in capsys.readouterr().err
    assert run(["cache", "verify"]) == 0
    assert "1 files, whole" in capsys.readouterr().out


def test_an_alias_that_two_plugins_claim_is_not_pulled_by_chance(
    toy, laboratory, capsys, monkeypatch
):
    other = TOY.replace("toy_plugin", "other_plugin")
    laboratory.install("other-plugin", package="other_plugin", manifest=other)
    monkeypatch.setenv("DNALLM_ONLY", "toy-plugin,other-plugin")
    assert run(["pull", "lab/model"]) == 2
    assert "is a name of other-plugin/toy-1 and of toy-plugin/toy-1" in capsys.readouterr().err
    assert run(["pull", "toy-plugin/toy-1", "--quiet"]) == 0
    assert "weights/toy-plugin--toy-1" in capsys.readouterr().out
