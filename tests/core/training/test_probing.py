"""Probes: frozen embeddings beside baselines, through the command, with a whole report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dnallm_core.errors import RequirementError
from dnallm_core.training.baselines import convolution_baseline, kmer_baseline, kmer_frequencies
from dnallm_core.training.embedding_cache import cached_embeddings
from dnallm_core.training.labelled import read_labelled
from dnallm_core.training.probing import probe
from dnallm_core.training.report import page
from dnallm_core.training.trial import trial_of

pytest.importorskip("sklearn")
PROBE = ["probe", "toy", "--weights", "toy-0", "--device", "cpu"]


def test_a_probe_by_command_writes_a_report_that_stands_alone(command, write_rows, motif, tmp_path):
    write_rows(motif(60))
    write_rows(motif(30, seed=1), "test.csv")
    code, out, err = command(*PROBE, "train.csv", "--test", "test.csv", "-o", "out")
    assert code == 0, err
    assert "embeddings, logistic" in out
    assert "None of the 30 test sequences has a near-duplicate in training." in err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [each["name"] for each in report["methods"]] == [
        "embeddings, logistic", "embeddings, knn", "k-mer counts", "small CNN",
    ]  # fmt: skip
    for method in report["methods"]:
        value, low, high = method["figures"]["auroc"]
        assert 0 <= low <= value <= high <= 1
        assert np.sum(method["confusion"]) == 30
    assert report["split"]["test_rows"] == 30
    assert report["data"]["sha256"].keys() == {"train.csv", "test.csv"}
    html = (tmp_path / "out" / "report.html").read_text()
    assert html.count("<svg") == 6
    assert "src=" not in html
    assert "href=" not in html
    lines = (tmp_path / "out" / "predictions.tsv").read_text().splitlines()
    assert len(lines) == 31
    assert lines[0].startswith("name\ttruth\tembeddings, logistic: no\t")
    code, _, err = command(*PROBE, "train.csv", "-o", "out")
    assert code == 2
    assert "out holds another run" in err


def test_without_a_test_file_every_row_is_held_back_once(command, write_rows, motif, tmp_path):
    write_rows(motif(40))
    code, out, _ = command(
        *PROBE, "train.csv", "-o", "out", "--no-baselines", "--folds", "4", "--json", "--quiet"
    )
    assert code == 0
    report = json.loads(out)["report"]
    assert report["split"]["folds"] == 4
    assert report["split"]["test_rows"] == 40
    assert len(report["methods"]) == 2
    assert len((tmp_path / "out" / "predictions.tsv").read_text().splitlines()) == 41


def test_bad_input_is_a_sentence_and_exit_code_2(command, write_rows, motif, tmp_path):
    write_rows([(sequence, "yes") for sequence, _ in motif(10)])
    code, _, err = command(*PROBE, "train.csv", "-o", "out")
    assert code == 2
    assert "there is nothing to tell apart" in err
    assert not (tmp_path / "out").exists()
    write_rows(motif(10))
    code, _, err = command(*PROBE, "train.csv", "-o", "out", "--label", "labl")
    assert code == 2
    assert 'Did you mean "label"?' in err
    code, _, err = command(*PROBE, "train.csv", "-o", "out", "--split", "group")
    assert code == 2
    assert "--group COLUMN" in err
    code, _, err = command(
        *PROBE, "train.csv", "-o", "out", "--split", "random", "--test", "train.csv"
    )
    assert code == 2
    assert "With a test file nothing is split" in err


def test_baselines_learn_a_planted_motif(write_rows, motif):
    trial = trial_of(read_labelled(write_rows(motif(400))))
    counts, _ = kmer_baseline(trial)
    convolution, settings = convolution_baseline(trial)
    found = {
        name: trial.judged(name, "baseline", predicted, {})["figures"]["auroc"][0]
        for name, predicted in (("counts", counts), ("convolution", convolution))
    }
    assert found["counts"] > 0.75
    assert found["convolution"] > 0.9
    assert settings["epochs"][0] >= 1


def test_counts_of_kmers_say_nothing_of_the_order_of_motifs(write_rows, order):
    trial = trial_of(read_labelled(write_rows(order(400))), how="random")
    counts, _ = kmer_baseline(trial)
    assert abs(trial.judged("", "", counts, {})["figures"]["auroc"][0] - 0.5) < 0.2


def test_frequencies_leave_out_unknown_bases():
    row = kmer_frequencies(["ACNGT"], longest=2)[0]
    assert row[:4].tolist() == [0.25] * 4
    assert row[4:].sum() == pytest.approx(1.0)
    assert row[4 + 1] == 0.5  # AC


def test_embeddings_are_computed_once_and_by_content(toy):
    model, sequences = toy(), ["ACGTAC", "TTGACA", "ACGTAC"]
    first, computed = cached_embeddings(model, sequences)
    assert computed == 2
    again, computed = cached_embeddings(model, [*sequences, "GGGG"])
    assert computed == 1
    np.testing.assert_array_equal(first, again[:3])
    np.testing.assert_allclose(first, model.embed(sequences), rtol=1e-4, atol=1e-5)
    assert cached_embeddings(model, sequences, both_strands=True)[1] == 2
    assert cached_embeddings(toy(seed=1), sequences)[1] == 2


def test_measurements_and_several_labels_are_probed_too(toy, write_rows, motif):
    rows = [(sequence, len(sequence.split("GATTACA")[0]) / 7) for sequence, _ in motif(60)]
    trial = trial_of(read_labelled(write_rows(rows)), number=3)
    model = toy()
    methods, _ = probe(model, trial, baselines=False)
    assert [each["name"] for each in methods] == ["embeddings, ridge", "embeddings, knn"]
    assert set(methods[0]["figures"]) == {"pearson", "spearman", "r2", "rmse"}
    rows = [
        (sequence, f"{number % 2};{number % 3 // 2};0")
        for number, (sequence, _) in enumerate(motif(60))
    ]
    trial = trial_of(read_labelled(write_rows(rows)), number=3)
    methods, predicted = probe(model, trial)
    assert predicted["small CNN"].shape == (60, 3)
    assert methods[0]["labels"]["2"]["auroc"] is None


def test_names_from_the_data_cannot_become_markup():
    figures = {"auroc": [0.5, 0.4, 0.6]}
    method = {
        "name": "m", "role": "model", "settings": {}, "figures": figures, "curves": {},
        "labels": {"<script>": {"auroc": 0.5}, "b": {"auroc": None}}, "reliability": [],
    }  # fmt: skip
    method["curves"] = {"<script>": [], "b": []}
    method["confusion"] = [[1, 0], [0, 1]]
    split = {"how": "random", "folds": 1, "training_rows": 1, "test_rows": 1}
    report = {
        "task": "probe", "model": {"model": "toy"}, "data": {"file": "a.csv", "rows": 2},
        "split": split, "settings": {}, "versions": {}, "kind": "classification",
        "classes": ["<script>", "b"], "notes": [], "methods": [method],
    }  # fmt: skip
    assert "<script>" not in page(report)


def test_a_layer_that_is_not_there_is_refused(toy, write_rows, motif):
    trial = trial_of(read_labelled(write_rows(motif(20))))
    with pytest.raises(RequirementError, match="has no layer 9"):
        probe(toy(), trial, layer=9)
