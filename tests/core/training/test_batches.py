"""Memory at hand decides how many rows go through at once, and nothing else about the training."""

from __future__ import annotations

import numpy as np
import pytest
from dnallm_core.errors import ResourceError
from dnallm_core.training import batches
from dnallm_core.training.finetuning import Recipe, fine_tune
from dnallm_core.training.labelled import read_labelled
from dnallm_core.training.trial import trial_of

pytest.importorskip("accelerate")
RECIPE = Recipe(epochs=2, rate=3e-3, batch=16)


@pytest.fixture
def trial(write_rows, motif):
    return trial_of(read_labelled(write_rows(motif(80))), how="random")


def test_little_memory_means_fewer_rows_at_once_and_the_same_steps(convolution, trial, tmp_path):
    plenty, expected = fine_tune(convolution(), trial, RECIPE, tmp_path / "a")
    tight = batches.plan(convolution(), RECIPE, 40, memory=1).needed  # that of a row
    said = []
    entry, predicted = fine_tune(
        convolution(), trial, RECIPE, tmp_path / "b", memory=tight, say=said.append
    )
    memory = entry["settings"]["memory"]
    assert (memory["rows_at_once"], memory["accumulated"]) == (1, 16)
    assert plenty["settings"]["memory"]["rows_at_once"] == 16
    assert "one row at once, 16 times a step" in said[1]
    assert "one row at once, 16 times a step" in trial.notes[-1]
    losses = [each["histories"][0]["validation"] for each in (plenty, entry)]
    np.testing.assert_allclose(*losses, rtol=2e-2)
    losses = [each["histories"][0]["training"] for each in (plenty, entry)]
    np.testing.assert_allclose(*losses, rtol=0.1)  # a mean over the parts, not their sum
    np.testing.assert_allclose(predicted, expected, atol=2e-2)


def test_recomputed_blocks_learn_the_same(toy, trial, tmp_path):
    from dataclasses import replace

    model = toy()  # training leaves it as it was
    _, expected = fine_tune(model, trial, RECIPE, tmp_path / "a")
    entry, predicted = fine_tune(model, trial, replace(RECIPE, recompute=True), tmp_path / "b")
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-5)
    assert entry["settings"]["memory"]["recomputed"]
    assert not any("forward" in vars(each) for each in model.module.modules())  # undone


def test_where_memory_runs_out_half_the_rows_are_tried_from_where_it_was(
    convolution, trial, tmp_path
):
    from transformers import TrainerCallback

    class Short(TrainerCallback):
        def on_step_begin(self, args, state, control, **more):
            if args.per_device_train_batch_size > 4 and state.global_step == 1:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] can't allocate memory")

    _, expected = fine_tune(convolution(), trial, RECIPE, tmp_path / "a")
    said = []
    entry, predicted = fine_tune(
        convolution(), trial, RECIPE, tmp_path / "b", callbacks=[Short()], say=said.append
    )
    assert entry["settings"]["memory"]["rows_at_once"] == 4
    assert [each for each in said if "memory ran out" in each] == [
        "memory ran out; going on with 8 at once, 2 times a step",
        "memory ran out; going on with 4 at once, 4 times a step",
    ]
    np.testing.assert_allclose(predicted, expected, atol=2e-2)


def test_a_row_that_does_not_fit_is_an_error_and_other_failures_are_not_memory():
    def short(rows, accumulate):
        raise MemoryError

    with pytest.raises(ResourceError, match="a single row needs more memory"):
        batches.halving(short, 6, 1, before_again=lambda: None, say=lambda _: None)

    def wrong(rows, accumulate):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        batches.halving(wrong, 4, 1, before_again=lambda: None, say=lambda _: None)
