"""Substitutions as the authors score them: masks, strands, windows, alignments, rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from dnallm_core.errors import CapabilityError, SequenceError
from dnallm_core.models.substitutions import context_of, substitutions
from dnallm_core.models.window_distances import window_distances
from dnallm_core.sequences.alignment import FastaAlignment

COMPLEMENT = str.maketrans("ACGTN", "TGCAN")
BASES = "ACGT"


def _random(length: int, seed: int = 0) -> str:
    return "".join(np.random.default_rng(seed).choice(list(BASES), length))


def _reverse(text: str) -> str:
    return text.translate(COMPLEMENT)[::-1]


def _aligned(tmp_path: Path, sequence: str, species: int = 9) -> FastaAlignment:
    rows = [f">me\n{sequence}\n"]
    for number in range(species):
        row = list(_random(len(sequence), number + 5))
        for at in range(number, len(row), 7):
            row[at] = "-"
        rows.append(f">s{number}\n{''.join(row)}\n")
    path = tmp_path / "a.fa"
    path.write_text("".join(rows))
    return FastaAlignment(path, contig="chr1")


def _masked_ratio(model, window: str, at: int, alt: str, aux=None) -> float:
    """One variant by its authors' recipe: the base masked, the alternative's logit less its own."""
    ids = torch.tensor([model.tokenizer.encode(window).ids])
    ids[0, at] = model.tokenizer.mask_id
    more = {} if aux is None else {"aux_features": aux[None]}
    with torch.inference_mode():
        logits = model.module(input_ids=ids, **more).logits[0, at]
    of = [model.tokenizer.encode(letter).ids[0] for letter in (alt, window[at])]
    return float(logits[of[0]] - logits[of[1]])


@pytest.mark.parametrize("window", [40, 41])
def test_a_window_around_each_masked_base_both_strands(golden, window: int) -> None:
    model = golden("gpn/gpn_convnet").model
    text = _random(90)
    table = substitutions(model, text, window=window)
    assert len(list(table)) == 3 * len(text)
    for position, ref, alt, effect in list(table)[::23]:
        start = min(max(position - 1 - window // 2, 0), len(text) - window)
        piece, at = text[start : start + window], position - 1 - start
        forward = _masked_ratio(model, piece, at, alt)
        back = _masked_ratio(model, _reverse(piece), window - 1 - at, _reverse(alt))
        assert effect == pytest.approx((forward + back) / 2, abs=2e-5)
        assert text[position - 1] == ref


@pytest.mark.parametrize("name", ["gpn/gpn_convnet", "gpn/gpn_brassicales"])
def test_whole_context_equals_one_forward_a_variant_over_the_whole_contig(golden, name) -> None:
    model = golden(name).model
    text = _random(300)
    table = substitutions(model, text, window="whole", start=100, end=160)
    plain = substitutions(model, text, window=300, start=100, end=160)
    np.testing.assert_allclose(table.effects, plain.effects, atol=5e-5)


def test_windows_that_hold_the_receptive_field_are_shared(golden, monkeypatch) -> None:
    model = golden("gpn/gpn_convnet").model
    left, right = model.receptive_field()
    calls = []
    original = type(model).masked_logits
    monkeypatch.setattr(type(model), "masked_logits", lambda *a: calls.append(1) or original(*a))
    text = _random(200)
    wide = substitutions(model, text, window=left + right + 2)
    assert calls
    calls.clear()
    narrow = substitutions(model, text, window=left + right - 2)
    assert not calls
    assert wide.effects.shape == narrow.effects.shape == (200, 4)


@pytest.mark.parametrize("name", ["phylogpn/phylogpn", "phylogpn/phylogpn_first"])
def test_rates_of_a_contig_are_those_of_a_window_around_each_base(golden, name: str) -> None:
    model = golden(name).model
    text = _random(60)
    table = substitutions(model, text, both_strands=False)
    flanked = "-" * 36 + text + "-" * 36
    for at in (0, 20, 59):
        ids = torch.tensor([model.tokenizer.encode(flanked[at : at + 73]).ids])
        with torch.inference_mode():
            rates = model.module(input_ids=ids).logits[0, 0].numpy()
        expected = rates - rates[BASES.index(text[at])]
        np.testing.assert_allclose(table.effects[at], expected, atol=3e-5)
    both = substitutions(model, text)
    other = substitutions(model, _reverse(text), both_strands=False)
    mean = (table.effects + other.effects[::-1, ::-1]) / 2
    np.testing.assert_allclose(both.effects, mean, atol=3e-5)


def test_stretches_and_scattered_positions_agree(golden) -> None:
    model = golden("phylogpn/phylogpn").model
    text = _random(120)
    whole = substitutions(model, text)
    some = substitutions(model, text, positions=[100, 3, 50, 3])
    np.testing.assert_allclose(some.effects, whole.effects[[100, 3, 50, 3]], atol=3e-5)
    assert some.reference == "".join(text[at] for at in (100, 3, 50, 3))


def test_unknown_bases_have_no_effect_and_case_means_nothing(golden) -> None:
    model = golden("phylogpn/phylogpn").model
    text = _random(50)
    text = text[:20] + "N" + text[21:]
    table = substitutions(model, text.lower())
    assert np.isnan(table.effects[20]).all()
    assert len(list(table)) == 3 * 49
    np.testing.assert_array_equal(table.effects, substitutions(model, text).effects)


def test_an_alignment_is_read_window_by_window(golden, tmp_path) -> None:
    model = golden("gpn-msa/gpn_msa").model
    text = _random(100)
    alignment = _aligned(tmp_path, text)
    table = substitutions(model, text, window=32, alignment=alignment, contig="chr1")
    for position, _, alt, effect in list(table)[::41]:
        start = min(max(position - 17, 0), 68)
        rows = alignment.fetch("chr1", start, start + 32)
        forward = _masked_ratio(
            model, rows[0], position - 1 - start, alt, model.encode_alignment(rows[1:])
        )
        turned = [row.translate(COMPLEMENT)[::-1] for row in rows]
        back = _masked_ratio(
            model, turned[0], 32 - position + start, _reverse(alt),
            model.encode_alignment(turned[1:]),
        )  # fmt: skip
        assert effect == pytest.approx((forward + back) / 2, abs=2e-5)


def test_an_alignment_is_asked_for_and_only_where_it_is_read(golden, tmp_path) -> None:
    text = _random(40)
    alignment = _aligned(tmp_path, text)
    with pytest.raises(CapabilityError, match="reads an alignment beside the sequence"):
        substitutions(golden("gpn-msa/gpn_msa").model, text)
    with pytest.raises(CapabilityError, match="reads the sequence alone"):
        substitutions(golden("gpn/gpn_convnet").model, text, alignment=alignment, window=8)
    few = _aligned(tmp_path, text, species=4)
    with pytest.raises(SequenceError, match="reads 9 aligned species; the alignment has 4"):
        substitutions(golden("gpn-msa/gpn_msa").model, text, alignment=few, contig="chr1")


def test_a_genome_that_is_not_the_alignments_is_refused(golden, tmp_path) -> None:
    text = _random(40)
    alignment = _aligned(tmp_path, text)
    other = text[:11] + ("A" if text[11] != "A" else "C") + text[12:]
    with pytest.raises(SequenceError, match="at chr1:12 it has"):
        substitutions(golden("gpn-msa/gpn_msa").model, other, alignment=alignment, contig="chr1")


def test_gaps_in_every_species_still_give_a_score(golden, tmp_path) -> None:
    text = _random(40)
    path = tmp_path / "gaps.fa"
    path.write_text(f">me\n{text}\n" + "".join(f">s{n}\n{'-' * 40}\n" for n in range(9)))
    alignment = FastaAlignment(path, contig="chr1")
    table = substitutions(golden("gpn-msa/gpn_msa").model, text, alignment=alignment, contig="chr1")
    assert np.isfinite(table.effects).all()


def test_stretches_outside_are_refused(golden) -> None:
    model = golden("phylogpn/phylogpn").model
    with pytest.raises(SequenceError, match="6 to 51 is no stretch of a sequence of 50 bp"):
        substitutions(model, "A" * 50, start=5, end=51)
    with pytest.raises(SequenceError, match="outside a sequence of 50 bp"):
        substitutions(model, "A" * 50, positions=[50])
    assert len(substitutions(model, "A" * 50, start=5, end=5).effects) == 0


def test_only_a_bounded_field_makes_a_whole_contig_one_window(golden, tmp_path) -> None:
    text = _random(40)
    with pytest.raises(CapabilityError, match="no bounded receptive field"):
        substitutions(
            golden("gpn-msa/gpn_msa").model, text, window="whole",
            alignment=_aligned(tmp_path, text), contig="chr1",
        )  # fmt: skip


def _odds(logits: torch.Tensor) -> torch.Tensor:
    p = torch.softmax(logits[..., 1:5].double(), -1)
    return torch.log(p / (1 - p))


@pytest.mark.parametrize("kind", ["influence", "embedding-distance"])
def test_influence_and_embedding_distance_are_the_authors(golden, tmp_path, kind: str) -> None:
    model = golden("gpn-msa/gpn_msa").model
    text = _random(60)
    alignment = _aligned(tmp_path, text)
    variants = [(40, text[39], "A" if text[39] != "A" else "C"), (3, text[2].lower(), "g")]
    variants[1] = (3, text[2], "G" if text[2] != "G" else "T")
    ours = window_distances(
        model, text, variants, kind=kind, window=20, alignment=alignment, contig="chr1"
    )
    for number, (position, _, alt) in enumerate(variants):
        start = min(max(position - 11, 0), 40)
        rows = alignment.fetch("chr1", start, start + 20)
        strands = []
        for turn in (False, True):
            at = position - 1 - start
            here = [row.translate(COMPLEMENT)[::-1] for row in rows] if turn else rows
            at, letter = (19 - at, _reverse(alt)) if turn else (at, alt)
            changed = here[0][:at] + letter + here[0][at + 1 :]
            aux = model.encode_alignment(here[1:])[None]
            with torch.inference_mode():
                first, second = (
                    model.module(
                        input_ids=torch.tensor([model.tokenizer.encode(each).ids]),
                        aux_features=aux,
                    )
                    for each in (here[0], changed)
                )
            if kind == "influence":
                change = (_odds(first.logits) - _odds(second.logits)).abs()[0].max(-1).values
                strands.append(float(torch.cat([change[:at], change[at + 1 :]]).mean()))
            else:
                apart = first.last_hidden_state - second.last_hidden_state
                strands.append(float(apart.flatten().norm()))
        assert ours[number] == pytest.approx(sum(strands) / 2, rel=1e-3)


def test_distances_of_what_is_no_substitution_are_refused(golden) -> None:
    model = golden("gpn/gpn_convnet").model
    with pytest.raises(SequenceError, match="2:A:G is no substitution of the base"):
        window_distances(model, "ACGT", [(2, "A", "G")], kind="influence")


@pytest.mark.parametrize("span", [(0, 9), (70, 90), (150, 160)])
@pytest.mark.parametrize("name", ["gpn/gpn_convnet", "gpn-msa/gpn_msa", "phylogpn/phylogpn"])
@pytest.mark.parametrize("window", [None, 30, "whole"])
def test_the_context_is_all_that_a_stretch_needs(golden, tmp_path, name, span, window) -> None:
    model = golden(name).model
    if name.startswith("gpn-msa") and window == "whole":
        pytest.skip("no bounded receptive field")
    text = _random(160)
    more = {}
    if name.startswith("gpn-msa"):
        more = {"alignment": _aligned(tmp_path, text), "contig": "chr1"}
    low, high = context_of(model, *span, len(text), window)
    piece = substitutions(
        model, text[low:high], start=span[0], end=span[1], offset=low, window=window, **more
    )
    whole = substitutions(model, text, start=span[0], end=span[1], window=window, **more)
    np.testing.assert_allclose(piece.effects, whole.effects, atol=5e-5)
    np.testing.assert_array_equal(piece.positions, np.arange(*span))
    assert piece.reference == text[slice(*span)]


def test_a_stretch_beyond_the_piece_is_refused(golden) -> None:
    model = golden("phylogpn/phylogpn").model
    with pytest.raises(
        SequenceError, match="is no stretch of a sequence of 50 bp that begins at 101"
    ):
        substitutions(model, "A" * 50, start=99, end=120, offset=100)
