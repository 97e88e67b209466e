"""Letters: the reverse complement and what normalising does to a user's sequence."""

from __future__ import annotations

import pytest
from dnallm_core.errors import SequenceError
from dnallm_core.sequences.alphabet import IUPAC, normalised, reverse_complement
from hypothesis import given
from hypothesis import strategies as st

LETTERS = IUPAC + IUPAC.lower() + "-"


@given(st.text(LETTERS))
def test_the_reverse_complement_twice_is_the_sequence(sequence: str) -> None:
    assert reverse_complement(reverse_complement(sequence)) == sequence


@given(st.text(LETTERS), st.text(LETTERS))
def test_the_reverse_complement_of_two_parts_is_theirs_in_reverse(first: str, second: str) -> None:
    whole = reverse_complement(first + second)
    assert whole == reverse_complement(second) + reverse_complement(first)


def test_iupac_codes_and_case_are_complemented_too() -> None:
    assert reverse_complement("AACGTRYSWKMBDHVN") == "NBDHVKMWSRYACGTT"
    assert reverse_complement("acgtN") == "Nacgt"
    assert reverse_complement("ACU") == "AGT"


def test_a_letter_without_a_complement_is_refused() -> None:
    with pytest.raises(SequenceError, match="'X' at position 3"):
        reverse_complement("ACXG")


def test_normalising_gives_upper_case_and_t_for_u() -> None:
    assert normalised("  acguNryU\r\n") == "ACGTNRYT"
    assert normalised("acguAU", keep_case=True) == "acgtAT"
    assert normalised("AC-GT", allow="-") == "AC-GT"


@given(st.text(IUPAC))
def test_a_normalised_sequence_stays_as_it_is(sequence: str) -> None:
    assert normalised(sequence) == sequence


@pytest.mark.parametrize(
    ("sequence", "letter", "position", "words"),
    [
        ("ACGTZACGT", "Z", 5, "This looks like protein"),
        ("ACG-T", "-", 4, "gaps"),
        ("ACG TACG1", " ", 4, "IUPAC codes"),
        ("ACGé", "é", 4, "IUPAC codes"),
    ],
)
def test_an_unknown_letter_is_named_with_its_record_and_place(
    sequence: str, letter: str, position: int, words: str
) -> None:
    with pytest.raises(SequenceError) as refused:
        normalised(sequence, record="chr7")
    error = refused.value
    assert (error.record, error.position, error.character) == ("chr7", position, letter)
    assert f"Record chr7 has {letter!r} at position {position}" in error.sentence
    assert words in error.hint
