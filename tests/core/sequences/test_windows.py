"""Windows cover a contig, and every base belongs to one of them."""

from __future__ import annotations

import pytest
from dnallm_core.errors import RequirementError
from dnallm_core.sequences.windows import Window, Windows
from hypothesis import given
from hypothesis import strategies as st


@st.composite
def windows(draw: st.DrawFn) -> tuple[Windows, int]:
    size = draw(st.integers(1, 30))
    stride = draw(st.integers(1, size))
    owner = draw(st.sampled_from(["centre", "earlier"]))
    return Windows(size, stride, owner), draw(st.integers(0, 100))


@given(windows())
def test_every_base_belongs_to_exactly_one_window_that_holds_it(case: tuple[Windows, int]) -> None:
    rule, length = case
    owned = [
        place
        for window in rule.over(length)
        for place in range(window.owned_start, window.owned_end)
    ]
    assert owned == list(range(length))
    for window in rule.over(length):
        assert window.start <= window.owned_start < window.owned_end <= window.end


@given(windows())
def test_every_window_is_full_unless_the_contig_is_shorter(case: tuple[Windows, int]) -> None:
    rule, length = case
    for window in rule.over(length):
        assert window.end - window.start == min(rule.size, length)
        assert window.start >= 0
        assert window.end <= length


@given(windows(), st.data())
def test_a_regions_windows_are_those_of_the_whole_contig(
    case: tuple[Windows, int], data: st.DataObject
) -> None:
    rule, length = case
    start = data.draw(st.integers(0, length))
    end = data.draw(st.integers(start, length))
    wanted = [
        each
        for each in rule.over(length)
        if start < end and each.owned_start < end and each.owned_end > start
    ]
    assert list(rule.over(length, start, end)) == wanted


@given(windows(), st.data())
def test_the_owner_of_a_base_is_found_without_walking(
    case: tuple[Windows, int], data: st.DataObject
) -> None:
    rule, length = case
    if not length:
        return
    position = data.draw(st.integers(0, length - 1))
    window = rule.at(rule.owner_of(position, length), length)
    assert window.owned_start <= position < window.owned_end


def test_the_last_window_slides_back_to_the_contigs_end() -> None:
    assert list(Windows(10, 8).over(20)) == [
        Window(0, 10, 0, 9),
        Window(8, 18, 9, 14),
        Window(10, 20, 14, 20),
    ]


def test_causal_models_give_a_base_to_the_window_with_more_before_it() -> None:
    borders = [(each.owned_start, each.owned_end) for each in Windows(10, 5, "earlier").over(20)]
    assert borders == [(0, 10), (10, 15), (15, 20)]


def test_a_contig_shorter_than_the_window_is_one_window() -> None:
    assert list(Windows(100, 50).over(7)) == [Window(0, 7, 0, 7)]
    assert list(Windows(100, 50).over(0)) == []


@pytest.mark.parametrize(
    ("size", "stride", "words"),
    [
        (0, 1, "A window of 0 bp holds nothing"),
        (10, 0, "A stride of 0 bp gets nowhere"),
        (10, 11, "leaves bases between windows of 10 bp"),
    ],
)
def test_windows_that_would_leave_bases_out_are_refused(size: int, stride: int, words: str) -> None:
    with pytest.raises(RequirementError, match=words):
        Windows(size, stride)
