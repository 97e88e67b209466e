"""The network's own promises: padding, pieces, memory blocks, limits, saving."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from dnallm_core.catalog import catalog
from dnallm_core.checkpoints import CheckpointFolder
from dnallm_core.errors import CheckpointError, IntegrityError, SequenceError
from dnallm_core.loading import build
from dnallm_hyena import network
from dnallm_hyena.configuration import HyenaDNAConfig
from dnallm_hyena.convolution import blocks, convolve, fft_size
from dnallm_hyena.hyenadna import HyenaDNA
from dnallm_hyena.network import HyenaDNAForCausalLM
from safetensors.torch import load_file, save_file

import dnallm_core

MODELS = [each for each in catalog().values() if each.family == "hyenadna"]
GOLDEN = Path(__file__).parent / "golden" / "hyenadna"


@pytest.fixture(scope="module")
def tiny() -> HyenaDNAForCausalLM:
    torch.manual_seed(0)
    config = HyenaDNAConfig(d_model=24, n_layer=2, max_seq_len=300)
    return HyenaDNAForCausalLM(config).eval()


def random_ids(rows: int, tokens: int) -> torch.Tensor:
    return torch.randint(7, 12, (rows, tokens), generator=torch.Generator().manual_seed(1))


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=2e-5 * float(max(1, other.abs().max())))


@pytest.mark.parametrize("manifest", MODELS, ids=lambda each: each.id)
def test_every_published_size_has_its_parameters(manifest: Any) -> None:
    settings = HyenaDNA.read_config(None, manifest.config, None)
    module = build(HyenaDNA, settings)
    assert sum(each.numel() for each in module.parameters()) == manifest.parameters
    assert settings.max_seq_len == manifest.max_tokens


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_on_any_side_changes_no_real_position(tiny: HyenaDNAForCausalLM, side: str) -> None:
    ids = random_ids(2, 40)
    left, right = {"left": (13, 0), "right": (0, 13), "both": (5, 8)}[side]
    short = ids[1:, : 40 - 13]
    mask = torch.ones(2, 40, dtype=torch.long)
    padded = ids.clone()
    padded[1] = torch.cat([torch.full((left,), 4), short[0], torch.full((right,), 4)])
    mask[1, :left] = 0
    mask[1, 40 - right :] = 0
    batch = tiny(padded, attention_mask=mask, output_hidden_states=True)
    alone = tiny(short, output_hidden_states=True)
    real = slice(left, 40 - right)
    assert close(batch.logits[1:, real], alone.logits)
    assert close(batch.last_hidden_state[1:, real], alone.last_hidden_state)
    for ours, expected in zip(batch.hidden_states, alone.hidden_states, strict=True):
        assert close(ours[1:, real], expected)
    assert close(batch.logits[:1], tiny(ids[:1]).logits)


@torch.no_grad()
def test_a_mask_of_ones_is_no_mask(tiny: HyenaDNAForCausalLM) -> None:
    ids = random_ids(2, 20)
    assert torch.equal(tiny(ids, attention_mask=torch.ones_like(ids)).logits, tiny(ids).logits)


@torch.no_grad()
def test_hidden_states_run_from_the_embedding_to_what_the_head_reads(
    tiny: HyenaDNAForCausalLM,
) -> None:
    ids = random_ids(1, 9)
    output = tiny(ids, output_hidden_states=True)
    assert len(output.hidden_states) == 3
    assert torch.equal(output.hidden_states[0], tiny.get_input_embeddings()(ids))
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert torch.equal(tiny.lm_head(output.last_hidden_state), output.logits)


@torch.no_grad()
def test_working_in_small_blocks_changes_nothing(
    tiny: HyenaDNAForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = random_ids(2, 100)
    whole = tiny(ids).logits
    monkeypatch.setattr(network, "GROUP", 3 * 2 * 100 * 5)
    monkeypatch.setattr(network, "LEAST", 1)
    monkeypatch.setattr(network, "blocks", lambda n, each, budget=1500: blocks(n, each, budget))
    kept = [layer.mixer.filter_fn for layer in tiny.hyena.backbone.layers]
    for each in kept:
        monkeypatch.setattr(each, "memory", 0)
    assert close(tiny(ids).logits, whole)


def test_gradients_flow_and_agree_with_inference(tiny: HyenaDNAForCausalLM) -> None:
    ids = random_ids(2, 30)
    output = tiny(ids, labels=ids)
    output.loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in tiny.parameters())
    tiny.zero_grad(set_to_none=True)
    with torch.no_grad():
        assert close(tiny(ids).logits, output.logits)


@torch.no_grad()
def test_filters_are_made_once_a_size_and_again_when_weights_change(
    tiny: HyenaDNAForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    filters = tiny.hyena.backbone.layers[0].mixer.filter_fn
    made: list[int] = []
    make = filters._all
    monkeypatch.setattr(filters, "_all", lambda count: made.append(count) or make(count))
    first = tiny(random_ids(1, 61)).logits
    made.clear()
    tiny(random_ids(1, 62))
    assert made == []
    filters.bias.add_(0.5)
    changed = tiny(random_ids(1, 61)).logits
    assert len(made) == 1
    assert not close(changed, first)
    filters.bias.sub_(0.5)


@torch.no_grad()
def test_any_split_into_pieces_gives_the_logits_of_the_whole(tiny: HyenaDNAForCausalLM) -> None:
    ids = random_ids(2, 300)
    whole = tiny(ids).logits
    for sizes in ([150, 150], [1, 299], [2, 1, 1, 256, 40]):
        state, pieces = tiny.new_state(2), []
        for piece in ids.split(sizes, dim=1):
            pieces.append(tiny(piece, state=state).logits)
        assert close(torch.cat(pieces, dim=1), whole)


@torch.no_grad()
def test_one_token_too_many_is_refused(tiny: HyenaDNAForCausalLM) -> None:
    with pytest.raises(SequenceError, match="301 tokens; this network's filters reach 300"):
        tiny(random_ids(1, 301))
    state = tiny.new_state(1)
    tiny(random_ids(1, 300), state=state)
    with pytest.raises(SequenceError, match="301 tokens"):
        tiny(random_ids(1, 1), state=state)


@torch.no_grad()
def test_a_saved_network_comes_back(tiny: HyenaDNAForCausalLM, tmp_path: Path) -> None:
    tiny.save_pretrained(tmp_path)
    ids = random_ids(1, 33)
    again = HyenaDNAForCausalLM.from_pretrained(tmp_path).eval()
    assert torch.equal(again(ids).logits, tiny(ids).logits)
    ours = dnallm_core.load("hyenadna", weights=tmp_path, device="cpu", dtype="float32")
    assert torch.equal(ours.module(ids).logits, tiny(ids).logits)


@torch.no_grad()
def test_bfloat16_keeps_the_filters_in_float32() -> None:
    model = dnallm_core.load("hyenadna", weights=GOLDEN / "hf_tiny", device="cpu", dtype="bfloat16")
    filters = model.module.hyena.backbone.layers[0].mixer.filter_fn
    assert {each.dtype for each in filters.parameters()} == {torch.float32}
    assert model.module.lm_head.weight.dtype == torch.bfloat16
    full = dnallm_core.load("hyenadna", weights=GOLDEN / "hf_tiny", device="cpu", dtype="float32")
    ids = random_ids(1, 200)
    difference = (model.module(ids).logits - full.module(ids).logits).abs().max()
    assert difference < 0.05 * full.module(ids).logits.abs().max()


def test_positions_need_not_be_stored(tmp_path: Path) -> None:
    tensors = load_file(GOLDEN / "hf_tiny" / "model.safetensors")
    computed = ("pos_emb.z", "pos_emb.t", "modulation.deltas")
    kept = {key: value for key, value in tensors.items() if not key.endswith(computed)}
    assert len(tensors) - len(kept) == 6
    save_file(kept, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((GOLDEN / "hf_tiny" / "config.json").read_bytes())
    ids = random_ids(1, 50)
    one = dnallm_core.load("hyenadna", weights=tmp_path, device="cpu", dtype="float32")
    other = dnallm_core.load("hyenadna", weights=GOLDEN / "hf_tiny", device="cpu", dtype="float32")
    with torch.no_grad():
        assert torch.equal(one.module(ids).logits, other.module(ids).logits)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"d_model": 8, "n_layer": 1}, "lack max_seq_len"),
        ({"d_model": 8, "n_layer": 1, "max_seq_len": 9, "hyena_order": 3}, "hyena_order = 3"),
        ({"d_model": 8, "n_layer": "1", "max_seq_len": 9}, "n_layer is '1'"),
        ({"d_model": 8, "n_layer": 1, "layer": 3}, "not a table"),
    ],
)
def test_unusable_settings_are_named(
    settings: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match=message):
        HyenaDNA.read_config(CheckpointFolder(tmp_path), {}, None)


def test_a_checkpoint_of_another_size_is_refused_with_both_shapes(tmp_path: Path) -> None:
    for file in (GOLDEN / "hf_tiny").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "d_inner": 128}))
    with pytest.raises(CheckpointError, match=r"256 x 64, the network's is 128 x 64"):
        dnallm_core.load("hyenadna", weights=tmp_path)


def test_fft_sizes_hold_twice_the_tokens_and_waste_little() -> None:
    for tokens in [1, 8, 9, 100, 1026, 4097, 160_002, 1_000_002]:
        size = fft_size(tokens)
        assert size % 2 == 0
        assert 2 * tokens <= size <= max(16, 2.5 * tokens + 1)


@torch.no_grad()
def test_the_convolution_is_causal_and_does_not_wrap_round() -> None:
    size = fft_size(50)
    taps = torch.randn(3, size // 2)
    signal = torch.randn(2, 3, 50)
    expected = torch.stack(
        [(signal[..., : t + 1] * taps[:, : t + 1].flip(-1)).sum(-1) for t in range(50)], dim=-1
    )
    found = convolve(signal, torch.fft.rfft(taps, n=size), size)
    assert torch.allclose(found, expected, atol=1e-4)


def test_numbers_that_are_not_finite_are_refused() -> None:
    model = dnallm_core.load("hyenadna", weights=GOLDEN / "hf_tiny", dtype="float32")
    with torch.no_grad():
        model.module.get_output_embeddings().weight[7] = float("nan")
    for ask in (model.score, lambda text: model.generate(text, max_new_bases=3)):
        with pytest.raises(IntegrityError, match="not finite"):
            ask("ACGTACGT")


def test_a_training_checkpoint_with_foreign_objects_loads_and_runs_none(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path / 'it_ran'}",)

    content = torch.load(GOLDEN / "ckpt_plain" / "weights.ckpt", weights_only=True)
    content["hyper_parameters"] = {"loader": argparse.Namespace(batch_size=4), "evil": Evil()}
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    torch.save(content, folder / "weights.ckpt")
    (folder / "config.json").write_bytes((GOLDEN / "ckpt_plain" / "config.json").read_bytes())
    ours, plain = (
        dnallm_core.load("hyenadna", weights=each, device="cpu", dtype="float32")
        for each in (folder, GOLDEN / "ckpt_plain")
    )
    ids = random_ids(1, 30)
    with torch.no_grad():
        assert torch.equal(ours.module(ids).logits, plain.module(ids).logits)
    assert not (tmp_path / "it_ran").exists()
