"""The networks under the tools that users bring: Trainer, peft, saving, device maps."""

from __future__ import annotations

import copy

import pytest
import torch

IDS = torch.tensor([[1, 9, 17, 25, 33, 11, 30, 7, 21, 14, 38, 5]])


@pytest.fixture
def network(model):
    """A copy that a test may change."""
    return copy.deepcopy(model.module)


def test_the_loss_is_the_next_tokens_cross_entropy_and_reaches_every_parameter(network, family):
    output = network(input_ids=IDS, labels=IDS)
    expected = torch.nn.functional.cross_entropy(output.logits[0, :-1], IDS[0, 1:])
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-5)
    output.loss.backward()
    without = {name for name, each in network.named_parameters() if each.grad is None}
    # DNAGPT's other heads; an expert that no token chose
    assert all("num" in name or "experts" in name for name in without), without


@pytest.mark.parametrize(
    "family", ["plant-dnagpt", "generator", "mistral-dna", "dnagpt", "omni-dna"]
)
def test_trainer_takes_a_step(models, family, tmp_path):
    from transformers import Trainer, TrainingArguments

    network = copy.deepcopy(models[family].module)
    before = {name: each.clone() for name, each in network.named_parameters()}
    row = {"input_ids": IDS[0], "labels": IDS[0], "attention_mask": torch.ones_like(IDS[0])}
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=1,
        per_device_train_batch_size=2,
        learning_rate=0.01,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        gradient_checkpointing=True,
    )
    result = Trainer(model=network, args=arguments, train_dataset=[row] * 2).train()
    assert result.training_loss > 0
    after = dict(network.named_parameters())
    assert any(not torch.equal(before[name], after[name]) for name in before)


def test_lora_adapts_and_merges(network, family):
    from peft import LoraConfig, get_peft_model

    names = ["c_attn"] if family in ("plant-dnagpt", "dnagpt") else ["q_proj", "v_proj", "att_proj"]
    with torch.inference_mode():
        before = network(input_ids=IDS).logits
    adapted = get_peft_model(
        network,
        LoraConfig(r=2, target_modules=names, init_lora_weights=False, task_type="CAUSAL_LM"),
    )
    with torch.inference_mode():
        during = adapted(input_ids=IDS).logits
        merged = adapted.merge_and_unload()(input_ids=IDS)
    assert not torch.allclose(before, during)
    assert torch.allclose(merged.logits, during, atol=1e-4)
    assert merged.last_hidden_state is not None


def test_what_is_saved_loads_again_by_transformers(model, tmp_path):
    model.module.save_pretrained(tmp_path)
    again = type(model.module).from_pretrained(tmp_path).eval()
    with torch.inference_mode():
        assert torch.equal(again(input_ids=IDS).logits, model.module(input_ids=IDS).logits)


def test_what_is_saved_loads_again_as_a_checkpoint_of_its_family(model, family, tmp_path):
    from dnallm_core import load

    model.module.save_pretrained(tmp_path)
    again = load(family, weights=tmp_path, device="cpu", dtype="float32")
    with torch.inference_mode():
        assert torch.equal(again.module(input_ids=IDS).logits, model.module(input_ids=IDS).logits)


def test_an_automatic_device_map_places_the_network(model, tmp_path):
    model.module.save_pretrained(tmp_path)
    placed = type(model.module).from_pretrained(tmp_path, device_map="auto").eval()
    with torch.inference_mode():
        ours = placed(input_ids=IDS.to(placed.device)).logits.cpu()
        assert torch.allclose(ours, model.module(input_ids=IDS).logits, atol=1e-5)


def test_generate_of_transformers_works_with_and_without_its_cache(network):
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    cached = network.generate(IDS[:, :5], use_cache=True, **settings)
    plain = network.generate(IDS[:, :5], use_cache=False, **settings)
    assert cached.shape == (1, 11)
    assert torch.equal(cached, plain)


def test_half_the_precision_stays_near(folders, arguments, model, family):
    from dnallm_core import load

    half = load(
        family,
        weights=folders[family],
        config=arguments.get(family),
        device="cpu",
        dtype="bfloat16",
    )
    assert half.module.dtype == torch.bfloat16
    with torch.inference_mode():
        ours = half.module(input_ids=IDS).last_hidden_state.float()
        theirs = model.module(input_ids=IDS).last_hidden_state
    cosine = torch.nn.functional.cosine_similarity(ours, theirs, dim=-1)
    assert cosine.mean() > 0.98
