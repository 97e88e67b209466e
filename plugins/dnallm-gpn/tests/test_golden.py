"""The networks give their authors' numbers, from the checkpoints as their authors lay them out."""

from __future__ import annotations

import json

import numpy as np
import torch


def test_outputs_are_the_authors(each_golden) -> None:
    for case in each_golden.cases():
        with torch.inference_mode():
            output = each_golden.model.module(**case.inputs)
        for name, expected in case.expected.items():
            ours = getattr(output, name).numpy()
            assert ours.shape == expected.shape, (case.name, name)
            allowed = each_golden.about["tolerance"] * max(1, np.abs(expected).max())
            assert np.abs(ours - expected).max() <= allowed, (case.name, name)


def test_ids_are_the_authors(each_golden) -> None:
    encode = each_golden.model.tokenizer.encode
    for case in each_golden.cases():
        for sequence, ids in zip(case.sequences or [], case.inputs["input_ids"], strict=False):
            assert encode(sequence).ids == ids[: len(sequence)].tolist(), case.name
    for row in json.loads((each_golden.folder / "tokens.json").read_text())["cases"]:
        assert encode(row["sequence"], special_tokens=row["special_tokens"]).ids == row["ids"]


def test_hidden_states_end_with_what_the_head_reads(each_golden) -> None:
    case = next(each_golden.cases())
    with torch.inference_mode():
        output = each_golden.model.module(**case.inputs, output_hidden_states=True)
    config = each_golden.model.module.config
    layers = getattr(config, "n_layers", 0) or getattr(config, "num_hidden_layers", 0)
    layers = layers or config.num_stacks * config.stack_size
    assert len(output.hidden_states) == layers + 1
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert len({each.shape for each in output.hidden_states}) == 1


def test_a_mask_of_ones_changes_nothing(each_golden) -> None:
    case = next(each_golden.cases())
    ones = torch.ones_like(case.inputs["input_ids"])
    with torch.inference_mode():
        without = each_golden.model.module(**case.inputs).logits
        with_ones = each_golden.model.module(**case.inputs, attention_mask=ones).logits
    assert torch.equal(without, with_ones)


def test_half_precision_runs_and_stays_near(each_golden) -> None:
    import copy

    case = next(each_golden.cases())
    module = copy.deepcopy(each_golden.model.module).to(torch.bfloat16)
    with torch.inference_mode():
        output = module(**case.inputs).logits
    assert output.dtype == torch.bfloat16
    expected = torch.from_numpy(case.expected["logits"])
    assert (output.float() - expected).abs().mean() < 0.1 * expected.abs().mean()
