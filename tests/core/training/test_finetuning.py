"""Fine-tuning: it learns, it goes on after an interruption, and what it leaves is a model of the zoo."""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import suppress

import numpy as np
import pytest
from dnallm_core.errors import (
    CapabilityError,
    CheckpointError,
    IntegrityError,
    OutputError,
    RequirementError,
)
from dnallm_core.sequences.alphabet import reverse_complement
from dnallm_core.training import adapters
from dnallm_core.training.baselines import kmer_baseline
from dnallm_core.training.finetuning import Recipe, fine_tune
from dnallm_core.training.labelled import read_labelled
from dnallm_core.training.run_folder import run_folder
from dnallm_core.training.trained import load_trained
from dnallm_core.training.trial import trial_of

import dnallm_core

pytest.importorskip("accelerate")
pytest.importorskip("sklearn")
FAST = Recipe(epochs=2, rate=3e-3, batch=16)


def _trial(write_rows, rows, **settings):
    return trial_of(read_labelled(write_rows(rows)), how="random", **settings)


def test_the_order_of_two_motifs_is_learned_where_counts_of_kmers_are_near_chance(
    convolution, write_rows, order, tmp_path
):
    trial = _trial(write_rows, order(800))
    recipe = Recipe(epochs=7, rate=4e-3, batch=32)
    entry, _ = fine_tune(convolution(), trial, recipe, tmp_path / "out")
    assert entry["figures"]["auroc"][0] >= 0.95
    losses = [loss for _, loss in entry["histories"][0]["validation"]]
    assert losses[-1] < 0.3 < 0.6 < losses[0]
    counts, _ = kmer_baseline(trial)
    assert abs(trial.judged("", "", counts, {})["figures"]["auroc"][0] - 0.5) < 0.15


@pytest.mark.parametrize("method", ["full", "lora", "head"])
def test_what_is_trained_is_what_the_method_says_and_what_is_saved_answers_the_same(
    toy, write_rows, motif, tmp_path, method
):
    if method == "lora":
        pytest.importorskip("peft")
    model = toy()
    before = model.embed("ACGTTGCA")
    trial = _trial(write_rows, motif(60))
    recipe = Recipe(method=method, epochs=2, rate=1e-2, batch=16, rank=2, both_strands=True)
    entry, predicted = fine_tune(model, trial, recipe, tmp_path / "out")
    trained = load_trained(tmp_path / "out", device="cpu")
    sequences = [trial.labelled.sequences[each] for each in trial.test_rows]
    np.testing.assert_allclose(trained.predict(sequences), predicted, rtol=1e-4, atol=1e-5)
    mirrored = [reverse_complement(each) for each in sequences]
    np.testing.assert_allclose(trained.predict(mirrored), predicted, rtol=1e-4, atol=1e-5)
    moved = np.abs(trained.model.embed("ACGTTGCA") - before).max()
    assert (moved == 0) == (method == "head")
    np.testing.assert_array_equal(model.embed("ACGTTGCA"), before)  # the parent is as it was
    again = dnallm_core.load(str(tmp_path / "out"), device="cpu")
    np.testing.assert_array_equal(again.embed("ACGT"), trained.model.embed("ACGT"))
    numbers = entry["settings"]["trained_parameters"]
    assert {"head": numbers == 66, "lora": 66 < numbers < 3000, "full": numbers > 6000}[method]


def test_answers_do_not_depend_on_what_shares_a_batch(toy, write_rows, motif, tmp_path):
    fine_tune(toy(), _trial(write_rows, motif(40)), FAST, tmp_path / "out")
    trained = load_trained(tmp_path / "out", device="cpu")
    sequences = ["ACGT" * 10, "ACG", "TTGACATT"]
    alone = np.concatenate([trained.predict(each) for each in sequences])
    np.testing.assert_allclose(trained.predict(sequences), alone, rtol=1e-4, atol=1e-5)


def test_measurements_come_back_in_their_own_units(convolution, write_rows, motif, tmp_path):
    rows = [(sequence, 500 + 100 * sequence.count("A")) for sequence, _ in motif(200)]
    rows[0] = (rows[0][0], rows[0][1] + 0.5)
    trial = _trial(write_rows, rows)
    assert trial.labelled.kind == "regression"
    entry, predicted = fine_tune(
        convolution(), trial, Recipe(epochs=8, rate=3e-3, batch=8), tmp_path / "out"
    )
    assert 1000 < predicted.mean() < 2500
    assert entry["figures"]["pearson"][0] > 0.5


def test_several_labels_rare_classes_and_seeds(toy, write_rows, motif, tmp_path):
    rows = [(each, f"{at % 2};{int(at % 10 == 0)}") for at, (each, _) in enumerate(motif(60))]
    trial = _trial(write_rows, rows)
    recipe = Recipe(epochs=1, rate=1e-3, batch=16, seeds=(3, 4), balanced=True)
    entry, predicted = fine_tune(toy(), trial, recipe, tmp_path / "out")
    assert predicted.shape == (len(trial.test_rows), 2)
    assert list(entry["seeds"]) == ["3", "4"]
    assert len(entry["histories"]) == 2
    assert "auroc over 2 seeds" in trial.notes[-1]
    facts = load_trained(tmp_path / "out", device="cpu").facts
    assert facts["classes"] == ["0", "1"]
    assert facts["objective"]["weights"][1] == pytest.approx(9, rel=0.4)


def test_an_interrupted_run_goes_on_and_ends_as_an_uninterrupted_one(
    convolution, write_rows, motif, tmp_path
):
    from transformers import TrainerCallback

    class Interruption(TrainerCallback):
        def on_epoch_begin(self, args, state, control, **more):
            if state.epoch >= 2:
                raise KeyboardInterrupt

    trial = _trial(write_rows, motif(60))
    recipe = Recipe(epochs=4, rate=3e-3, batch=16)
    whole, expected = fine_tune(convolution(), trial, recipe, tmp_path / "whole")
    settings = {"rows": 60}
    cut, said = tmp_path / "cut", []
    with suppress(KeyboardInterrupt), run_folder(cut, settings) as goes_on:
        assert not goes_on
        fine_tune(convolution(), trial, recipe, cut, callbacks=[Interruption()])
    with run_folder(cut, settings) as goes_on:
        assert goes_on
        resumed, predicted = fine_tune(convolution(), trial, recipe, cut, say=said.append)
    assert [each.split(":")[0] for each in said if each.startswith("epoch")] == [
        "epoch 3",
        "epoch 4",
    ]
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-6)
    losses = [run["histories"][0]["validation"] for run in (resumed, whole)]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    assert not (cut / "work").exists()


def test_logs_for_tensorboard_stay_in_the_folder(toy, write_rows, motif, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "out"
    with run_folder(out, {}):
        entry, _ = fine_tune(toy(), _trial(write_rows, motif(40)), FAST, out, tensorboard=True)
    logs = EventAccumulator(str(out / "tensorboard" / "seed-0")).Reload()
    losses = [each.value for each in logs.Scalars("eval/loss")]
    expected = [loss for _, loss in entry["histories"][0]["validation"]]
    np.testing.assert_allclose(losses, expected, rtol=1e-5)


def _cut_short(folder, settings, *left):
    """A run that was interrupted when it had left these."""
    with suppress(KeyboardInterrupt), run_folder(folder, settings) as goes_on:
        assert not goes_on
        for each in left:
            (folder / "work" / each).mkdir(parents=True)
        raise KeyboardInterrupt


def test_a_folder_that_holds_another_run_is_refused(tmp_path):
    folder = tmp_path / "out"
    _cut_short(folder, {"epochs": 3, "rate": 0.1}, "seed-0/checkpoint-10")
    with (
        pytest.raises(OutputError, match=r"unfinished, with other settings \(epochs\)"),
        run_folder(folder, {"epochs": 4, "rate": 0.1}),
    ):
        pass
    with run_folder(folder, {"epochs": 3, "rate": 0.1}) as goes_on:
        assert goes_on
    assert {each.name for each in folder.iterdir()} == {"run.json"}
    with (
        pytest.raises(OutputError, match="holds another run, which is finished"),
        run_folder(folder, {"epochs": 3, "rate": 0.1}),
    ):
        pass
    with run_folder(folder, {"epochs": 4}, overwrite=True) as goes_on:
        assert not goes_on
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.tex").write_text("precious")
    with pytest.raises(OutputError, match="not empty, and holds no run"), run_folder(other, {}):
        pass
    assert [each.name for each in other.iterdir()] == ["thesis.tex"]


def test_a_folder_that_another_run_trains_into_is_refused_before_its_first_checkpoint(tmp_path):
    folder = tmp_path / "out"
    with run_folder(folder, {"epochs": 3}):
        for settings in ({"epochs": 3}, {"epochs": 4}):
            with (
                pytest.raises(OutputError, match=r"training into .*out just now"),
                run_folder(folder, settings, overwrite=True),
            ):
                pass
        assert json.loads((folder / "run.json").read_text())["settings"] == {"epochs": 3}


def test_a_run_that_ended_before_its_first_checkpoint_leaves_its_folder_to_the_next(tmp_path):
    folder = tmp_path / "out"
    _cut_short(folder, {"layer": 99}, "parent")
    with run_folder(folder, {"layer": 1}) as goes_on:
        assert not goes_on
    assert json.loads((folder / "run.json").read_text())["settings"] == {"layer": 1}
    assert not (folder / "work").exists()


def test_a_learning_rate_that_is_none_is_refused():
    for rate in (-1.0, 0.0, float("nan"), float("inf")):
        with pytest.raises(RequirementError, match=r"learning rate is above 0, not"):
            Recipe(rate=rate)


def test_unknown_methods_and_missing_libraries_are_sentences(
    toy, write_rows, motif, tmp_path, monkeypatch
):
    with pytest.raises(RequirementError, match="no method 'qlora'"):
        Recipe(method="qlora")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(RequirementError, match=r"accelerate is needed.*dnallm-core\[train\]"):
        fine_tune(toy(), _trial(write_rows, motif(20)), FAST, tmp_path / "out")


def test_adapters_stand_on_the_way_to_the_head_and_layers_of_one_weight_share_one(toy):
    pytest.importorskip("peft")
    import torch

    model = toy()
    layers = model.module.bert.encoder.layer
    layers[1].output.dense.weight = layers[0].output.dense.weight
    count = adapters.insert(model, rank=2)
    assert count == 11  # of 2 layers of 6; the masked-language-modelling head has none
    assert layers[1].output.dense is layers[0].output.dense
    for name, parameter in model.module.named_parameters():
        assert parameter.requires_grad == ("lora_" in name)
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    with_adapters = model.embed("ACGTTGCA")
    adapters.merge(model.module)
    assert not any("lora" in name for name, _ in model.module.named_parameters())
    np.testing.assert_allclose(model.embed("ACGTTGCA"), with_adapters, rtol=1e-4, atol=1e-5)


def test_a_network_without_linear_layers_takes_no_adapters(convolution):
    pytest.importorskip("peft")
    model = convolution()
    del model.module.mix
    model.token_states = lambda inputs, layer: model.module.embedding(inputs["input_ids"])
    with pytest.raises(CapabilityError, match="calls no linear layer"):
        adapters.insert(model, rank=2)


@pytest.fixture
def folder(toy, write_rows, motif, tmp_path):
    """A trained model's folder."""
    fine_tune(toy(), _trial(write_rows, motif(40)), FAST, tmp_path / "out")
    return tmp_path / "out"


def test_a_folder_that_is_damaged_or_asks_for_foreign_code_is_refused(folder, tmp_path):
    with pytest.raises(CheckpointError, match="holds no trained model"):
        load_trained(tmp_path)
    facts = json.loads((folder / "model.json").read_text())

    def changed(**values):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / "model.json").write_text(json.dumps({**facts, **values}))
        return copy

    with pytest.raises(CheckpointError, match="asks for code of os"):
        load_trained(changed(config_class="os:system"))
    with pytest.raises(CheckpointError, match="is no configuration"):
        load_trained(changed(config_class="transformers:Trainer"))
    with pytest.raises(CheckpointError, match="schema 9"):
        load_trained(changed(schema=9))
    with pytest.raises(CheckpointError, match="names a file outside"):
        load_trained(changed(files={"../x": ""}))
    damaged = changed()
    content = bytearray((damaged / "head.safetensors").read_bytes())
    content[-1] ^= 1
    (damaged / "head.safetensors").write_bytes(bytes(content))
    with pytest.raises(IntegrityError, match="is not the file that training wrote"):
        load_trained(damaged)
    (damaged / "head.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks head\.safetensors"):
        load_trained(damaged)


def test_training_and_a_trained_folder_take_neither_8_bits_nor_a_device_map(
    command, write_rows, motif, tmp_path
):
    write_rows(motif(20))
    (tmp_path / "trained").mkdir()
    (tmp_path / "trained" / "model.json").write_text("{}")  # refused before it is read
    (tmp_path / "new.fa").write_text(">a\nACGATTACAGT\n")
    train = ["train", "toy", "train.csv", "--weights", "toy-0", "-o", "again"]
    classify = ["score", "trained", "new.fa", "-o", "new.tsv"]
    for flags, of_training, of_a_folder in (
        (["--quantise", "int8"], "8 bits do not train", "is loaded as it was trained"),
        (["--device-map", "auto"], "Training takes one device", "is loaded onto one device"),
    ):
        for words, sentence in ((train, of_training), (classify, of_a_folder)):
            code, _, err = command(*words, *flags)
            assert code == 2, err
            assert sentence in err
    assert not (tmp_path / "again").exists()
    assert not (tmp_path / "new.tsv").exists()


def test_training_and_classifying_by_command(command, write_rows, motif, tmp_path):
    write_rows(motif(60))
    write_rows(motif(20, seed=1), "test.csv")
    flags = ["--weights", "toy-0", "--device", "cpu", "--epochs", "1", "-o", "trained"]
    train = ["train", "toy", "train.csv", "--test", "test.csv", *flags]
    code, out, err = command(*train)
    assert code == 0, err
    assert "fine-tuned, full" in out
    assert "small CNN" in out
    assert "epoch 1: training loss" in err
    report = json.loads((tmp_path / "trained" / "report.json").read_text())
    assert report["methods"][0]["histories"][0]["validation"]
    assert "Loss, fine-tuned, full, run 1" in (tmp_path / "trained" / "report.html").read_text()
    facts = json.loads((tmp_path / "trained" / "model.json").read_text())
    assert facts["parent"]["model"] == "toy"
    assert set(facts["data"]) == {"train.csv", "test.csv"}
    assert facts["figures"]["auroc"] == report["methods"][0]["figures"]["auroc"]
    suffixes = {each.suffix for each in (tmp_path / "trained").rglob("*") if each.is_file()}
    assert suffixes == {".json", ".html", ".tsv", ".safetensors"}

    (tmp_path / "new.fa").write_text(">a\nACGATTACAGT\n>b\nTTTTTTTT\n")
    code, _, err = command("classify", "trained", "new.fa", "--device", "cpu", "-o", "new.tsv")
    assert code == 0, err
    header, first, second = (tmp_path / "new.tsv").read_text().splitlines()
    assert header == "name\tlabel\tp_no\tp_yes"
    assert [first[:2], second[:2]] == ["a\t", "b\t"]
    no, yes = map(float, first.split("\t")[2:])
    assert no + yes == pytest.approx(1, abs=1e-3)
    for shard in ("1/2", "2/2"):
        classify = ["classify", "trained", "new.fa", "--device", "cpu", "-o", "shared.tsv"]
        code, _, err = command(*classify, "--shard", shard)
        assert code == 0, err
    assert command("merge", "shared.tsv")[0] == 0
    assert (tmp_path / "shared.tsv").read_text() == (tmp_path / "new.tsv").read_text()

    code, _, err = command(*train)
    assert code == 2
    assert "trained holds another run, which is finished" in err
    code, _, err = command("classify", "toy-0", "new.fa", "-o", "x.tsv")
    assert code == 2
    assert "holds no trained model" in err
