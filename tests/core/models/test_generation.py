"""Generation: what comes out, what it depends on, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from dnallm_core.errors import CapabilityError, RequirementError, SequenceError
from dnallm_core.manifest.model import ModelManifest, Scaling
from dnallm_core.models import Advance, CarriesState, Embeds, Model, PredictsBases
from dnallm_core.models.generation import generate, stream
from dnallm_core.models.lineage import lineage_tag, tagged
from dnallm_core.models.prompts import prompt_ids
from dnallm_core.sequences.tokenizers import build_tokenizer
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

LETTERS = {
    "kind": "character",
    "vocabulary": ["<s>", "</s>", "<pad>", "A", "C", "G", "T", "N"],
    "special": ["</s>"],
    "unknown": "N",
    "pad": "<pad>",
    "prefix": ["<s>"],
    "suffix": ["</s>"],
}
WORDS = {
    "kind": "tagged-kmer",
    "k": 3,
    "vocabulary": ["<0>", "<P>", "<R>", "NACGT^1", "NACGT^2", "NACGT^3"],
    "unknown": "<0>",
    "pad": "<P>",
}


class Toy(PredictsBases, Embeds, CarriesState, Model):
    rows_seen: list[int]

    def advance(self, input_ids, state=None):
        self.rows_seen.append(input_ids.shape[0])
        cache = state if state is not None else DynamicCache(config=self.module.config)
        output = self.module(input_ids=input_ids, past_key_values=cache, use_cache=True)
        return Advance(output.logits, output.past_key_values)

    def select_rows(self, state, rows):
        state.batch_select_indices(rows)
        return state


class Deaf(PredictsBases, Model):
    """Predicts, and keeps no state."""


def make(table, kind=Toy, **facts):
    tokenizer = build_tokenizer(table)
    torch.manual_seed(5)
    module = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.vocabulary_size + 3,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=64,
            pad_token_id=None,
            bos_token_id=None,
            eos_token_id=None,
        )
    ).eval()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    manifest = ModelManifest(
        id="toy-1",
        family="toy",
        title="Toy",
        plugin="toy",
        architecture="decoder-transformer",
        direction="causal",
        objective="causal-language-modelling",
        scaling=Scaling("quadratic", "linear"),
        tasks=("generation", "scoring"),
        implementation="toy:Toy",
        tokenizer=table,
        **{"max_tokens": 64, "length_limit": "hard", **facts},
    )
    model = kind(manifest, module, tokenizer)
    model.rows_seen = []
    return model


@pytest.fixture(scope="module")
def letters():
    return make(LETTERS)


@pytest.fixture(scope="module")
def words():
    return make(WORDS)


def test_a_prompt_is_continued_by_so_many_bases_of_the_dna_alphabet(letters, words):
    for model in (letters, words):
        for made in generate(model, ["ACGTAC", "ACG"], max_new_bases=20, seed=1):
            assert len(made.sequence) == 20
            assert set(made.sequence) <= set("ACGT")


def test_the_same_seed_gives_the_same_and_another_another(letters):
    first, again, other = (
        generate(letters, "ACGT", max_new_bases=30, seed=seed)[0] for seed in (7, 7, 8)
    )
    assert first == again
    assert first.sequence != other.sequence


def test_without_a_seed_the_one_drawn_is_given_back_and_repeats_the_result(letters):
    first = generate(letters, "ACGT", max_new_bases=30)[0]
    assert generate(letters, "ACGT", max_new_bases=30, seed=first.seed)[0] == first


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_what_comes_out_does_not_depend_on_the_batch(letters, words, rows):
    prompts = ["ACGTAC", "ACG", "TTTGGG", "ACG", "C" * 30]
    for model in (letters, words):
        alone = [generate(model, each, max_new_bases=12, seed=3)[0] for each in prompts]
        together = generate(model, prompts, max_new_bases=12, seed=3, rows=rows)
        for row in (0, 1, 2, 4):  # 3 is a second copy, which must not repeat the first
            assert together[row].sequence == alone[row].sequence
            assert together[row].log_likelihood == pytest.approx(
                alone[row].log_likelihood, abs=1e-4
            )
        assert together[3].sequence != together[1].sequence


def test_equal_prompts_are_read_once(letters):
    letters.rows_seen.clear()
    made = generate(letters, ["ACGT"] * 5, max_new_bases=12, seed=3)
    assert letters.rows_seen[:2] == [1, 5]
    assert len({each.sequence for each in made}) == 5


def test_a_long_prompt_is_read_in_chunks_without_changing_anything(letters, monkeypatch):
    whole = generate(letters, "ACGTTGCAAC", max_new_bases=12, seed=3)
    monkeypatch.setattr("dnallm_core.models.generation.PREFILL_TOKENS", 3)
    assert (
        generate(letters, "ACGTTGCAAC", max_new_bases=12, seed=3)[0].sequence == whole[0].sequence
    )


def test_the_log_likelihood_is_the_models_own(letters):
    made = generate(letters, "ACGT", max_new_bases=10, seed=2, temperature=0.5, top_k=2)[0]
    ids = letters.tokenizer.encode("ACGT" + made.sequence).ids[:-1]
    with torch.inference_mode():
        table = letters.module(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    expected = sum(table[at - 1, ids[at]].item() for at in range(5, len(ids)))
    assert made.log_likelihood == pytest.approx(expected, abs=1e-4)


def test_what_stands_behind_a_sequence_is_not_put_behind_a_prompt(letters):
    ids = letters.tokenizer.encode("ACGT").ids
    assert ids[-1] == 1
    greedy = generate(letters, "ACGT", max_new_bases=1, temperature=0)[0].sequence
    with torch.inference_mode():
        logits = letters.module(input_ids=torch.tensor([ids[:-1]])).logits[0, -1, 3:7]
    assert greedy == "ACGT"[logits.argmax()]


def test_temperature_zero_takes_the_likeliest_whatever_the_seed(letters):
    one, two = (
        generate(letters, "ACGT", max_new_bases=20, temperature=0, seed=seed)[0] for seed in (1, 2)
    )
    assert one.sequence == two.sequence
    assert one.sequence == generate(letters, "ACGT", max_new_bases=20, top_k=1, seed=9)[0].sequence


def test_draws_follow_the_models_distribution(letters):
    made = generate(letters, ["ACGT"] * 4000, max_new_bases=1, seed=11, rows=4000)
    ids = letters.tokenizer.encode("ACGT").ids[:-1]
    with torch.inference_mode():
        chances = letters.module(input_ids=torch.tensor([ids])).logits[0, -1, 3:7].softmax(-1)
    counted = [sum(each.sequence == base for each in made) / 4000 for base in "ACGT"]
    assert np.abs(np.array(counted) - chances.numpy()).max() < 0.03


def test_top_k_and_top_p_keep_the_likeliest_alone(letters):
    ids = letters.tokenizer.encode("ACGT").ids[:-1]
    with torch.inference_mode():
        chances = letters.module(input_ids=torch.tensor([ids])).logits[0, -1, 3:7].softmax(-1)
    order = ["ACGT"[at] for at in chances.argsort(descending=True)]
    most = chances.max().item()
    for settings, kept in (
        ({"top_k": 2}, 2),
        ({"top_p": most / 2}, 1),
        ({"top_p": most + 1e-4}, 2),
    ):
        made = generate(letters, ["ACGT"] * 300, max_new_bases=1, seed=4, rows=300, **settings)
        assert {each.sequence for each in made} == set(order[:kept])


def test_the_last_token_is_cut_to_the_length_asked_for(words):
    longer = generate(words, "ACG", max_new_bases=12, seed=6)[0]
    for bases in range(1, 12):
        made = generate(words, "ACG", max_new_bases=bases, seed=6)[0]
        assert made.sequence == longer.sequence[:bases]
        assert made.tokens <= bases


def test_only_the_letters_asked_for_come_out(letters):
    made = generate(letters, ["ACGT"] * 20, max_new_bases=10, seed=5, alphabet="AT")
    assert set("".join(each.sequence for each in made)) == {"A", "T"}
    anything = generate(letters, ["ACGT"] * 200, max_new_bases=10, seed=5, alphabet="ACGTN")
    assert "N" in "".join(each.sequence for each in anything)


def test_with_every_token_allowed_a_special_one_ends_the_sequence(letters):
    made = generate(letters, ["ACGT"] * 200, max_new_bases=10, seed=5, alphabet=None)
    lengths = {len(each.sequence) for each in made}
    assert min(lengths) < 10 <= max(lengths)


def test_a_model_may_begin_from_nothing_where_it_has_a_start_token(letters, words):
    assert len(generate(letters, "", max_new_bases=5, seed=1)[0].sequence) == 5
    assert len(generate(words, "<R>", max_new_bases=5, seed=1)[0].sequence) == 5
    with pytest.raises(SequenceError, match="Prompt 1 is empty, and toy-1 has no token to begin"):
        generate(words, "", max_new_bases=5)


def test_tags_stand_in_a_prompt_and_its_bases_are_normalised(words):
    tagged, lower, without = (
        generate(words, each, max_new_bases=9, seed=2, temperature=0)[0]
        for each in ("<R>ACGTTT", "<R>acguuu", "ACGTTT")
    )
    assert tagged.sequence == lower.sequence
    assert tagged.log_likelihood == lower.log_likelihood != without.log_likelihood


LINEAGE = "d__Bacteria;p__Pseudomonadota;c__Gammaproteobacteria"
BYTES = {"kind": "byte", "vocabulary_size": 256, "lineage": "capitals"}


@pytest.fixture(scope="module")
def bytewise():
    return make(BYTES)


def test_lower_case_that_has_tokens_of_its_own_is_kept_and_said_once(bytewise):
    with pytest.warns(
        UserWarning, match="Prompt 1 has 3 lower-case letters. To toy-1 they are other"
    ):
        ids = prompt_ids(bytewise, "ACGtau", record="prompt 1")
    assert bytes(ids) == b"ACGtat"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert bytes(prompt_ids(bytewise, "acg", record="prompt 2")) == b"acg"


def test_a_lineage_tag_before_a_prompt_is_written_in_capitals(bytewise):
    tag = lineage_tag(LINEAGE)
    assert tag == "|D__BACTERIA;P__PSEUDOMONADOTA;C__GAMMAPROTEOBACTERIA|" == lineage_tag(tag)
    for written in (tag, f"|{LINEAGE}|"):
        assert (
            bytes(prompt_ids(bytewise, f"{written}ACG", record="prompt 1")).decode() == tag + "ACG"
        )
    assert bytes(prompt_ids(bytewise, tag, record="prompt 1")).decode() == tag
    species = LINEAGE + ";o__A;f__B;g__Koala;s__Phascolarctos cinereus"
    assert lineage_tag(species).endswith("G__KOALA;S__PHASCOLARCTOS CINEREUS|")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ("Bacteria", r"has 'Bacteria' where the domain stands \(d__...\)"),
        ("d__Bacteria;c__Gammaproteobacteria", "has 'c__Gamma.*' where the phylum stands"),
        ("d__Bacteria;p__", "names no phylum: 'p__'"),
        ("d__Bacteria;p__A|C", r"names no phylum: 'p__A\|C'"),
        ("d__A;p__B;c__C;o__D;f__E;g__F;s__G;t__H", "has 8 ranks; there are 7"),
        ("", "has '' where the domain stands"),
    ],
)
def test_what_is_no_lineage_is_refused_by_its_part(bytewise, wrong, sentence):
    with pytest.raises(SequenceError, match=sentence):
        tagged(bytewise, wrong)
    with pytest.raises(SequenceError, match="Prompt 3: the lineage"):
        prompt_ids(bytewise, "|p__A|ACG", record="prompt 3")


def test_a_model_that_knows_no_lineages_takes_no_tag(letters):
    with pytest.raises(CapabilityError, match="toy-1 knows no lineage tags"):
        tagged(letters, LINEAGE)
    with pytest.raises(SequenceError, match="is no DNA letter"):
        prompt_ids(letters, "|d__Bacteria|ACG", record="prompt 1")


def test_prompts_that_do_not_tokenize_are_refused(words):
    with pytest.raises(SequenceError, match="'<' at position 1"):
        generate(words, "<Q>ACG", max_new_bases=5)
    with pytest.raises(
        SequenceError, match=r"Prompt 2 does not tokenize: toy-1 has no token for"
    ) as e:
        generate(words, ["ACG", "ACGARG"], max_new_bases=5)
    assert (e.value.record, e.value.position) == ("prompt 2", 4)
    only = make({**WORDS, "vocabulary": ["<0>", "<P>", "<R>", "NACGT^3"]})
    with pytest.raises(SequenceError, match="Cut 2 letters off its beginning"):
        generate(only, "ACGTT", max_new_bases=5)


def test_a_hard_limit_is_refused_before_anything_is_read(letters):
    assert len(generate(letters, "A" * 20, max_new_bases=44, seed=1)[0].sequence) == 44
    letters.rows_seen.clear()
    with pytest.raises(SequenceError, match=r"Prompt 2 and 45 new bases need 65 tokens"):
        generate(letters, ["A", "A" * 20], max_new_bases=45)
    assert letters.rows_seen == []


def test_a_hard_limit_that_only_short_tokens_reach_is_refused_when_it_is_reached(words):
    with pytest.raises(SequenceError, match="was made for 64"):
        generate(words, "A" * 30, max_new_bases=160, alphabet="A", seed=1)


def test_beyond_a_trained_length_there_is_a_warning(letters):
    model = make(LETTERS, length_limit="trained")
    with pytest.warns(UserWarning, match="extrapolation"):
        generate(model, "A" * 20, max_new_bases=45, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        generate(model, "A" * 20, max_new_bases=5, seed=1)


def test_pieces_come_one_by_one_and_make_the_whole(words):
    prompts = ["ACG", "ACGTTT", "ACG"]
    whole = generate(words, prompts, max_new_bases=15, seed=8)
    pieces = list(stream(words, prompts, max_new_bases=15, seed=8))
    for row, made in enumerate(whole):
        assert "".join(each.bases for each in pieces if each.row == row) == made.sequence
    words.rows_seen.clear()
    first = next(stream(words, "ACG", max_new_bases=15, seed=8))
    assert first.bases
    assert len(words.rows_seen) == 1  # nothing is drawn ahead


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_new_bases", 0),
        ("temperature", -1),
        ("top_k", 0),
        ("top_p", 0),
        ("top_p", 1.5),
        ("alphabet", ""),
        ("alphabet", "X"),
        ("rows", 0),
    ],
)
def test_impossible_settings_are_named(letters, name, value):
    settings = {"max_new_bases": 5, name: value}
    with pytest.raises(RequirementError) as caught:
        generate(letters, "ACGT", **settings)
    assert caught.value.requirement == name


def test_a_model_without_a_state_says_so():
    with pytest.raises(CapabilityError, match="toy-1 keeps no state to continue a sequence from"):
        generate(make(LETTERS, Deaf), "ACGT", max_new_bases=5)


def test_no_prompts_give_nothing(letters):
    assert generate(letters, [], max_new_bases=5) == []
