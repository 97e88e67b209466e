"""DNAGPT beyond a plain decoder: its two vocabularies, its numbers, its prompts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from dnallm_core.errors import CapabilityError, CheckpointError, SequenceError
from dnallm_gpt.dnagpt import DNAGPT

from dnallm_core import load

HUMAN = Path(__file__).parent / "golden" / "dnagpt" / "h_like"
IDS = torch.tensor([[21, 9, 17, 25, 33, 10, 18, 14], [21, 8, 8, 31, 2, 10, 18, 14]])
NUMBERS = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]])


@pytest.fixture(scope="module")
def human():
    arguments = json.loads((HUMAN / "about.json").read_text())["arguments"]
    return load("dnagpt", weights=HUMAN, config=arguments, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def multi(tmp_path_factory):
    """A checkpoint with the vocabulary of all k-mers, written as the authors publish theirs."""
    sizes = {
        "vocab_size": 19_564,
        "max_len": 32,
        "num_layers": 1,
        "num_heads": 2,
        "embedding_dim": 8,
    }
    module = DNAGPT.build(DNAGPT.read_config(None, {**sizes, "bias": False}, None))
    torch.manual_seed(4)
    state = {key: torch.randn(value.shape) * 0.4 for key, value in module.state_dict().items()}
    folder = tmp_path_factory.mktemp("multi")
    torch.save(state, folder / "classification.pth")  # without the wrapping table: both exist
    return load("dnagpt", weights=folder, config={"num_heads": 2}, device="cpu", dtype="float32")


def test_the_vocabulary_of_all_kmers_counts_up_by_length(multi):
    def ids(text):
        return multi.tokenizer.encode(text).ids

    assert ids("NAGCT"[0]) == [34]
    assert ids("A") == [35]
    assert ids("NN") == [39]
    assert ids("NNNNNN") == [3939]
    assert ids("TTTTTT") == [19_563]
    assert ids("<R>ACGTACGT") == [21, *ids("ACGTAC"), *ids("GT")]
    assert ids("<R>ACGTAR") == [21, 0]


def test_all_sizes_but_the_heads_are_read_off_the_tensors(multi):
    config = multi.module.config
    assert (config.vocab_size, config.max_len, config.num_layers) == (19_564, 32, 1)
    assert (config.embedding_dim, config.bias) == (8, False)
    with pytest.raises(CheckpointError, match="num_heads cannot be read off the tensors"):
        load("dnagpt", weights=HUMAN, device="cpu")


def test_the_heads_may_stand_in_a_file_beside_the_weights(tmp_path):
    (tmp_path / "dna_gpt0.1b_h.pth").write_bytes((HUMAN / "dna_gpt0.1b_h.pth").read_bytes())
    (tmp_path / "config.json").write_text('{"num_heads": 2}')
    assert load("dnagpt", weights=tmp_path, device="cpu").module.config.num_heads == 2


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"num_heads": 2, "n_layer": 2}, "DNAGPT has no setting 'n_layer'"),
        ({"num_heads": 3}, "A width of 8 cannot be shared by 3 heads"),
        (
            {"num_heads": 2, "max_len": 12},
            "transformer.wpe.weight is 96 x 8, the network's is 12 x 8",
        ),
    ],
)
def test_settings_that_cannot_be_are_named(settings, sentence):
    with pytest.raises(CheckpointError, match=sentence):
        load("dnagpt", weights=HUMAN, config=settings, device="cpu")


def test_biases_are_kept_where_a_checkpoint_has_them(tmp_path):
    sizes = {"vocab_size": 40, "max_len": 8, "num_layers": 1, "num_heads": 2, "embedding_dim": 8}
    module = DNAGPT.build(DNAGPT.read_config(None, {**sizes, "bias": True}, None))
    state = {key: torch.randn(value.shape) for key, value in module.state_dict().items()}
    assert "mlm_head.3.bias" in state
    torch.save({"model": state}, tmp_path / "biased.pth")
    loaded = load("dnagpt", weights=tmp_path, config={"num_heads": 2}, device="cpu").module
    assert torch.equal(loaded.mlm_head[3].bias, state["mlm_head.3.bias"])


def test_numbers_of_a_row_do_not_reach_another(models):
    network = models["dnagpt"].module
    inputs = {
        "input_ids": IDS,
        "numbers": NUMBERS,
        "number_block": torch.tensor([6, 6]),
        "number_loc": torch.tensor([[10, 7], [10, 7]]),
    }
    with torch.inference_mode():
        both = network(**inputs)
        assert both.num.shape == (2, 2, 1)
        assert both.last_hidden_state.shape == (2, 11, 24)
        for row in range(2):
            alone = network(**{key: value[row : row + 1] for key, value in inputs.items()})
            assert torch.allclose(both.num[row], alone.num[0], atol=1e-5)
            assert torch.allclose(
                both.last_hidden_state[row], alone.last_hidden_state[0], atol=1e-5
            )


def test_numbers_stand_between_the_blocks_and_count_as_positions(models):
    network = models["dnagpt"].module
    with torch.inference_mode():
        ours = network(
            input_ids=IDS[:1],
            numbers=NUMBERS[0],
            number_block=torch.tensor([6]),
            output_hidden_states=True,
        ).hidden_states[0][0]
        words = network.transformer["wte"](IDS[0])
        values = network.number_embedding(NUMBERS[0][:, None])
        expected = torch.cat([words[:6], values, words[6:]])
        expected = expected + network.transformer["wpe"].weight[:11]
    assert torch.allclose(ours, expected, atol=1e-6)


def test_a_block_length_that_fits_several_times_repeats_the_numbers(models):
    network = models["dnagpt"].module
    with torch.inference_mode():
        repeated = network(input_ids=IDS[:1], numbers=NUMBERS[0], number_block=torch.tensor([3]))
        listed = network(
            input_ids=IDS[:1], numbers=NUMBERS[0], number_block=torch.tensor([[3, 3, 2]])
        )
    assert repeated.logits.shape[1] == 8 + 2 * 3
    assert torch.equal(repeated.logits, listed.logits)


def test_padding_behind_numbers_changes_nothing(models):
    network = models["dnagpt"].module
    inputs = {"numbers": NUMBERS[0], "number_loc": torch.tensor([[10]])}
    padded = torch.cat([IDS[:1], torch.full((1, 3), 20)], 1)
    mask = torch.tensor([[1] * 8 + [0] * 3])
    with torch.inference_mode():
        alone = network(input_ids=IDS[:1], number_block=torch.tensor([[6, 2]]), **inputs)
        ours = network(
            input_ids=padded, attention_mask=mask, number_block=torch.tensor([[6, 5]]), **inputs
        )
    assert torch.allclose(ours.num, alone.num, atol=1e-5)


def test_regress_asks_as_the_authors_script_does(human):
    case = json.loads((HUMAN / "inputs.json").read_text())["cases"]["numbers"]
    expected = np.load(HUMAN / "expected.npz")["numbers.num"].item()
    prompt = DNAGPT.regression_prompt("CAGTACCGTCACCTGGGT")
    assert prompt == case["sequences"][0]
    assert human.regress(prompt, case["numbers"]) == pytest.approx(expected, abs=2e-5)
    with pytest.raises(SequenceError, match="at least three tokens"):
        human.regress("<R>", [1.0])


def test_classify_compares_the_two_answers_at_the_end_of_the_prompt(multi):
    prompt = DNAGPT.classification_prompt("ACGTACGTACGT")
    assert prompt == "<R>ACGTACGTACGT<=><R>"
    answer = multi.classify(prompt)
    with torch.inference_mode():
        ids = torch.tensor([multi.tokenizer.encode(prompt).ids])
        last = multi.module(input_ids=ids).logits[0, -1]
    assert sum(answer.values()) == pytest.approx(1)
    assert np.log(answer["real"] / answer["fake"]) == pytest.approx(
        (last[34] - last[35]).item(), abs=1e-4
    )


def test_six_mers_alone_cannot_answer_with_a_letter(human):
    with pytest.raises(CapabilityError, match="only 6-mers"):
        human.classify(DNAGPT.classification_prompt("ACGTACGTACGT"))


def test_a_prompt_is_continued_in_dna(human, multi):
    prompt = DNAGPT.generation_prompt("AGAGAAAAGAGT")
    for model in (human, multi):
        (made,) = model.generate(prompt, max_new_bases=20, seed=1, top_p=0.95)
        assert len(made.sequence) == 20
        assert set(made.sequence) <= set("ACGT")


def test_tags_stand_in_what_is_embedded(human):
    tagged, bare = human.embed(["<R>ACGTACGTACGT", "ACGTACGTACGT"])
    with torch.inference_mode():
        ids = torch.tensor([[21, *human.tokenizer.encode("ACGTACGTACGT").ids]])
        expected = human.module(input_ids=ids).last_hidden_state[0].mean(0)
    assert np.abs(tagged - expected.numpy()).max() < 1e-5
    assert np.abs(tagged - bare).max() > 1e-3


def test_generation_beyond_the_positions_is_refused(human):
    with pytest.raises(SequenceError, match="need 97 tokens"):
        human.generate("<R>" + "ACGTAC" * 90, max_new_bases=37)
