"""Which bases an answer rests on: shares that sum to what they explain, and a motif that is found."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from dnallm_core.errors import CapabilityError, RequirementError
from dnallm_core.models.attribution import attribution, likelihood
from dnallm_core.training.answers import output, output_named
from dnallm_core.training.finetuning import Recipe, fine_tune
from dnallm_core.training.labelled import read_labelled
from dnallm_core.training.trained import load_trained
from dnallm_core.training.trial import trial_of

pytest.importorskip("captum")
TEXT = "ACGGTTACGATTTACGACCAGGT"
GENOME = ">chr1\n" + "ACGGTTACGATTTACGACCA" * 4 + "\n"
FLAGS = ["--weights", "toy-0", "--device", "cpu", "--quiet"]


def _rows(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


@pytest.mark.parametrize("family", ["toy", "toy-causal"])
@pytest.mark.parametrize("at", [None, 9])
def test_shares_sum_to_the_difference_of_the_answers(toy, family, at):
    model = toy(family, spread=0.2)
    question = likelihood(model, model.tokenizer.encode(TEXT, special_tokens=True), at)
    found = attribution(model, question, steps=200)
    assert len(found.bases) == len(TEXT)
    difference = found.answer - found.baseline
    assert abs(difference) > 1e-3
    assert abs(found.bases.sum() - difference) < 0.02 * abs(difference) + 1e-4
    assert found.missed == pytest.approx(abs(found.bases.sum() - difference))
    if family == "toy-causal" and at is not None:
        assert np.abs(found.bases[at:]).max() == 0  # nothing behind a base bears on it
    if at is None:
        return
    text = model.logits([TEXT])[0] if family == "toy-causal" else None
    if text is not None:  # the answer is what the model says of that base
        chances = text - np.log(np.exp(text).sum(1, keepdims=True))
        ids = model.tokenizer.encode(TEXT, special_tokens=True).ids
        assert found.answer == pytest.approx(float(chances[at, ids[at + 1]]), rel=1e-4)


def test_a_trained_model_rests_on_the_motif_that_was_planted(
    convolution, write_rows, motif, tmp_path, monkeypatch
):
    pytest.importorskip("accelerate")
    pytest.importorskip("sklearn")
    trial = trial_of(read_labelled(write_rows(motif(700))), how="random")
    fine_tune(convolution(), trial, Recipe(epochs=6, rate=4e-3, batch=32), tmp_path / "out")
    trained = load_trained(tmp_path / "out", device="cpu")
    target = output_named(trained, "yes")
    unseen = [text for text, label in motif(60, seed=9) if label == "yes"]
    inside = 0
    for text in unseen:
        encoding = trained.model.tokenizer.encode(text, special_tokens=True)
        found = attribution(trained.model, output(trained, encoding, target))
        assert found.missed < 0.05 * np.abs(found.bases).sum()
        best = max(range(len(text) - 6), key=lambda at: found.bases[at : at + 7].sum())
        inside += abs(best - text.index("GATTACA")) <= 2
    assert inside >= 0.9 * len(unseen)
    assert output_named(trained, None) is None  # of each the class that it is given
    with pytest.raises(RequirementError, match="has no output 'yess'"):
        output_named(trained, "yess")

    from dnallm_core.cli.main import run

    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.fa").write_text(f">first\n{unseen[0]}\n")
    more = ["--target", "yes", "--device", "cpu", "--quiet"]
    assert run(["attribute", "out", "in.fa", "-o", "a.tsv", "--figure", "a.svg", *more]) == 0
    rows = _rows(tmp_path / "a.tsv")
    assert "".join(row["base"] for row in rows) == unseen[0]
    encoding = trained.model.tokenizer.encode(unseen[0], special_tokens=True)
    expected = attribution(trained.model, output(trained, encoding, target)).bases
    np.testing.assert_allclose([float(row["value"]) for row in rows], expected, atol=1e-4)
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert run(["rerun", "a.tsv", "-o", "b.tsv", "--quiet"]) == 0
    assert (tmp_path / "b.tsv").read_bytes() == (tmp_path / "a.tsv").read_bytes()


def test_regions_come_out_at_their_places(command, tmp_path):
    bigwig = pytest.importorskip("pyBigWig")
    (tmp_path / "genome.fa").write_text(GENOME)
    place = ["--genome", "genome.fa", "--region", "chr1:11-30", "--steps", "8"]
    assert command("attribute", "toy", *place, "-o", "a.tsv", *FLAGS)[0] == 0
    assert command("attribute", "toy", *place, "-o", "a.bw", *FLAGS)[0] == 0
    rows = _rows(tmp_path / "a.tsv")
    assert [int(row["start"]) for row in rows] == list(range(10, 30))
    assert "".join(row["base"] for row in rows) == GENOME[16:36]
    values = bigwig.open(str(tmp_path / "a.bw")).values("chr1", 10, 30)
    np.testing.assert_allclose(values, [float(row["value"]) for row in rows], rtol=1e-4)
    settings = json.loads((tmp_path / "a.tsv.run.json").read_text())["settings"]
    assert settings["regions"] == ["chr1:11-30"]
    assert settings["method"] == "integrated-gradients"


def test_what_cannot_be_attributed_is_said(command, toy, tmp_path):
    (tmp_path / "in.fa").write_text(">a\nACGT\n")
    for more, words in (
        (["--target", "yes"], "--target is for folders that `dnallm train` wrote"),
        (["--position", "9"], "reads base 9 in 0 tokens"),
        (["--method", "guess"], "No method is called 'guess'"),
        (["--figure", "a.docx"], "its ending names no picture"),
    ):
        code, _, said = command("attribute", "toy", "in.fa", "-o", "o.tsv", *more, *FLAGS)
        assert code == 2
        assert words in said
    model = toy("toy", seed=3)
    model.module.bert.embeddings.word_embeddings = _OneHot()
    question = likelihood(model, model.tokenizer.encode("ACGT", special_tokens=True))
    with pytest.raises(CapabilityError, match="looks its bases up in more than one place"):
        attribution(model, question)


def _OneHot():  # noqa: N802
    from torch import nn
    from torch.nn.functional import one_hot

    class Twice(nn.Module):
        def forward(self, ids):
            return (one_hot(ids, 16) + one_hot(ids.flip(1), 16)).float()

    return Twice()
