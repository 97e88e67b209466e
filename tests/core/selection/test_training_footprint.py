"""What training needs: adapters, heads and recomputation spare what they should; steps are cut up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dnallm_core.errors import RequirementError
from dnallm_core.footprint import Training, plan_training, predict
from dnallm_core.footprint.shape import shape_of
from dnallm_core.footprint.training import adapter_parameters
from dnallm_core.manifest.model import ModelManifest

Make = Callable[..., ModelManifest]
BERT = {"num_hidden_layers": 12, "hidden_size": 768, "num_attention_heads": 12,
        "intermediate_size": 3072, "vocab_size": 4101}  # fmt: skip


def _terms(
    model: ModelManifest, length: int = 500, batch: int = 8, **how: object
) -> dict[str, int]:
    found = predict(model, length, batch, mode="training", training=Training(**how))  # type: ignore[arg-type]
    return {term.name: term.bytes for term in found.terms}


@pytest.fixture
def model(make: Make) -> ModelManifest:
    return make(architecture="encoder-transformer", config=BERT, parameters=89_000_000)


def test_lora_has_gradients_and_moments_of_its_adapters_alone(model: ModelManifest) -> None:
    full, lora = _terms(model), _terms(model, method="lora", rank=8)
    count = 12 * 8 * (4 * (768 + 768) + 2 * (768 + 3072))
    assert adapter_parameters(shape_of(model), model.architecture, 8) == count
    assert (lora["adapters"], lora["gradients"], lora["optimizer"]) == (
        4 * count,
        4 * count,
        8 * count,
    )
    assert lora["weights"] == full["weights"] == full["gradients"] == 4 * 89_000_000
    assert full["optimizer"] == 8 * 89_000_000
    assert full["kept"] <= lora["kept"] < 1.05 * full["kept"]  # activations are not spared


def test_a_head_alone_needs_what_answering_needs(model: ModelManifest) -> None:
    head = _terms(model, method="head")
    inference = {term.name: term.bytes for term in predict(model, 500, 8).terms}
    assert head["weights"] == inference["weights"]
    assert head["activations"] == inference["activations"]
    assert not {"gradients", "optimizer", "kept"} & set(head)


def test_recomputed_blocks_keep_their_input_and_one_block_the_rest(model: ModelManifest) -> None:
    kept, again = _terms(model)["kept"], _terms(model, recompute=True)["kept"]
    tokens = 8 * 502
    assert kept == 12 * tokens * 4 * (4 * 768 + 3 * 768 + 2 * 768 + 2 * 3072)
    assert again == tokens * 4 * 12 * 768 + kept // 12
    assert _terms(model)["optimizer"] == _terms(model, recompute=True)["optimizer"]


def test_attention_with_dropout_is_kept_whole_on_a_cpu(make: Make) -> None:
    config = {**BERT, "attention_probs_dropout_prob": 0.1}
    model = make(architecture="encoder-transformer", config=config, parameters=89_000_000)
    assert _terms(model, batch=1)["attention"] == 3 * 12 * 12 * 502 * 502 * 4


def test_both_strands_keep_twice_as_much(model: ModelManifest) -> None:
    assert _terms(model, passes=2)["kept"] == 2 * _terms(model)["kept"]


def test_the_count_of_parameters_tells_a_gated_feed_forward_part(make: Make) -> None:
    config = {**BERT, "vocab_size": 4096}
    assert shape_of(
        make(architecture="encoder-transformer", config=config, parameters=117_000_000)
    ).gated
    assert not shape_of(
        make(architecture="encoder-transformer", config=config, parameters=89_000_000)
    ).gated


def test_a_step_is_cut_up_for_the_memory_and_the_optimiser_sees_as_many_rows(
    model: ModelManifest,
) -> None:
    roomy = plan_training(model, 500, 16, 10**12)
    assert (roomy.rows, roomy.accumulate, roomy.fits) == (16, 1, True)
    tight = plan_training(model, 500, 12, predict(model, 500, 5, mode="training").total)
    assert (tight.rows, tight.accumulate, tight.fits) == (4, 3, True)
    assert not tight.training.recompute
    assert tight.needed <= tight.memory


def test_where_one_row_does_not_fit_blocks_are_recomputed(model: ModelManifest) -> None:
    one = predict(model, 4000, 1, mode="training").total
    plan = plan_training(model, 4000, 16, one - 1)
    assert plan.training.recompute
    assert plan.fits
    nothing = plan_training(model, 4000, 16, 10**6)
    assert (nothing.rows, nothing.accumulate, nothing.fits) == (1, 16, False)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(RequirementError, match="no method 'loraa'"):
        Training("loraa")
