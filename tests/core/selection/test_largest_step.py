"""The peak is the largest of the steps, and which step that is changes with the input."""

from __future__ import annotations

from typing import Any

import pytest
from dnallm_core.footprint import Records, largest_batch, prediction
from dnallm_core.footprint.largest import Piece, largest
from dnallm_core.measuring import Point
from dnallm_core.measuring.envelope import envelope
from hypothesis import given
from hypothesis import strategies as st

numbers = st.integers(0, 10**6).map(float)
polynomials = st.lists(
    st.tuples(numbers, numbers, st.integers(0, 50).map(float)), min_size=1, max_size=4
)


def test_two_lines_change_places_where_they_cross() -> None:
    assert largest([(100.0, 1.0, 0.0), (0.0, 2.0, 0.0)]) == [
        Piece(0, 0.0, 100.0), Piece(1, 100.0, float("inf")),
    ]  # fmt: skip


@given(polynomials, st.floats(1, 10**6))
def test_at_every_length_the_piece_is_the_largest(
    lines: list[tuple[float, float, float]], tokens: float
) -> None:
    pieces = largest(lines)
    assert pieces[0].after == 0
    assert pieces[-1].until == float("inf")
    which = next(piece.which for piece in pieces if piece.after < tokens <= piece.until)
    amounts = [a + (b + c * tokens) * tokens for a, b, c in lines]
    assert amounts[which] == pytest.approx(max(amounts), rel=1e-6)


BODY = {"part": "body", "terms": {"fixed": 5e6, "per_token": 1_000.0, "per_length_squared": 2.0}}
HEAD = {"part": "head", "terms": {"per_token": 9_000.0}}


def record(model: Any, **changes: Any) -> dict[str, Any]:
    from dataclasses import asdict

    from dnallm_core.footprint import shape_of

    return {
        "device": "cpu", "dtype": "float32", "mode": "inference", "terms": {"fixed": 2e7},
        "implementation": model.implementation, "family": model.family,
        "shape": asdict(shape_of(model)), "steps": [BODY, HEAD], "seconds": {},
        "measured": {"points": [[1, 10, 1, 1.0]]},
    } | changes  # fmt: skip


def bytes_at(cost: Any, tokens: int) -> float:
    return sum(each.at(tokens) for each in cost.growths if each.name != "weights")


def test_the_larger_step_counts_with_what_rows_share_counted_once(make: Any) -> None:
    model = make("toy")
    records = Records(given={"toy": [record(model)]})
    one, four = (prediction(model, batch=rows, records=records) for rows in (1, 4))
    assert bytes_at(one, 100) == 2e7 + max(5e6 + 1_000 * 100 + 2 * 100**2, 9_000 * 100)
    assert bytes_at(one, 2_000) == 2e7 + 9_000 * 2_000
    assert bytes_at(one, 9_000) == 2e7 + 5e6 + 1_000 * 9_000 + 2 * 9_000**2
    assert bytes_at(four, 9_000) == 2e7 + 4 * 9_000 * 9_000


def test_the_largest_batch_fits_where_another_step_takes_over(make: Any) -> None:
    model = make("toy")
    records = Records(given={"toy": [record(model)]})
    memory = 10**9
    rows = largest_batch(model, 1_000, memory, records=records)
    cost = [prediction(model, batch=each, records=records) for each in (rows, rows + 1)]
    assert cost[0].most(1_000) <= memory < cost[1].most(1_000)


def exact(make: Any, **sizes: int) -> tuple[Any, Records]:
    """A transformer of 1,000 elements a token at least, measured with nothing kept by an allocator."""
    config = {"hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 2, **sizes}
    model = make("toy", architecture="encoder-transformer", config=config)
    body = {"part": "body", "terms": {"per_token": 4.0 * 12_000}}
    measured = {"points": [[1, 10, 1, 1.0]], "exact": True}
    return model, Records(given={"toy": [record(model, steps=[body], measured=measured)]})


def kept(cost: Any, tokens: int) -> float:
    return sum(each.at(tokens) for each in cost.growths if each.name == "allocator")


def test_attentions_tensors_stay_on_the_heap_while_the_states_are_blocks_of_it(make: Any) -> None:
    model, records = exact(make)
    cost = prediction(model, batch=8, records=records)
    states = 8 * 4 * 1024  # bytes a token of the length; 32 MB of them are 1,024 tokens
    assert kept(cost, 20) == 20e6
    assert kept(cost, 1_024) == pytest.approx(0.75 * 7 * states * 1_024)
    assert kept(cost, 1_025) == pytest.approx(45e6 + 0.035 * 8 * 4 * 12_000 * 1_025)


def test_wide_queries_go_back_to_the_system_before_the_states_do(make: Any) -> None:
    model, records = exact(make, head_dim=256, num_key_value_heads=1)
    cost = prediction(model, batch=8, records=records)
    assert kept(cost, 256) == pytest.approx(0.75 * 4 * 8 * (2 * 18 * 256 + 1024) * 256)
    assert kept(cost, 257) < 50e6


def test_a_longer_input_is_never_said_to_need_less_where_the_heap_lets_go(make: Any) -> None:
    model, records = exact(make)
    cost = prediction(model, batch=8, records=records)
    most = [cost.most(length) for length in range(900, 1_300, 7)]
    assert most == sorted(most)
    memory = cost.most(1_000)
    assert cost.most(cost.longest(memory)) <= memory
    for room in range(200_000_000, 700_000_000, 50_000_000):
        rows = largest_batch(model, 1_000, room, records=records)
        needed = [prediction(model, batch=each, records=records).most(1_000)
                  for each in range(1, rows + 2)]  # fmt: skip
        assert max(needed[:-1], default=0) <= room < needed[-1]


def test_a_relatives_head_is_scaled_by_its_vocabulary_and_the_body_is_not(make: Any) -> None:
    config = {"hidden_size": 100, "num_hidden_layers": 2, "num_attention_heads": 2,
              "intermediate_size": 400}  # fmt: skip
    big = make("big", config={**config, "vocab_size": 4_000}, architecture="encoder-transformer")
    small = make("small", config={**config, "vocab_size": 10}, architecture="encoder-transformer")
    head = {"part": "head", "terms": {"per_token": 4.0 * (2 * 4_000 + 300)}}
    body = {"part": "body", "terms": {"per_token": 4.0 * 1_500}}
    records = Records(given={"big": [record(big, steps=[head, body])]})
    told = prediction(small, records=records)
    assert "scaled by shape" in told.basis
    assert bytes_at(told, 1_000) == pytest.approx(2e7 + 4 * 1_500 * 1_000)
    only_head = Records(given={"big": [record(big, steps=[head])]})
    assert bytes_at(prediction(small, records=only_head), 1_000) == pytest.approx(
        2e7 + 4 * (2 * 10 + 300) * 1_000
    )


def test_what_one_row_holds_counts_once_and_is_scaled_like_what_every_row_holds(make: Any) -> None:
    wide, narrow = (
        make(name, architecture="state-space", config={"d_model": width, "n_layer": 2})
        for name, width in (("wide", 200), ("narrow", 100))
    )
    terms = {"fixed": 2e7, "per_length": 1_000.0, "per_token": 500.0}
    records = Records(given={"wide": [record(wide, steps=[], terms=terms)]})
    own = {each.name: each.per_token for each in prediction(wide, batch=4, records=records).growths}
    assert (own["working"], own["activations"]) == (1_000, 4 * 500)
    told = {each.name: each.per_token for each in prediction(narrow, records=records).growths}
    assert told["working"] == pytest.approx(2 * told["activations"])
    assert 0 < told["working"] < 1_000


def test_only_steps_that_are_a_peak_are_kept_and_each_is_told_exactly() -> None:
    points = [Point(rows, tokens, 0, 0.0) for rows in (1, 8) for tokens in (50, 200, 800)]

    def step(part: str, a: int, b: int, c: int) -> list[tuple[str, int]]:
        return [(part, a + b * p.rows * p.tokens + c * p.tokens**2) for p in points]

    made = {
        "a": step("body", 10**6, 500, 48),
        "b": step("head", 0, 20_000, 0),
        "c": step("body", 0, 9, 0),
    }
    steps = [{name: rows[place] for name, rows in made.items()} for place in range(len(points))]
    found = envelope(points, steps, ("fixed", "per_token", "per_length_squared"), 1_000)
    assert [each.name for each in found] == ["a", "b"]
    assert found[0].terms["per_length_squared"] == pytest.approx(48, rel=0.01)
    assert found[1].terms["per_token"] == pytest.approx(20_000, rel=0.01)
