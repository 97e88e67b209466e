"""Every substitution of a stretch, for models that any plugin may bring."""

from __future__ import annotations

import numpy as np
import pytest
from dnallm_core.errors import CapabilityError, RequirementError, SequenceError
from dnallm_core.models.contig import Contig
from dnallm_core.models.placed_windows import PlacedWindows, published_window, special_ids
from dnallm_core.models.substitutions import context_of, substitutions
from dnallm_core.models.variants import substitution_effects
from dnallm_core.models.window_distances import window_distances
from dnallm_core.sequences.alphabet import reverse_complement

TEXT = "ACGTTGCAACGGTTACAGTACCATGAACTGGT"


def test_they_are_what_each_variant_gets_in_memory(toy) -> None:
    model = toy("toy")
    table = substitutions(model, TEXT, window=12)
    variants = [(position, ref, alt) for position, ref, alt, _ in table]
    assert len(variants) == 3 * len(TEXT)
    expected = model.variant_effects(TEXT, variants, window=12)
    np.testing.assert_allclose([each[3] for each in table], expected, atol=2e-5)


def test_one_strand_is_what_it_says(toy) -> None:
    model = toy("toy")
    table = substitutions(model, TEXT, window=12, both_strands=False)
    variants = [(position, ref, alt) for position, ref, alt, _ in table]
    expected = model.variant_effects(TEXT, variants, window=12, both_strands=False)
    np.testing.assert_allclose([each[3] for each in table], expected, atol=2e-5)


def test_a_stretch_is_scored_from_its_context(toy) -> None:
    model = toy("toy")
    whole = substitutions(model, TEXT, start=2, end=20, window=10)
    low, high = context_of(model, 2, 20, len(TEXT), 10)
    assert (low, high) == (0, 24)
    piece = substitutions(model, TEXT[low:high], start=2, end=20, offset=low, window=10)
    np.testing.assert_allclose(piece.effects, whole.effects, atol=1e-6)


def test_a_contig_shorter_than_its_window_is_its_own(toy) -> None:
    model = toy("toy")
    assert published_window(model) == 64
    short = substitutions(model, "ACGTA")
    np.testing.assert_allclose(
        short.effects, substitutions(model, "ACGTA", window=5).effects, atol=1e-6
    )


def test_causal_models_mask_nothing(toy) -> None:
    with pytest.raises(CapabilityError, match="predicts no masked base"):
        substitutions(toy("toy-causal"), TEXT)


def test_a_whole_contig_needs_a_bounded_field(toy) -> None:
    with pytest.raises(CapabilityError, match="needs a window in bp"):
        substitutions(toy("toy"), TEXT, window="whole")


@pytest.mark.parametrize("window", [0, -3])
def test_a_window_without_a_base_is_refused(toy, window: int) -> None:
    with pytest.raises(SequenceError, match="holds no base"):
        substitutions(toy("toy"), TEXT, window=window)


def test_special_tokens_frame_every_window(toy) -> None:
    model = toy("toy")
    assert special_ids(model) == ([], [])
    (stretch,) = PlacedWindows(model, Contig.of(TEXT), window=6).stretches([0, 3])
    inputs, token = stretch.inputs([0, 1], reverse=False, letters="GT")
    spelt = ["".join("ACGTN"[each - 3] for each in row) for row in inputs["input_ids"].tolist()]
    assert spelt == ["GCGTTG", "ACGTTG"]
    assert token.tolist() == [0, 3]
    inputs, token = stretch.inputs([0], reverse=True)
    assert "".join("ACGTN"[each - 3] for each in inputs["input_ids"][0].tolist()) == "CAACGT"
    assert token.tolist() == [5]


@pytest.mark.parametrize("kind", ["influence", "embedding-distance"])
def test_distances_are_those_of_the_two_windows(toy, kind: str) -> None:
    model = toy("toy")
    distances = window_distances(model, TEXT, [(20, "A", "T"), (3, "G", "C")], kind=kind, window=8)
    alone = window_distances(model, TEXT, [(3, "G", "C")], kind=kind, window=8)
    assert distances.shape == (2,)
    assert (distances > 0).all()
    assert distances[1] == pytest.approx(alone[0], rel=1e-4)


def test_an_unknown_distance_is_refused(toy) -> None:
    with pytest.raises(RequirementError, match="no score 'cosine'"):
        window_distances(toy("toy"), TEXT, [], kind="cosine")


@pytest.mark.parametrize("both_strands", [True, False])
def test_wild_type_marginals_are_read_off_a_window_without_a_mask(toy, both_strands) -> None:
    model = toy("toy")
    text = TEXT[:12] + "N" + TEXT[13:] + TEXT
    own, effects = substitution_effects(
        model, Contig.of(text), np.arange(len(text)), window=16, marginal="wild-type",
        both_strands=both_strands, tokens=40,
    )  # fmt: skip
    assert own[12] == -1
    for at in (0, 3, 4, 13, 30, len(text) - 1):
        start = min(max((at - 4) // 8 * 8, 0), len(text) - 16)
        window = text[start : start + 16]
        table = model.logits([window, reverse_complement(window)])
        forward = table[0][at - start, 3:7]
        backward = table[1][15 - at + start, 3:7][::-1]
        expected = (forward + backward) / 2 if both_strands else forward
        np.testing.assert_allclose(effects[at], expected - expected[own[at]], atol=1e-5)


def test_a_causal_model_has_no_wild_type_marginals(toy) -> None:
    with pytest.raises(CapabilityError, match="they are a masked model's"):
        substitution_effects(toy("toy-causal"), Contig.of(TEXT), np.arange(3), marginal="wild-type")
