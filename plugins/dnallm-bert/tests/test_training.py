"""The networks are what Trainer, peft and from_pretrained expect; no code of a hub is involved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import dnallm_core

CARRIED = Path(__file__).parent / "golden"
FOLDERS = [  # one of each network
    CARRIED / name
    for name in (
        "dnabert/k6",
        "dnabert-2/base",
        "nucleotide-transformer-v2/v2",
        "gena-lm/base",
        "prokbert/mini",
        "moderngena/base",
    )
]


@pytest.fixture(params=FOLDERS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def folder(request):
    return request.param


@pytest.fixture
def module(folder):
    return dnallm_core.load(
        folder.parent.name, weights=folder, device="cpu", dtype="float32"
    ).module


@pytest.fixture
def inputs(folder):
    cases = json.loads((folder / "inputs.json").read_text())["cases"]
    return {key: torch.tensor(cases["padded"][key]) for key in ("input_ids", "attention_mask")}


def test_a_saved_network_comes_back_equal(module, inputs, tmp_path):
    module.save_pretrained(tmp_path)
    again, report = type(module).from_pretrained(
        tmp_path, device_map="auto", output_loading_info=True
    )
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    again.eval()
    with torch.no_grad():
        first, second = module(**inputs), again(**inputs)
    torch.testing.assert_close(first.last_hidden_state, second.last_hidden_state, atol=0, rtol=0)
    torch.testing.assert_close(first.logits, second.logits, atol=0, rtol=0)


def test_a_step_of_trainer_moves_the_weights_and_lowers_the_loss(module, inputs, tmp_path):
    from transformers import Trainer, TrainingArguments

    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    rows = [
        {**{key: value[row] for key, value in inputs.items()}, "labels": labels[row]}
        for row in range(len(labels))
    ]
    with torch.no_grad():
        before = module(**inputs, labels=labels).loss.item()
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=2,
        per_device_train_batch_size=len(rows),
        learning_rate=1e-3,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
        seed=0,
    )
    Trainer(model=module, args=arguments, train_dataset=rows).train()
    module.eval()
    with torch.no_grad():
        after = module(**inputs, labels=labels).loss.item()
    assert after < before


def test_lora_trains_its_own_weights_alone(module, inputs):
    from peft import LoraConfig, get_peft_model

    names = {name.rsplit(".", 1)[-1] for name, _ in module.named_modules()}
    targets = [name for name in ("Wqkv", "query", "value") if name in names]
    adapted = get_peft_model(module, LoraConfig(r=2, target_modules=targets))
    trained = [name for name, each in adapted.named_parameters() if each.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)
    adapted(**inputs, labels=inputs["input_ids"]).loss.backward()
    moved = [each for each in adapted.parameters() if each.grad is not None and each.grad.any()]
    assert moved


def test_gradient_checkpointing_gives_the_same_gradients(module, inputs):
    if not module.supports_gradient_checkpointing:
        pytest.skip("the network recomputes nothing")

    def gradient():
        module.zero_grad()
        module(**inputs, labels=inputs["input_ids"]).loss.backward()
        return module.get_input_embeddings().weight.grad.clone()

    plain = gradient()
    module.gradient_checkpointing_enable()
    for each in module.modules():
        if isinstance(each, torch.nn.Dropout):
            each.p = 0.0
    module.train()
    torch.testing.assert_close(gradient(), plain, atol=1e-5, rtol=1e-4)


def test_bfloat16_stays_near_float32(folder, module, inputs):
    half = dnallm_core.load(folder.parent.name, weights=folder, device="cpu", dtype="bfloat16")
    real = inputs["attention_mask"].bool()
    with torch.no_grad():
        near = half.module(**inputs).last_hidden_state[real].float()
        exact = module(**inputs).last_hidden_state[real]
    assert half.module.dtype == torch.bfloat16
    assert (near - exact).norm() / exact.norm() < 0.05
