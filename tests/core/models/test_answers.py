"""What a loaded model answers, and that an answer is the sequence's alone (law 7)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from dnallm_core.errors import CapabilityError, RequirementError, SequenceError
from dnallm_core.models import embedding, likelihood
from dnallm_core.models.batching import batches, encode
from dnallm_core.sequences.alphabet import reverse_complement
from hypothesis import given, settings
from hypothesis import strategies as st

DNA = st.text("ACGT", min_size=1, max_size=40)
QUICK = settings(max_examples=15, deadline=None)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


@pytest.mark.parametrize("family", ["toy", "toy-causal"])
def test_an_answer_does_not_depend_on_the_batch(toy, family):
    model = toy(family)

    @QUICK
    @given(st.lists(DNA, min_size=1, max_size=6), st.integers(1, 6), st.integers(1, 200))
    def holds(sequences, rows, tokens):
        alone = np.concatenate([model.embed(each) for each in sequences])
        together = embedding.embed(model, sequences, rows=rows, tokens=tokens)
        np.testing.assert_allclose(together, alone, **CLOSE)
        scores = likelihood.score(model, sequences, rows=rows, tokens=tokens)
        single = np.concatenate([model.score(each) for each in sequences])
        np.testing.assert_allclose(scores, single, **CLOSE)

    holds()


def test_batches_hold_every_row_once_and_no_more_than_asked(toy):
    model = toy()
    encodings = encode(model, ["A" * n for n in (5, 1, 9, 9, 2, 30)])
    found = list(batches(model, encodings, tokens=20, rows=2))
    assert sorted(row for each in found for row in each.rows) == list(range(6))
    for each in found:
        assert len(each.rows) == 1 or each.inputs["input_ids"].numel() <= 20
        assert len(each.rows) <= 2


def test_the_mean_leaves_special_tokens_out_where_the_manifest_says_so(toy):
    model = toy("toy-causal")
    states = model.embed_tokens("ACGTA")
    assert states.offsets == [(0, 0), *[(at, at + 1) for at in range(5)]]
    np.testing.assert_allclose(model.embed("ACGTA")[0], states.vectors.mean(axis=0), **CLOSE)
    from dataclasses import replace

    model.manifest = replace(model.manifest, special_tokens_in_mean=False)
    np.testing.assert_allclose(model.embed("ACGTA")[0], states.vectors[1:].mean(axis=0), **CLOSE)


def test_layers_and_poolings(toy):
    model = toy()
    hidden = model.module(
        input_ids=torch.tensor([[3, 4, 5]]), output_hidden_states=True
    ).hidden_states
    np.testing.assert_allclose(
        model.embed("ACG", layer=0, pooling="first")[0], hidden[0][0, 0].detach(), **CLOSE
    )
    np.testing.assert_allclose(
        model.embed("ACG", layer=1, pooling="max")[0],
        hidden[1][0].max(dim=0).values.detach(),
        **CLOSE,
    )
    with pytest.raises(RequirementError, match="has no layer 9"):
        model.embed("ACG", layer=9)
    with pytest.raises(RequirementError, match="There is no pooling 'men'"):
        model.embed("ACG", pooling="men")


def test_both_strands_make_an_answer_symmetric(toy):
    model = toy()
    sequence = "ACGGTTACGA"
    other = reverse_complement(sequence)
    np.testing.assert_allclose(
        model.embed(sequence, both_strands=True), model.embed(other, both_strands=True), **CLOSE
    )
    np.testing.assert_allclose(
        model.score(sequence, both_strands=True), model.score(other, both_strands=True), **CLOSE
    )
    np.testing.assert_allclose(
        model.variant_effects(sequence, [(2, "C", "T")]),
        model.variant_effects(other, [(9, "G", "A")]),
        **CLOSE,
    )


def test_a_masked_score_is_the_log_probability_of_each_base_given_the_others(toy):
    model = toy()
    sequence = "ACGTTG"
    ids = {"A": 3, "C": 4, "G": 5, "T": 6}
    expected = []
    for at, base in enumerate(sequence):
        row = torch.tensor([[ids[each] for each in sequence]])
        row[0, at] = model.tokenizer.mask_id
        four = model.module(input_ids=row).logits[0, at, 3:7].detach()
        expected.append(float(torch.log_softmax(four, dim=0)["ACGT".index(base)]))
    np.testing.assert_allclose(model.score(sequence, reduce="none")[0], expected, **CLOSE)
    np.testing.assert_allclose(model.score(sequence), [np.mean(expected)], **CLOSE)
    np.testing.assert_allclose(model.score(sequence, reduce="sum"), [np.sum(expected)], **CLOSE)


def test_a_causal_score_is_the_log_likelihood_of_the_tokens(toy):
    model = toy("toy-causal")
    sequence = "ACGTTG"
    ids = torch.tensor([[1, 3, 4, 5, 6, 6, 5]])
    table = torch.log_softmax(model.module(input_ids=ids).logits[0].detach(), dim=-1)
    expected = [float(table[at, ids[0, at + 1]]) for at in range(6)]
    np.testing.assert_allclose(model.score(sequence, reduce="none")[0], expected, **CLOSE)


def test_unknown_bases_are_not_scored_and_not_counted(toy):
    for family in ("toy", "toy-causal"):
        per_base = toy(family).score("ACNGT", reduce="none")[0]
        assert np.isnan(per_base).tolist() == [False, False, True, False, False]
    assert np.isnan(toy(seed=3).score("NNN")).all()


def test_a_long_sequence_streams_to_the_same_score(toy, monkeypatch):
    model = toy("toy-causal")
    from dataclasses import replace

    model.manifest = replace(model.manifest, length_limit="none")
    sequence = "ACGGTTACGATTTACG" * 20
    whole = model.score(sequence, reduce="none")[0]
    monkeypatch.setattr(likelihood, "STREAMED_CHUNK", 37)
    np.testing.assert_allclose(model.score(sequence, reduce="none")[0], whole, **CLOSE)


@pytest.mark.parametrize("prefix", [[], [1], [1, 1]], ids=len)
def test_a_long_sequence_is_never_encoded_as_a_whole(toy, monkeypatch, prefix):
    model = toy("toy-causal")
    from dataclasses import replace

    model.manifest = replace(model.manifest, length_limit="none")
    model.tokenizer.prefix = prefix
    sequence = "ACGGTTRCGATTTACG" * 20
    with pytest.warns(
        UserWarning, match="no token for 20 of the 320 letters of sequence 1 .at 7 and 19"
    ):
        whole = model.score(sequence, reduce="none")[0]
    lengths, encode = [], model.tokenizer.encode

    def noted(text, special_tokens=True):
        lengths.append(len(text))
        return encode(text, special_tokens)

    monkeypatch.setattr(model.tokenizer, "encode", noted)
    monkeypatch.setattr(likelihood, "STREAMED_CHUNK", 37)
    np.testing.assert_allclose(model.score(sequence, reduce="none")[0], whole, **CLOSE)
    assert max(lengths) == 37
    model.has_told_of_losses = False
    with pytest.warns(UserWarning, match="no token for 20 of the 320 letters"):
        model.score(sequence)


def test_a_substitution_is_the_masked_marginal(toy):
    model = toy()
    sequence = "ACGTTGACCA"
    row = torch.tensor([[3, 4, 5, 6, 6, 5, 3, 4, 4, 3]])
    row[0, 4] = model.tokenizer.mask_id
    logits = model.module(input_ids=row).logits[0, 4].detach()
    effect = model.variant_effects(sequence, [(5, "T", "A")], both_strands=False)
    np.testing.assert_allclose(effect, [float(logits[3] - logits[6])], **CLOSE)


def test_every_other_variant_is_the_plain_difference_of_likelihoods(toy):
    for family in ("toy", "toy-causal"):
        model = toy(family, spread=0.2)
        sequence = "ACGTTGACCA"
        for position, ref, alt in ((4, "TT", "T"), (4, "T", "TGA"), (4, "TT", "GA")):
            at = position - 1
            other = sequence[:at] + alt + sequence[at + len(ref) :]
            expected = (model.score(other, reduce="sum") - model.score(sequence, reduce="sum"))[0]
            effect = model.variant_effects(sequence, [(position, ref, alt)], both_strands=False)
            np.testing.assert_allclose(effect, [expected], rtol=1e-3, atol=1e-4)


def test_a_variant_that_disagrees_with_the_reference_is_named(toy):
    model = toy()
    with pytest.raises(SequenceError, match="it has C at position 2, not G"):
        model.variant_effects("ACGT", [(2, "G", "A")])
    with pytest.raises(SequenceError, match="it has no base at position 9, not G"):
        model.variant_effects("ACGT", [(9, "G", "A")])
    with pytest.raises(SequenceError, match="both alleles must be spelt in A, C, G, T"):
        model.variant_effects("ACGT", [(2, "C", "N")])


def test_beyond_a_hard_limit_is_an_error_that_says_what_to_do(toy):
    model = toy()
    with pytest.raises(SequenceError, match="has 65 bp \\(65 tokens\\); toy was made for 64") as e:
        model.embed("A" * 65)
    assert "dnallm models --length 65" in e.value.hint


def test_beyond_a_trained_length_is_said_once_a_model(toy, recwarn):
    from dataclasses import replace

    from dnallm_core.models import batching

    model = toy()
    model.manifest = replace(model.manifest, length_limit="trained")
    batching.encode(model, ["A" * 65, "C" * 70])
    batching.encode(model, ["G" * 80])
    (said,) = [str(each.message) for each in recwarn if "extrapolation" in str(each.message)]
    assert "sequence 1 has 65 bp (65 tokens); toy was made for 64" in said


def test_an_empty_sequence_and_a_strange_letter_are_errors(toy):
    model = toy()
    with pytest.raises(SequenceError, match="sequence 2 is empty"):
        model.embed(["A", ""])
    with pytest.raises(SequenceError) as caught:
        model.embed(["A", "AC!T"])
    assert caught.value.character == "!"
    assert caught.value.position == 3


def test_what_a_model_cannot_do_is_a_capability_error(toy):
    with pytest.raises(CapabilityError):
        toy().generate("ACG", max_new_bases=3)


def test_what_is_no_text_is_refused_by_its_number(toy):
    with pytest.raises(SequenceError, match="sequence 2 is of type int, not text"):
        toy().embed(["ACGT", 3])


def test_a_variant_is_named_as_it_was_given(toy):
    with pytest.raises(SequenceError, match=r"Variant 1 \(2:A:G\) disagrees with the reference"):
        toy().variant_effects("ACGT", [(2, "A", "G")])


def test_bases_that_the_tokenizer_loses_are_told_once(toy):
    model = toy()
    with pytest.warns(UserWarning, match="knows no token for 2 of the 6 letters of sequence 1"):
        model.embed("ACRYGT")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.embed("ACRYGT")
        toy(seed=5).embed("ACGTN")
