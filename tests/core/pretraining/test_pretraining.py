"""Pretraining: the same command, the same weights, whatever came between; and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ["--batch-size", "2", "--window", "32bp", "--every", "4", "--device", "cpu"]
SMALL += ["--precision", "float32", "--threads", "1", "--learning-rate", "1e-3"]


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    """6,000 bases in which every third one follows from the two before it."""
    draw = random.Random(1)
    letters = []
    while len(letters) < 6_000:
        a, b = draw.choice("ACGT"), draw.choice("ACGT")
        letters += [a, b, "ACGT"[("ACGT".index(a) + "ACGT".index(b)) % 4]]
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(">one\n" + "".join(letters[:3_500]) + "\n>two\n" + "".join(letters[3_500:]))
    return path


@pytest.fixture
def command(laboratory, tmp_path, monkeypatch, capsys):
    """``dnallm pretrain`` in this process, beside a toy family."""
    from dnallm_core.cli.main import run

    laboratory.install()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "toy.json").write_text("{}")

    def call(genome, *arguments, family="toy", steps=12):
        code = run(
            ["pretrain", str(genome), "--family", family, "--steps", str(steps), *SMALL]
            + ([] if "--size" in arguments else ["--config", "toy.json"])
            + [str(each) for each in arguments]
        )
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def digest(folder):
    return hashlib.sha256((Path(folder) / "model.safetensors").read_bytes()).hexdigest()


def test_a_run_twice_is_the_same_run_and_its_folder_loads_and_has_a_card(command, genome, tmp_path):
    code, out, err = command(genome, "-o", "first")
    assert code == 0, err
    assert "this network" in out
    assert command(genome, "-o", "second")[0] == 0
    assert digest("first") == digest("second")
    assert command(genome, "-o", "third", "--seed", "1")[0] == 0
    assert digest("third") != digest("first")

    import dnallm_core

    model = dnallm_core.load("toy", weights="first", device="cpu")
    assert model.score("ACGTACGTACGT").shape == (1,)
    card = json.loads(Path("first/card.json").read_text())
    assert card["weights_sha256"] == digest("first")
    assert card["edge"] + 1 < card["length"] == 6_001  # an N joins the two contigs
    text = Path("first/MODEL_CARD.md").read_text()
    for shown in (card["record"]["sha256"], card["weights_sha256"], card["figures"]["best"]):
        assert shown in text
    assert len(Path("first/curves.tsv").read_text().splitlines()) > 3
    assert not Path("first/work").exists()


KILLED = """
import os, signal, sys
from transformers import TrainerCallback
from dnallm_core.pretraining import learning
from dnallm_core.cli.main import run
class Stop(TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if state.global_step == 7:
            os.kill(os.getpid(), signal.SIGKILL)
begun = learning.PretrainingTrainer.__init__
def begin(self, *a, callbacks=(), **k):
    begun(self, *a, callbacks=[*callbacks, Stop()], **k)
learning.PretrainingTrainer.__init__ = begin
sys.exit(run(sys.argv[1:]))
"""


def test_a_run_that_was_killed_goes_on_to_the_weights_of_one_that_was_not(
    command, laboratory, genome, tmp_path
):
    words = ["pretrain", str(genome), "--family", "toy-causal", "--config", "toy.json"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *words, "--steps", "12", *SMALL, "-o", "killed"],
        cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(laboratory.folder), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr
    torn = (
        Path("killed") / "work" / "checkpoint-8"
    )  # as if it had been killed while this was written
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half of it")
    code, _, err = command(genome, "-o", "killed", family="toy-causal")
    assert code == 0, err
    assert "going on from checkpoint-4" in err
    assert command(genome, "-o", "whole", family="toy-causal")[0] == 0
    assert digest("killed") == digest("whole")


def test_the_number_of_steps_may_change_until_the_learning_rate_falls(command, genome, monkeypatch):
    from dnallm_core.pretraining import learning

    monkeypatch.setattr(learning, "WARMUP", 2)

    def stop(self, args, state, control, **more):
        if state.global_step == 9:
            raise KeyboardInterrupt

    follow = learning.Following.on_step_begin
    monkeypatch.setattr(learning.Following, "on_step_begin", stop)
    assert command(genome, "-o", "run", steps=40)[0] == 130
    monkeypatch.setattr(learning.Following, "on_step_begin", follow)
    code, _, err = command(genome, "-o", "run", steps=10)
    assert code == 2
    assert "falls from step 8" in err
    assert "--steps 40, or at least 12" in err
    assert command(genome, "-o", "run", steps=16)[0] == 0
    assert command(genome, "-o", "whole", steps=16)[0] == 0
    assert digest("run") == digest("whole")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (">short\nACGTACGTAC\n", "has 10 bases: held out would be 1, and 8 windows of 32 bp need 256"),
        (">p\nMKVLAAGIVGLLLAQWEF\n", "This looks like protein"),
        (">n\n" + "N" * 9_000, "100% is N"),
        ("", "empty"),
    ],
)  # fmt: skip
def test_what_is_no_genome_to_split_is_refused_before_anything_is_written(
    command, tmp_path, content, sentence
):
    (tmp_path / "bad.fa").write_text(content)
    code, _, err = command("bad.fa", "-o", "out")
    assert code == 2
    assert sentence in err
    assert not Path("out").exists()


def test_a_loss_that_is_no_number_stops_with_its_step_and_learning_rate(command, genome):
    code, _, err = command(genome, "-o", "out", "--learning-rate", "1e30")
    assert code == 3
    assert "The loss is nan at step" in err
    assert "learning rate" in err
    assert "Try --learning-rate 2.5e+29" in err


def test_a_full_disk_is_said_and_the_run_can_go_on(command, genome, monkeypatch):
    from dnallm_core.training import base_trainer
    from safetensors import SafetensorError

    def full(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    save = base_trainer.save_file
    monkeypatch.setattr(base_trainer, "save_file", full)
    code, _, err = command(genome, "-o", "out")
    assert code == 3
    assert "no space is left" in err
    monkeypatch.setattr(base_trainer, "save_file", save)
    assert command(genome, "-o", "out")[0] == 0


def test_families_and_sizes_that_there_are_not(command, genome):
    code, _, err = command(genome, "-o", "out", family="toi")
    assert code == 2
    assert 'Did you mean "toy"' in err
    code, _, err = command(genome, "-o", "out", "--size", "tiny")
    assert code == 2
    assert "no model of size 'tiny'" in err
    (Path("bad.json")).write_text("[1]")
    code, _, err = command(genome, "-o", "out", "--config", "bad.json")
    assert code == 2
    assert "no JSON object" in err
