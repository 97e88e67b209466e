from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dnallm_core.footprint import Records, largest_batch, largest_length, predict, shape_of
from dnallm_core.manifest.model import ModelManifest, Scaling
from hypothesis import given, settings
from hypothesis import strategies as st

Make = Callable[..., ModelManifest]

RECORD = {
    "device": "cpu", "dtype": "float32", "mode": "inference",
    "terms": {"fixed": 1000.0, "per_row": 10.0, "per_token": 100.0, "per_token_squared": 2.0},
    "seconds": {"fixed": 0.5, "per_token": 0.01}, "measured": {"device_name": "a laptop"},
}  # fmt: skip


def terms(footprint: Any) -> dict[str, int]:
    return {term.name: term.bytes for term in footprint.terms}


def test_weights_are_exact(make: Make) -> None:
    assert terms(predict(make(parameters=1_000_000), 100))["weights"] == 4_000_000
    assert terms(predict(make(parameters=1_000_000), 100, dtype="bfloat16"))["weights"] == 2_000_000


def test_float32_islands_stay(make: Make) -> None:
    model = make(parameters=1_000_000, extra={"shape": {"float32_parameters": 1000}})
    assert terms(predict(model, 100, dtype="bfloat16"))["weights"] == 2_002_000


def test_every_term_says_what_it_rests_on(make: Make) -> None:
    footprint = predict(make(), 1000)
    assert all(term.basis for term in footprint.terms)
    assert footprint.total == sum(term.bytes for term in footprint.terms)
    assert {"weights", "activations", "attention", "logits"} <= set(terms(footprint))


def test_attention_counts_where_it_is_held_as_a_whole(make: Make) -> None:
    fused = make(scaling=Scaling("quadratic", "linear"))
    assert "attention" not in terms(predict(fused, 1000))
    assert terms(predict(make(), 1000))["attention"] == 2 * 12 * 1002**2 * 4


def test_long_convolutions_count_their_spectra(make: Make) -> None:
    model = make(architecture="long-convolution", direction="causal")
    assert "fft" in terms(predict(model, 1000))


def test_generation_carries_a_cache(make: Make) -> None:
    model = make(architecture="decoder-transformer", direction="causal")
    grown = terms(predict(model, 1000, cache=True))["key-value-cache"]
    assert grown == 2 * 768 * 12 * 4 * 1002


def test_training_counts_gradients_and_moments(make: Make) -> None:
    found = terms(predict(make(parameters=1_000_000), 100, mode="training"))
    assert found["gradients"] == 4_000_000
    assert found["optimizer"] == 8_000_000


def test_a_device_counts_its_context(make: Make) -> None:
    assert terms(predict(make(), 100, device="cuda"))["runtime"] == 500_000_000
    assert terms(predict(make(), 100, device="cpu"))["runtime"] == 20_000_000


def test_the_shape_table_overrules_the_configuration(make: Make) -> None:
    model = make(extra={"shape": {"width": 100, "layers": 3}})
    assert (shape_of(model).width, shape_of(model).layers) == (100, 3)


def test_a_guessed_shape_is_said(make: Make) -> None:
    footprint = predict(make(config={}), 100)
    assert any("width" in term.basis and "guessed" in term.basis for term in footprint.terms)


@pytest.mark.parametrize(
    "config",
    [{"d_model": 64, "n_layer": 3}, {"n_embd": 64, "n_layers": 3},
     {"hidden_size": 64, "num_layers": 3}],
)  # fmt: skip
def test_configurations_spell_differently(make: Make, config: dict[str, int]) -> None:
    shape = shape_of(make(config=config))
    assert (shape.width, shape.layers) == (64, 3)


def test_measured_terms_replace_derived_ones(make: Make) -> None:
    records = Records(given={"toy": [RECORD]})
    footprint = predict(make(parameters=100), 98, batch=2, records=records)
    assert terms(footprint) == {
        "weights": 400, "workspace": 1020, "activations": 20_000, "attention": 40_000,
    }  # fmt: skip
    assert "measured on a laptop in float32" in footprint.terms[1].basis


def test_a_record_in_another_format_is_scaled_and_said_so(make: Make) -> None:
    records = Records(given={"toy": [RECORD]})
    footprint = predict(make(parameters=100), 98, dtype="bfloat16", records=records)
    assert terms(footprint)["activations"] == 5_000
    assert "scaled to bfloat16" in footprint.terms[2].basis


def test_the_users_measurements_come_first(make: Make, tmp_path: Path) -> None:
    own = tmp_path / "footprints.json"
    mine = {**RECORD, "terms": {"per_token": 7.0}}
    own.write_text(json.dumps({"schema": 1, "models": {"toy": [mine]}}))
    (record,) = Records(own).of(make())
    assert record.terms["per_token"] == 7.0
    assert "yours" in record.basis


@pytest.mark.parametrize("junk", ["", "[]", "{", '{"schema": 2, "models": {}}',
                                  '{"schema": 1, "models": {"toy": [{"device": 1}]}}'])  # fmt: skip
def test_a_broken_file_of_measurements_counts_as_none(
    make: Make, tmp_path: Path, junk: str
) -> None:
    path = tmp_path / "footprints.json"
    path.write_text(junk)
    assert Records(path).of(make()) == ()


@settings(max_examples=150, deadline=None)
@given(
    memory=st.integers(10**8, 10**12),
    batch=st.integers(1, 64),
    devices=st.integers(1, 8),
    linear=st.booleans(),
)
def test_the_largest_length_fits_and_a_longer_one_does_not(
    memory: int, batch: int, devices: int, linear: bool
) -> None:
    model = ModelManifest(
        id="m", family="f", title="t", plugin="p", architecture="hybrid", direction="causal",
        objective="x", scaling=Scaling("quadratic", "linear" if linear else "quadratic"), tasks=(),
        implementation="a:b", tokenizer={}, parameters=10**8, resolution=1.0,
        config={"n_layer": 8, "d_model": 512, "n_head": 8},
    )  # fmt: skip
    length = largest_length(model, memory, batch, devices=devices)
    if length:
        assert predict(model, length, batch, devices=devices).total <= memory
    assert predict(model, length + 3, batch, devices=devices).total > memory


@settings(max_examples=100, deadline=None)
@given(memory=st.integers(10**8, 10**11), length=st.integers(10, 10**5))
def test_the_largest_batch_fits_and_one_more_does_not(memory: int, length: int) -> None:
    model = ModelManifest(
        id="m", family="f", title="t", plugin="p", architecture="encoder-transformer",
        direction="bidirectional", objective="x", scaling=Scaling("quadratic", "linear"), tasks=(),
        implementation="a:b", tokenizer={}, parameters=10**7, resolution=1.0,
        config={"n_layer": 4, "d_model": 256, "n_head": 4},
    )  # fmt: skip
    batch = largest_batch(model, length, memory)
    if batch:
        assert predict(model, length, batch).total <= memory
    assert predict(model, length, batch + 1).total > memory
