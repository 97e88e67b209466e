"""What every decoder of this plugin promises, on tiny checkpoints in the published layouts."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from dnallm_core.errors import CheckpointError, SequenceError
from dnallm_core.models import Attends, CarriesState, Embeds, PredictsBases

from dnallm_core import load

IDS = torch.tensor(
    [[1, 9, 17, 25, 33, 11, 30, 7, 21, 14, 38, 5], [4, 8, 8, 31, 2, 3, 19, 27, 6, 39, 12, 1]]
)


def close(ours, theirs, bound=2e-5):
    return (ours - theirs).abs().max() <= bound * max(1.0, theirs.abs().max().item())


def test_a_published_layout_gives_the_numbers_of_transformers(models, folders, stock):
    for family, kind in stock.items():
        reference = kind.from_pretrained(folders[family], attn_implementation="eager").eval()
        with torch.inference_mode():
            theirs = reference(input_ids=IDS, output_hidden_states=True)
            ours = models[family].module(input_ids=IDS, output_hidden_states=True)
        assert close(ours.logits, theirs.logits), family
        for mine, other in zip(ours.hidden_states, theirs.hidden_states, strict=True):
            assert close(mine, other), family


def test_a_decoder_keeps_all_four_protocols(model):
    assert all(isinstance(model, each) for each in (Embeds, PredictsBases, CarriesState, Attends))


def test_the_last_hidden_state_is_always_set_and_is_the_last_of_the_hidden_states(model):
    with torch.inference_mode():
        plain = model.module(input_ids=IDS)
        full = model.module(input_ids=IDS, output_hidden_states=True)
    assert plain.hidden_states is None
    assert plain.past_key_values is None
    assert len(full.hidden_states) == 3  # the embedding and two blocks
    assert torch.equal(full.last_hidden_state, full.hidden_states[-1])
    assert close(plain.last_hidden_state, full.last_hidden_state)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("path", ["sdpa", "eager"])
def test_a_padded_row_equals_the_row_alone(model, side, path):
    row, pad = IDS[:1, :7], torch.tensor([[3, 9, 22, 3, 1]])
    pieces = (pad, row) if side == "left" else (row, pad)
    masks = [torch.zeros_like(pad), torch.ones_like(row)]
    ids = torch.cat([torch.cat(pieces, 1), IDS[1:]])
    mask = torch.cat(
        [torch.cat(masks if side == "left" else masks[::-1], 1), torch.ones(1, 12).long()]
    )
    model.module.set_attn_implementation(path)
    try:
        with torch.inference_mode():
            together = model.module(input_ids=ids, attention_mask=mask)
            alone = model.module(input_ids=row)
            other = model.module(input_ids=IDS[1:])
    finally:
        model.module.set_attn_implementation("sdpa")
    assert torch.isfinite(together.logits).all()
    real = mask[0].bool()
    assert close(together.logits[0, real], alone.logits[0])
    assert close(together.last_hidden_state[0, real], alone.last_hidden_state[0])
    assert close(together.logits[1], other.logits[0])


def test_a_mask_of_ones_changes_nothing(model):
    with torch.inference_mode():
        without = model.module(input_ids=IDS).logits
        with_ones = model.module(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits
    assert close(with_ones, without, 1e-6)


def test_a_pad_token_without_a_mask_is_an_ordinary_token(model):
    changed = IDS.clone()
    changed[:, 3] = 3
    with torch.inference_mode():
        before, after = model.module(input_ids=IDS).logits, model.module(input_ids=changed).logits
    assert not close(after[:, 4:], before[:, 4:], 1e-4)


@pytest.mark.parametrize("sizes", [(12,), (5, 7), (4, 1, 1, 1, 5), (1,) * 12])
def test_any_split_into_chunks_equals_the_whole(model, sizes):
    state, parts, at = None, [], 0
    with torch.inference_mode():
        for size in sizes:
            step = model.advance(IDS[:, at : at + size], state)
            parts.append(step.logits)
            state, at = step.state, at + size
        whole = model.module(input_ids=IDS).logits
    assert close(torch.cat(parts, 1), whole)


def test_rows_of_a_state_can_be_chosen_repeated_and_reordered(model):
    rows = torch.tensor([1, 0, 1])
    with torch.inference_mode():
        state = model.advance(IDS[:, :8]).state
        chosen = model.select_rows(state, rows)
        ours = model.advance(IDS[rows, 8:], chosen).logits
        # the state that rows were taken from is still good
        again = model.advance(IDS[:, 8:], state).logits
        whole = model.module(input_ids=IDS).logits[:, 8:]
    assert close(ours, whole[rows])
    assert close(again, whole)


def test_attention_weights_are_causal_and_sum_to_one(model):
    with torch.inference_mode():
        layers = model.attention_weights({"input_ids": IDS})
    assert len(layers) == 2
    for weights in layers:
        assert weights.shape == (2, 4, 12, 12)
        assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 12), atol=1e-5)
        assert weights.triu(1).abs().max() == 0
    assert model.module.config._attn_implementation == "sdpa"


def test_a_checkpoint_of_another_family_is_refused(folders):
    with pytest.raises(CheckpointError, match="model_type 'mistral'"):
        load("generator", weights=folders["genomeocean"], device="cpu")


def test_a_missing_tensor_is_named(folders, arguments, family, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(folders[family], tmp_path, dirs_exist_ok=True)
    if family == "dnagpt":
        path = tmp_path / "dna_gpt.pth"
        content = torch.load(path, weights_only=True)
        gone = next(key for key in content["model"] if "ln_2" in key)
        del content["model"][gone]
        torch.save(content, path)
    else:
        path = tmp_path / "model.safetensors"
        content = load_file(path)
        gone = next(key for key in content if "0" in key and "weight" in key)
        del content[gone]
        save_file(content, path)
    with pytest.raises(CheckpointError, match="missing") as caught:
        load(family, weights=tmp_path, config=arguments.get(family), device="cpu")
    assert len(caught.value.missing) == 1


def test_a_configuration_without_a_size_is_refused(folders, tmp_path):
    shutil.copytree(folders["generator"], tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    del config["num_hidden_layers"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="lacks num_hidden_layers"):
        load("generator", weights=tmp_path, device="cpu")


@pytest.mark.parametrize("family", ["plant-dnagpt", "dnagpt"])
def test_learned_positions_end_in_a_sentence(models, family):
    model = models[family]
    with pytest.raises(SequenceError, match="65 tokens are too long: this network has 64"):
        model.module(input_ids=torch.zeros(1, 65, dtype=torch.long))
    state = model.advance(torch.zeros(1, 64, dtype=torch.long)).state
    with pytest.raises(SequenceError, match="learned positions"):
        model.advance(torch.zeros(1, 1, dtype=torch.long), state)


def test_gemma_takes_the_activation_that_its_old_versions_took(folders, tmp_path):
    folder = folders["plant-dnagemma"]
    reference = load("plant-dnagemma", weights=folder, device="cpu", dtype="float32")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_act": "gelu", "hidden_activation": None}
    (tmp_path / "config.json").write_text(json.dumps(config))
    ours = load("plant-dnagemma", weights=tmp_path, device="cpu", dtype="float32")
    with torch.inference_mode():
        assert torch.equal(
            ours.module(input_ids=IDS).logits, reference.module(input_ids=IDS).logits
        )


def test_old_files_with_masks_and_rotary_tables_load(folders, tmp_path):
    from safetensors.torch import load_file, save_file

    extra = {
        "plant-dnagpt": {"transformer.h.0.attn.bias": torch.ones(1, 1, 64, 64)},
        "generator": {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(3)},
    }
    for family, tensors in extra.items():
        folder = tmp_path / family
        shutil.copytree(folders[family], folder)
        content = load_file(folder / "model.safetensors")
        save_file({**content, **tensors}, folder / "model.safetensors")
        load(family, weights=folder, device="cpu")


def test_a_sliding_window_is_kept_in_chunks_too(folders, tmp_path):
    shutil.copytree(folders["genomeocean"], tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "sliding_window": 4}))
    narrow = load("genomeocean", weights=tmp_path, device="cpu", dtype="float32")
    wide = load("genomeocean", weights=folders["genomeocean"], device="cpu", dtype="float32")
    with torch.inference_mode():
        whole = narrow.module(input_ids=IDS).logits
        first = narrow.advance(IDS[:, :7])
        rows = torch.tensor([1, 1])
        rest = narrow.advance(IDS[rows, 7:], narrow.select_rows(first.state, rows)).logits
        assert close(first.logits, whole[:, :7])
        assert close(rest, whole[rows, 7:])
        assert not close(whole, wide.module(input_ids=IDS).logits, 1e-3)


def test_a_mixture_whose_configuration_asks_for_its_routers_loads_and_answers(folders, tmp_path):
    shutil.copytree(folders["mistral-dna"], tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "output_router_logits": True}))
    asking = load("mistral-dna", weights=tmp_path, device="cpu", dtype="float32")
    plain = load("mistral-dna", weights=folders["mistral-dna"], device="cpu", dtype="float32")
    with torch.inference_mode():
        ours = asking.module(input_ids=IDS, labels=IDS)
        assert torch.equal(ours.logits, plain.module(input_ids=IDS).logits)
        assert torch.isfinite(ours.loss)


def test_another_olmo_than_omni_dnas_is_refused(folders, tmp_path):
    shutil.copytree(folders["omni-dna"], tmp_path, dirs_exist_ok=True)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "clip_qkv": 8.0}))
    with pytest.raises(CheckpointError, match=r"clip_qkv = 8\.0"):
        load("omni-dna", weights=tmp_path, device="cpu")


def test_a_window_of_zero_is_none(models):
    from dnallm_gpt.mistral import GenomeOcean

    config = models["genomeocean"].module.config.to_dict()
    assert (
        GenomeOcean.read_config(None, {**config, "sliding_window": 0}, None).sliding_window is None
    )
