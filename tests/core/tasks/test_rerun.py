"""``dnallm rerun``: the same numbers again, or a sentence that says what has changed."""

from __future__ import annotations

import json

import pytest
from dnallm_core.cli.main import run


@pytest.fixture
def made(toy, tmp_path, monkeypatch):
    """An output of the command, and the flags that made it."""
    toy("toy")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.fa").write_text(">a\nACGTACGT\n>b\nTTGACA\n")
    flags = ["--weights", "toy-0", "--device", "cpu", "--quiet"]
    assert run(["embed", "toy", "in.fa", "--pooling", "max", "-o", "out.tsv", *flags]) == 0
    return tmp_path


def test_a_run_is_repeated_to_the_same_bytes(made, monkeypatch):
    (made / "elsewhere").mkdir()
    monkeypatch.chdir(made / "elsewhere")
    assert run(["rerun", "../out.tsv", "-o", "again.tsv", "--quiet"]) == 0
    assert (made / "elsewhere/again.tsv").read_bytes() == (made / "out.tsv").read_bytes()
    again = json.loads((made / "elsewhere/again.tsv.run.json").read_text())
    assert again["settings"] == json.loads((made / "out.tsv.run.json").read_text())["settings"]


def test_without_a_new_name_the_output_is_replaced(made):
    before = (made / "out.tsv").read_bytes()
    (made / "out.tsv").write_text("damaged")
    assert run(["rerun", "out.tsv", "--quiet"]) == 0
    assert (made / "out.tsv").read_bytes() == before


def test_a_changed_input_is_refused(made, capsys):
    (made / "in.fa").write_text(">a\nACGTACGA\n")
    assert run(["rerun", "out.tsv", "--quiet"]) == 2
    assert "in.fa is not what it was: its content has changed" in capsys.readouterr().err
    assert "damaged" not in (made / "out.tsv").read_text()


def test_other_weights_are_refused(made, toy, capsys):
    toy("toy", seed=1)
    (made / "toy-1/model.safetensors").replace(made / "toy-0/model.safetensors")
    assert run(["rerun", "out.tsv", "-o", "again.tsv", "--quiet"]) == 2
    assert "the weights of toy are not those of that run" in capsys.readouterr().err
    assert not list(made.glob("again.tsv*"))


def test_what_no_record_tells_cannot_be_repeated(made, capsys):
    assert run(["rerun", "in.fa"]) == 2
    assert "nothing says how in.fa was made" in capsys.readouterr().err
    (made / "in.fa.run.json").write_text("[]")
    assert run(["rerun", "in.fa"]) == 2
    assert "is no record of a run" in capsys.readouterr().err
    (made / "in.fa.run.json").write_text('{"settings": {"input": "-"}, "command": ["embed"]}')
    assert run(["rerun", "in.fa"]) == 2
    assert "standard input, which cannot be read again" in capsys.readouterr().err
