"""Distances of embeddings as effects: plain differences of states, negative, on both strands."""

from __future__ import annotations

import numpy as np
import pytest
from dnallm_core.errors import CapabilityError, RequirementError
from dnallm_core.models.contig import Contig
from dnallm_core.models.embedding_distances import embedding_distances
from dnallm_core.models.variant_windows import placed_variants

TEXT = "ACGTTGCAACGGTTACAGTACCATGAACTGGTNACGGATTACA" * 2
SAME_LENGTH = [(20, "A", "T"), (3, "G", "C"), (9, "AC", "TG"), (86, "A", "C")]
INDELS = [(10, "C", "CTTA"), (10, "CGG", "C"), (1, "A", "ACC"), (30, "GGT", "AC")]
KINDS = ["toy", "toy-causal"]


def states(model, text):
    """Vectors of the bases alone."""
    vectors, offsets = model.embed_tokens(text)
    return vectors[[end > start for start, end in offsets]].astype(np.float64)


def expected(model, variant, window, strand):
    causal = model.manifest.direction == "causal"
    (one,) = placed_variants(Contig.of(TEXT), [variant], window, causal=causal, reverse=strand)
    reference, alternative = states(model, one.window), states(model, one.alternative)
    if len(one.ref) == len(one.alt):
        return -np.linalg.norm(reference - alternative)
    before = reference[: one.start] - alternative[: one.start]
    left = len(one.window) - one.start - len(one.ref)
    behind = reference[len(reference) - left :] - alternative[len(alternative) - left :]
    return -np.linalg.norm(np.concatenate([before, behind]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both_strands", [True, False])
def test_an_effect_is_minus_the_distance_of_the_windows_states(toy, kind, both_strands):
    model = toy(kind)
    variants = SAME_LENGTH + INDELS
    found = model.variant_effects(
        TEXT, variants, window=16, both_strands=both_strands, effect="embedding-distance"
    )
    strands = (False, True) if both_strands else (False,)
    plain = [np.mean([expected(model, each, 16, one) for one in strands]) for each in variants]
    np.testing.assert_allclose(found, plain, rtol=1e-4)
    assert (found < 0).all()


def test_neighbours_order_and_batches_change_nothing_but_roundings(toy):
    model, contig = toy("toy-causal"), Contig.of(TEXT)
    variants = SAME_LENGTH + INDELS
    whole = embedding_distances(model, contig, variants, window=16)
    turned = embedding_distances(model, contig, variants[::-1], window=16, tokens=40)
    np.testing.assert_allclose(turned[::-1], whole, rtol=1e-5)
    alone = [embedding_distances(model, contig, [each], window=16)[0] for each in variants]
    np.testing.assert_allclose(alone, whole, rtol=1e-5)


def test_no_variants_are_no_distances(toy):
    assert embedding_distances(toy("toy"), Contig.of(TEXT), []).shape == (0,)


def test_tokens_of_several_bases_are_refused(toy):
    model = toy("toy")
    model.tokenizer = model.tokenizer.__class__.__new__(model.tokenizer.__class__)
    model.tokenizer.encode = lambda text, **_: type("Encoding", (), {"ids": [3]})
    model.tokenizer.unknown_id = 2
    with pytest.raises(CapabilityError, match="tokens are not single bases"):
        embedding_distances(model, Contig.of(TEXT), SAME_LENGTH)


def test_an_unknown_effect_is_refused(toy):
    with pytest.raises(RequirementError, match="no effect 'cosine'") as caught:
        toy("toy").variant_effects(TEXT, SAME_LENGTH, effect="cosine")
    assert "likelihood, embedding-distance" in caught.value.hint
