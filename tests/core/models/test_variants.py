"""A variant's effect is the plain difference of likelihoods, however the work is shared."""

from __future__ import annotations

import numpy as np
import pytest
from dnallm_core.models.contig import Contig
from dnallm_core.models.variant_windows import causal_window, window_around
from dnallm_core.models.variants import contig_effects
from dnallm_core.sequences.alphabet import reverse_complement
from hypothesis import given, settings
from hypothesis import strategies as st

CLOSE = {"rtol": 1e-4, "atol": 2e-4}
LONG = 10**9  # a contig whose ends are far


@st.composite
def genomes(draw):
    """A short contig with unknown letters, and alleles anywhere in it."""
    text = draw(st.text("ACGT", min_size=8, max_size=90))
    for at in draw(st.lists(st.integers(0, len(text) - 1), max_size=3)):
        text = text[:at] + "N" + text[at + 1 :]
    found = []
    for _ in range(draw(st.integers(1, 8))):
        at = draw(st.integers(0, len(text) - 1))
        ref = text[at : at + draw(st.integers(1, 6))]
        alt = draw(st.text("ACGT", min_size=1, max_size=6))
        if "N" not in ref and alt != ref:
            found.append((at + 1, ref, alt))
    return text, found


def plain(model, text, variant, size, reverse, causal):
    """The alternative window's likelihood less the reference window's, each scored on its own."""
    position, ref, alt = variant
    at = position - 1
    if causal:
        low, high = causal_window(at, ref, alt, size, 0, len(text), reverse=reverse)
    else:
        low, high = window_around(at, ref, alt, size, len(text))
    window = text[low:high]
    other = window[: at - low] + alt + window[at - low + len(ref) :]
    if reverse:
        window, other = reverse_complement(window), reverse_complement(other)
    return float(np.diff(model.score([window, other], reduce="sum"))[0])


@pytest.mark.parametrize("carries", [True, False])
def test_a_causal_effect_is_the_plain_difference(toy, carries, monkeypatch):
    model = toy("toy-causal", spread=0.3)
    if not carries:
        monkeypatch.setattr(
            "dnallm_core.models.variants.carried_differences", lambda *_, **__: None
        )

    @settings(max_examples=20 if carries else 5, deadline=None)
    @given(genomes(), st.sampled_from([1, 2, 7, 16, 33, 200]), st.sampled_from([40, 16_384]))
    def holds(genome, size, tokens):
        text, variants = genome
        found = contig_effects(model, Contig.of(text), variants, window=size, tokens=tokens)
        expected = [
            np.mean(
                [plain(model, text, each, size, turned, causal=True) for turned in (False, True)]
            )
            for each in variants
        ]
        np.testing.assert_allclose(found, expected, **CLOSE)

    holds()


def test_a_masked_indel_is_the_plain_difference(toy):
    model = toy(spread=0.3)

    @settings(max_examples=6, deadline=None)
    @given(genomes(), st.sampled_from([8, 21]))
    def holds(genome, size):
        text, variants = genome
        variants = [each for each in variants if max(map(len, each[1:])) > 1]
        found = contig_effects(model, Contig.of(text), variants, window=size)
        expected = [
            np.mean(
                [plain(model, text, each, size, turned, causal=False) for turned in (False, True)]
            )
            for each in variants
        ]
        np.testing.assert_allclose(found, expected, **CLOSE)

    holds()


def test_a_piece_of_a_contig_gives_what_the_whole_does(toy):
    model = toy("toy-causal", spread=0.3)
    text = "ACGTTGCAACGGTTACAGTACCATGAACTGGT" * 4
    variants = [(64, text[63], "A"), (70, text[69:71], "G")]
    whole = contig_effects(model, Contig.of(text), variants, window=16)
    piece = contig_effects(model, Contig.of(text[40:90], start=40), variants, window=16)
    np.testing.assert_allclose(piece, whole, rtol=1e-6)


@given(st.integers(10**6, 2 * 10**6), st.booleans())
def test_a_causal_window_leaves_half_of_it_before_a_base_and_a_sixteenth_behind(at, reverse):
    low, high = causal_window(at, "A", "C", 512, 0, LONG, reverse=reverse)
    before, behind = (high - at - 1, at - low) if reverse else (at - low, high - at - 1)
    assert high - low == 512
    assert before >= 256
    assert behind >= 32
    assert (high if reverse else low) % 224 == 0


@given(st.integers(10**6, 2 * 10**6), st.integers(1, 60), st.integers(1, 100), st.booleans())
def test_an_indel_has_context_on_both_sides(at, deleted, inserted, reverse):
    low, high = causal_window(at, "A" * deleted, "C" * inserted, 512, 0, LONG, reverse=reverse)
    assert high - low + max(0, inserted - deleted) == 512
    assert min(at - low, high - at - deleted) >= 16


def test_neighbours_are_read_behind_the_same_letters():
    spans = {causal_window(at, "A", "C", 512, 0, LONG) for at in range(1_000_000, 1_001_920)}
    assert len(spans) == 9
    assert all(low % 224 == 0 and high - low == 512 for low, high in spans)


@given(
    st.integers(0, 99), st.integers(1, 15), st.integers(1, 20), st.integers(45, 150), st.booleans()
)
def test_at_a_contigs_ends_windows_slide_and_hold_the_alleles(at, deleted, inserted, size, reverse):
    ref, alt = "A" * min(deleted, 100 - at), "C" * inserted
    low, high = causal_window(at, ref, alt, size, 0, 100, reverse=reverse)
    assert 0 <= low <= at
    assert at + len(ref) <= high <= 100
    assert high - low <= max(size, len(ref))
    longest = high - low + len(alt) - len(ref)
    assert longest <= max(size, len(alt))


def test_a_long_insertion_stands_in_a_window_of_its_own():
    low, high = causal_window(1_000_127, "A", "A" * 200, 512, 0, LONG)
    assert (low, high) == (1_000_127 - 313 // 2, 1_000_127 - 313 // 2 + 313)
