"""Labels of single bases: how they are read, pass to tokens and back, are learned and judged."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from dnallm_core.errors import LabelError, RequirementError
from dnallm_core.training import metrics
from dnallm_core.training.finetuning import Recipe, fine_tune
from dnallm_core.training.labelled import read_labelled
from dnallm_core.training.probing import probe
from dnallm_core.training.tokens import answer_bases, label_tokens, parts_of, spelt
from dnallm_core.training.trained import load_trained
from dnallm_core.training.trial import trial_of


def annotated(count, length=40, seed=0):
    """(sequence, labels): M under each base of GATTACA, o elsewhere, and two that nobody labelled."""
    chooser = random.Random(seed)
    rows = []
    for _ in range(count):
        letters, labels = chooser.choices("ACGT", k=length), ["o"] * length
        at = chooser.randrange(2, length - 7)
        letters[at : at + 7], labels[at : at + 7], labels[:2] = "GATTACA", "M" * 7, ".."
        rows.append(("".join(letters), "".join(labels)))
    return rows


def test_a_letter_or_a_whole_number_a_base_is_read(write_rows):
    found = read_labelled(
        write_rows([("ACGTAC", "IIEE.I"), ("ACGTA", "IEEIE")]), kind="token-classification"
    )
    assert (found.kind, found.classes) == ("token-classification", ("E", "I"))
    assert [each.tolist() for each in found.targets] == [[1, 1, 0, 0, -1, 1], [1, 0, 0, 1, 0]]
    numbers = read_labelled(write_rows([("ACGTAC", "0 0 10 2 . 0"), ("ACGTACG", "2;2;2;0;0;0;10")]))
    assert numbers.classes == ("0", "2", "10")
    assert numbers.targets[0].tolist() == [0, 0, 2, 1, -1, 0]
    assert parts_of("[0, 1, 1]", 3) == ["0", "1", "1"]
    assert spelt([0, -1, 1], ("0", "10")) == "0;.;10"


def test_rows_whose_labels_are_no_label_a_base_are_refused_in_a_sentence(write_rows):
    def read(rows, **settings):
        return read_labelled(write_rows(rows), kind="token-classification", **settings)

    with pytest.raises(LabelError, match=r"Row 2 .* has 4 bases, and its labels are not as many"):
        read([("ACGT", "IIEE"), ("ACGT", "IIE")])
    with pytest.raises(LabelError, match=r"Every labelled base .* has the label 'I'"):
        read([("ACGT", "IIII"), ("ACGG", "I.II")])
    known = read([("ACGT", "IIEE"), ("ACGG", "EEII")])
    with pytest.raises(LabelError, match="the label 'X', which no training row has"):
        read_labelled(write_rows([("ACGA", "IIXE")], name="test.csv"), like=known)
    with pytest.raises(LabelError, match="one sequence with contrary labels"):
        read([("ACGT", "IIEE"), ("ACGT", "IEEE")])


def test_a_token_takes_the_label_of_most_of_its_bases_and_the_first_among_equals():
    labels = np.array([0, 0, 1, 1, 1, 0, -1, -1, -1])
    offsets = [(0, 0), (0, 3), (3, 6), (6, 9), (1, 5), (1, 3)]
    assert label_tokens(offsets, labels, 2) == [-100, 0, 1, -100, 1, 0]


def test_a_base_has_the_mean_answer_of_the_tokens_that_stand_for_it():
    answers = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    found = answer_bases([(0, 0), (0, 3), (2, 4)], answers, 5)
    assert found.tolist() == [[1, 0], [1, 0], [0.5, 0.5], [0, 1], [0, 1]]


def test_resamples_draw_the_bases_of_a_row_together():
    generator = np.random.default_rng(0)
    drawn = metrics._resample(generator, 6, np.array([0, 0, 0, 1, 1, 2]))
    rows = [[0, 1, 2], [3, 4], [5]]
    while len(drawn):
        (row,) = [each for each in rows if drawn[: len(each)].tolist() == each]
        drawn = drawn[len(row) :]


def test_a_motif_is_found_base_by_base_and_the_folder_classifies(
    convolution, write_rows, command, tmp_path
):
    write_rows(annotated(160), name="bases.csv")
    code, _, err = command(
        "train", "convolution", "bases.csv", "--weights", tmp_path / "convolution", "--split", "random",
        "--epochs", 9, "--learning-rate", 4e-3, "--device", "cpu", "-o", "found", "--quiet",
    )  # fmt: skip
    if code:
        raise AssertionError(err)
    report = json.loads((tmp_path / "found/report.json").read_text())
    ours, nearby, network = report["methods"]
    assert report["kind"] == "token-classification"
    assert ours["figures"]["auroc"][0] > 0.95
    assert ours["rows"] == 32 * 38  # bases with a label
    assert (nearby["name"], network["name"]) == ("bases nearby", "small CNN")
    assert (tmp_path / "found/report.html").read_text().startswith("<!doctype html>")
    header, first, *_ = (tmp_path / "found/predictions.tsv").read_text().splitlines()
    assert header.split("\t") == ["name", "truth", "fine-tuned, full", "bases nearby", "small CNN"]
    assert {len(each) for each in first.split("\t")[1:]} == {40}

    (sequence, labels), *_ = annotated(1, seed=9)
    trained = load_trained(tmp_path / "found", device="cpu")
    (answer,) = trained.predict(sequence)
    assert answer.shape == (40, 2)
    together = trained.predict([sequence, "ACGTAC"])
    np.testing.assert_allclose(together[0], answer, atol=1e-5)
    (tmp_path / "new.fa").write_text(f">a\n{sequence}\n>b\nACGTAC\n")
    code, _, err = command("classify", "found", "new.fa", "-o", "new.tsv", "--device", "cpu")
    assert code == 0, err
    header, first, second = (tmp_path / "new.tsv").read_text().splitlines()
    assert header == "name\tlabels\tconfidence"
    agreed = sum(a == b for a, b in zip(first.split("\t")[1], labels, strict=True))
    assert agreed >= 35
    assert len(second.split("\t")[1]) == 6


def test_probes_and_both_strands_are_for_labels_of_whole_sequences(
    convolution, write_rows, tmp_path
):
    trial = trial_of(read_labelled(write_rows(annotated(20))), how="random")
    with pytest.raises(RequirementError, match="these labels are of single bases"):
        probe(convolution(), trial)
    with pytest.raises(RequirementError, match="learned from one strand"):
        fine_tune(convolution(), trial, Recipe(both_strands=True), tmp_path / "out")
