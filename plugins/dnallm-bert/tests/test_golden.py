"""Each family loads its authors' layout as it stands and gives the numbers of their own code."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import dnallm_core

CARRIED = Path(__file__).parent / "golden"
SHARED = Path(__file__).parents[4] / "shared" / "golden"
FAMILIES = (
    "dnabert",
    "dnabert-2",
    "dnabert-s",
    "nucleotide-transformer-v1",
    "nucleotide-transformer-v2",
    "plant-dnabert",
    "grover",
)
OURS = ("gena-lm", "prokbert", "mutbert", "moderngena")  # made for this project alone
# The carried cases hold the logits of their shortest input alone; beside a checkout lie the whole.
ROOT = SHARED if SHARED.is_dir() else CARRIED
FOLDERS = sorted(
    each.parent
    for root, names in ((ROOT, FAMILIES), (CARRIED, OURS))
    for name in names
    for each in root.glob(f"{name}/*/expected.npz")
)
COMPARED = ("logits", "last_hidden_state", "pooler_output", "mean")


@pytest.fixture(
    scope="module", params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}"
)
def case(request):
    folder = request.param
    inputs = json.loads((folder / "inputs.json").read_text())["cases"]
    return SimpleNamespace(
        model=dnallm_core.load(folder.parent.name, weights=folder, device="cpu", dtype="float32"),
        expected=np.load(folder / "expected.npz"),
        tolerance=json.loads((folder / "about.json").read_text())["tolerance"],
        inputs={
            name: {key: torch.tensor(each[key]) for key in ("input_ids", "attention_mask")}
            for name, each in inputs.items()
        },
    )


def run(model, inputs, **more):
    with torch.no_grad():
        return model.module(**inputs, **more)


def test_outputs_are_those_of_the_authors_code(case):
    compared = 0
    for name, inputs in case.inputs.items():
        output = run(case.model, inputs)
        mask = inputs["attention_mask"].bool()
        for kind in COMPARED:
            if f"{name}.{kind}" not in case.expected.files:
                continue
            wanted = torch.from_numpy(case.expected[f"{name}.{kind}"])
            if kind == "mean":
                weight = mask[..., None].float()
                got = (output.last_hidden_state * weight).sum(1) / weight.sum(1)
            else:
                got = getattr(output, kind)
            if got.ndim == 3:
                got, wanted = got[mask], wanted[mask]
            worst = (got - wanted).abs().max().item()
            assert worst <= case.tolerance * max(1.0, wanted.abs().max().item()), (name, kind)
            compared += 1
    assert compared > len(case.inputs)


def test_left_padding_changes_no_real_position(case):
    for inputs in case.inputs.values():
        mask = inputs["attention_mask"].bool()
        shape = (mask.shape[0], mask.shape[1] + 3)
        left = {
            "input_ids": torch.full(shape, 2),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
        }
        for row, real in enumerate(mask):
            length = int(real.sum())
            left["input_ids"][row, -length:] = inputs["input_ids"][row][real]
            left["attention_mask"][row, -length:] = 1
        padded, plain = run(case.model, left), run(case.model, inputs)
        for kind in ("last_hidden_state", "logits"):
            if getattr(plain, kind) is not None:
                torch.testing.assert_close(
                    getattr(padded, kind)[left["attention_mask"].bool()],
                    getattr(plain, kind)[mask],
                    atol=2e-5,
                    rtol=1e-5,
                )
        if plain.pooler_output is not None:
            torch.testing.assert_close(
                padded.pooler_output, plain.pooler_output, atol=2e-5, rtol=1e-5
            )


def test_what_stands_at_padded_positions_does_not_matter(case):
    inputs = case.inputs["padded"]
    real = inputs["attention_mask"].bool()
    other = torch.where(real, inputs["input_ids"], torch.full_like(inputs["input_ids"], 2))
    first = run(case.model, inputs).last_hidden_state[real]
    second = run(case.model, {**inputs, "input_ids": other}).last_hidden_state[real]
    torch.testing.assert_close(first, second, atol=1e-6, rtol=0)


def test_a_row_gives_the_same_alone_and_in_a_batch(case):
    inputs = case.inputs["padded"]
    batch = run(case.model, inputs).last_hidden_state
    for row, real in enumerate(inputs["attention_mask"].bool()):
        alone = run(case.model, {"input_ids": inputs["input_ids"][row][real][None]})
        torch.testing.assert_close(batch[row][real], alone.last_hidden_state[0], atol=2e-5, rtol=0)


def test_a_mask_of_ones_equals_none(case):
    inputs = case.inputs["plain"]
    ones = run(case.model, inputs).last_hidden_state
    none = run(case.model, {"input_ids": inputs["input_ids"]}).last_hidden_state
    torch.testing.assert_close(ones, none, atol=1e-6, rtol=0)


def test_hidden_states_run_from_the_embedding_to_what_the_head_reads(case):
    output = run(case.model, case.inputs["padded"], output_hidden_states=True)
    assert len(output.hidden_states) == case.model.module.config.num_hidden_layers + 1
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert run(case.model, case.inputs["plain"]).hidden_states is None


def test_attention_weights_are_shares_of_the_real_tokens(case):
    inputs = case.inputs["padded"]
    real = inputs["attention_mask"].bool()
    layers = case.model.attention_weights(inputs)
    config = case.model.module.config
    assert len(layers) == config.num_hidden_layers
    for weights in layers:
        assert weights.shape == (*real.shape[:1], config.num_attention_heads, *real.shape[1:] * 2)
        shares = weights.transpose(1, 2)[real]  # (real tokens, heads, tokens)
        torch.testing.assert_close(shares.sum(-1), torch.ones_like(shares[..., 0]))
        row = real.nonzero()[:, 0]
        assert shares.masked_select(~real[row][:, None, :]).abs().max() < 1e-6
    again = run(case.model, inputs).last_hidden_state
    torch.testing.assert_close(
        run(case.model, inputs, output_attentions=True).last_hidden_state[real],
        again[real],
        atol=2e-5,
        rtol=0,
    )


def test_dnabert_2_gives_exactly_zero_at_padding():
    folder = CARRIED / "dnabert-2" / "base"
    inputs = json.loads((folder / "inputs.json").read_text())["cases"]["padded"]
    model = dnallm_core.load("dnabert-2", weights=folder, device="cpu", dtype="float32")
    ids, mask = torch.tensor(inputs["input_ids"]), torch.tensor(inputs["attention_mask"])
    states = run(model, {"input_ids": ids, "attention_mask": mask}).last_hidden_state
    assert (mask == 0).any()
    assert not states[mask == 0].any()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda each: each.parent.name)
def test_tokens_are_those_of_the_published_tokenizer(folder):
    published = SHARED / folder.parent.name / folder.name
    if not (published / "tokens.json").is_file():
        pytest.skip("what the published tokenizer gives was not recorded")
    model = dnallm_core.load(folder.parent.name, weights=published, device="cpu", dtype="float32")
    for each in json.loads((published / "tokens.json").read_text())["cases"]:
        encoding = model.tokenizer.encode(each["sequence"], each.get("special_tokens", True))
        assert encoding.ids == each["ids"], each["sequence"]
        assert len(encoding.offsets) == len(encoding.ids)


def test_dnabert_2_gives_the_same_a_block_of_queries_at_a_time(monkeypatch):
    from dnallm_bert import dnabert_2

    model = dnallm_core.load(
        "dnabert-2", weights=CARRIED / "dnabert-2" / "base", device="cpu", dtype="float32"
    )
    ids = torch.arange(5, 105)[None]
    whole = run(model, {"input_ids": ids}).last_hidden_state
    monkeypatch.setattr(dnabert_2, "_LARGEST_BIAS", 12 * 100 * 7)
    parts = run(model, {"input_ids": ids}, output_attentions=True)
    torch.testing.assert_close(parts.last_hidden_state, whole, atol=2e-6, rtol=0)
    assert parts.attentions[0].shape == (1, 12, 100, 100)


def test_mutbert_reads_one_hot_shares_as_it_reads_ids():
    model = dnallm_core.load(
        "mutbert", weights=CARRIED / "mutbert" / "dynamic", device="cpu", dtype="float32"
    )
    ids = torch.tensor([[1, 5, 6, 7, 8, 5, 2]])
    shares = torch.nn.functional.one_hot(ids, 9).float()
    torch.testing.assert_close(
        run(model, {"input_ids": ids}).logits, run(model, {"input_ids": shares}).logits
    )


def test_mutbert_reads_shares_between_the_bases():
    model = dnallm_core.load(
        "mutbert", weights=CARRIED / "mutbert" / "dynamic", device="cpu", dtype="float32"
    )
    shares = torch.nn.functional.one_hot(torch.tensor([[1, 5, 6, 2]]), 9).float()
    mixed = shares.clone()
    mixed[0, 1] = 0.5 * (shares[0, 1] + shares[0, 2])
    words = model.module.get_input_embeddings().weight
    by_hand = run(model, {"inputs_embeds": mixed @ words}).logits
    torch.testing.assert_close(run(model, {"input_ids": mixed}).logits, by_hand)
    assert (by_hand - run(model, {"input_ids": shares}).logits).abs().max() > 1e-3
