"""Caduceus Ph and PS: the authors' numbers, masks, strands, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from dnallm_core.checkpoints import CheckpointFolder
from dnallm_core.errors import CheckpointError
from dnallm_core.loading import load
from dnallm_mamba import mamba
from dnallm_mamba.caduceus import Caduceus, CaduceusConfig, CaduceusForMaskedLM
from dnallm_mamba.scan import engines
from safetensors.torch import load_file, save_file

KINDS = ["caduceus/ph", "caduceus/ps"]


@pytest.fixture(params=["plain", "native"])
def engine(request, monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, request.param)
    return request.param


def small(**settings):
    torch.manual_seed(0)
    config = CaduceusConfig(d_model=24, n_layer=2, vocab_size=16, **settings)
    module = CaduceusForMaskedLM(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


COMPLEMENT = {**{each: each for each in range(16)}, 7: 10, 8: 9, 9: 8, 10: 7}


@pytest.mark.parametrize("case", KINDS)
def test_the_authors_outputs_are_reproduced(network, deviation, case, engine):
    worst, tolerance = deviation(network(case), case)
    assert worst <= tolerance


@pytest.mark.parametrize("case", KINDS)
def test_a_long_input_in_segments_gives_what_the_whole_gives(network, case, monkeypatch):
    ids = torch.randint(7, 12, (2, 100), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    mask[0, :9] = 0
    with torch.no_grad():
        whole = network(case)(input_ids=ids, attention_mask=mask).logits
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        for at_once, limit in ((16, 2**26), (16, 0), (100, 2**26)):
            monkeypatch.setattr(mamba, "SEGMENT", at_once)
            monkeypatch.setattr(mamba, "KEPT_NUMBERS", limit)
            pieces = network(case)(input_ids=ids, attention_mask=mask).logits
            apart = (pieces - whole).abs() * mask[..., None]
            assert apart.max() < 1e-5 * whole.abs().max().clamp(min=1)


@pytest.mark.parametrize("side", ["left", "right", "both"])
@pytest.mark.parametrize("rcps", [False, True], ids=["ph", "ps"])
def test_padding_leaves_real_positions_as_in_the_unpadded_row(rcps, side, engine):
    module = small(rcps=rcps, complement_map=COMPLEMENT)
    ids = torch.randint(7, 12, (1, 21), generator=torch.Generator().manual_seed(1))
    left, right = {"left": (6, 0), "right": (0, 6), "both": (2, 5)}[side]
    padded = torch.nn.functional.pad(ids, (left, right), value=4)
    mask = torch.nn.functional.pad(torch.ones_like(ids), (left, right))
    with torch.no_grad():
        alone = module(input_ids=ids, output_hidden_states=True)
        among = module(input_ids=padded, attention_mask=mask, output_hidden_states=True)
    real = slice(left, left + 21)
    torch.testing.assert_close(among.logits[:, real], alone.logits, rtol=0, atol=2e-6)
    for found, right_one in zip(among.hidden_states, alone.hidden_states, strict=True):
        torch.testing.assert_close(found[:, real], right_one, rtol=0, atol=2e-6)


@pytest.mark.parametrize("case", KINDS)
def test_a_mask_of_ones_is_no_mask(network, case):
    ids = torch.randint(0, 12, (2, 33), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        bare = network(case)(input_ids=ids)
        masked = network(case)(input_ids=ids, attention_mask=torch.ones_like(ids))
    assert torch.equal(bare.logits, masked.logits)


@pytest.mark.parametrize("case", KINDS)
def test_hidden_states_run_from_the_embedding_to_what_the_head_reads(network, case):
    module = network(case)
    ids = torch.tensor([[7, 8, 9, 10, 1]])
    with torch.no_grad():
        out = module(input_ids=ids, output_hidden_states=True)
    assert len(out.hidden_states) == module.config.n_layer + 1
    table = module.get_input_embeddings().weight
    width = module.config.d_model
    assert torch.equal(out.hidden_states[0][0, :, :width], table[ids[0]])
    assert torch.equal(out.hidden_states[-1], out.last_hidden_state)
    assert module(input_ids=ids).hidden_states is None


def test_the_parameter_shared_network_is_equivariant(engine):
    module = small(rcps=True, complement_map=COMPLEMENT)
    table = torch.tensor(list(COMPLEMENT.values()))
    ids = torch.randint(7, 12, (2, 40), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        there = module(input_ids=ids)
        back = module(input_ids=table[ids].flip(1))
    turned = back.last_hidden_state.flip(1, 2)
    torch.testing.assert_close(turned, there.last_hidden_state, rtol=0, atol=2e-6)
    torch.testing.assert_close(back.logits.flip(1)[..., table], there.logits, rtol=0, atol=2e-6)


def test_the_exchange_of_strands_is_that_of_the_fused_branch_alone():
    ids = torch.tensor([[7, 8, 9, 10]])
    fused = small(rcps=True, complement_map=COMPLEMENT, fused_add_norm=True)
    plain = small(rcps=True, complement_map=COMPLEMENT, fused_add_norm=False)
    plain.load_state_dict(fused.state_dict())
    with torch.no_grad():
        assert not torch.allclose(fused(ids).logits, plain(ids).logits, atol=1e-3)


@pytest.mark.parametrize("rcps", [False, True], ids=["ph", "ps"])
def test_gradients_and_recomputation_agree_between_engines(rcps, monkeypatch):
    ids = torch.randint(7, 12, (2, 30), generator=torch.Generator().manual_seed(4))
    found = {}
    for name in ("reference", "plain", "native"):
        for recompute in (False, True):
            monkeypatch.setenv(engines.VARIABLE, name)
            module = small(rcps=rcps, complement_map=COMPLEMENT).train()
            if recompute:
                module.gradient_checkpointing_enable()
            module(input_ids=ids, labels=ids).loss.backward()
            found[name, recompute] = [each.grad for each in module.parameters()]
    for grads in found.values():
        for ours, right in zip(grads, found["reference", False], strict=True):
            torch.testing.assert_close(ours, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("rcps", [False, True], ids=["ph", "ps"])
def test_saved_and_loaded_again_it_is_the_same_network(rcps, tmp_path):
    module = small(rcps=rcps, complement_map=COMPLEMENT)
    module.save_pretrained(tmp_path)
    again = CaduceusForMaskedLM.from_pretrained(tmp_path).eval()
    ids = torch.tensor([[7, 8, 9, 10, 11, 1]])
    with torch.no_grad():
        assert torch.equal(module(ids).logits, again(ids).logits)
    from safetensors import safe_open

    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert not [name for name in names if "mamba_rev.in_proj" in name or "lm_head.weight" in name]


def test_untied_directions_and_products_of_directions_run():
    for settings in (
        {"bidirectional_weight_tie": False},
        {"bidirectional_strategy": "ew_multiply"},
    ):
        module = small(**settings)
        mixer = module.caduceus.backbone.layers[0].mixer
        hidden = torch.randn(1, 12, 24)
        with torch.no_grad():
            one = mixer.mamba_fwd(hidden)
            other = mixer.mamba_rev(hidden.flip(1)).flip(1)
            joined = one * other if "bidirectional_strategy" in settings else one + other
            torch.testing.assert_close(mixer(hidden), joined, rtol=0, atol=1e-6)


def published(golden, tmp_path, **changes):
    folder = tmp_path / "checkpoint"
    shutil.copytree(golden("caduceus/ps"), folder)
    config = json.loads((folder / "config.json").read_text())
    config.update(changes)
    (folder / "config.json").chmod(0o644)
    (folder / "config.json").write_text(json.dumps(config))
    return CheckpointFolder(folder)


def test_another_mixer_than_mamba_1_is_refused(golden, tmp_path):
    folder = published(golden, tmp_path, ssm_cfg={"d_state": 64, "headdim": 64})
    with pytest.raises(CheckpointError, match="another mixer than Mamba1: headdim"):
        Caduceus.read_config(folder, {}, None)


def test_a_configuration_without_sizes_is_refused():
    with pytest.raises(CheckpointError, match="lacks n_layer, vocab_size"):
        Caduceus.read_config(None, {"d_model": 8}, None)


@pytest.mark.parametrize("kept", ["mamba_fwd", "mamba_rev"])
def test_a_state_dict_of_one_direction_is_refused(golden, tmp_path, kept):
    folder = tmp_path / "checkpoint"
    shutil.copytree(golden("caduceus/ps"), folder)
    path = folder / "model.safetensors"
    lost = {"mamba_fwd": "mamba_rev", "mamba_rev": "mamba_fwd"}[kept]
    tensors = {name: each for name, each in load_file(path).items() if lost not in name}
    path.unlink()
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=rf"of one direction alone \({kept}\)"):
        load("caduceus", weights=folder, device="cpu")


def test_a_sequence_above_the_trained_length_is_warned_of_with_the_figures():
    model = load("caduceus-ecoli-tiny", device="cpu")
    with pytest.warns(UserWarning, match=r"1,200 bp .* made for .*about 1,024 bp.* extrapolation"):
        model.embed("ACGTTGCA" * 150)


def test_one_strand_of_an_equivariant_network_gives_both_strands_distances(golden):
    model = load("caduceus", weights=golden("caduceus/ps"), device="cpu", dtype="float32")
    assert model.manifest.reverse_complement == "equivariant"
    text, variants = "ACGTTGCAACGGTTACAGTACCATG" * 3, [(20, "A", "T"), (30, "T", "TGG")]
    mean = model.variant_effects(text, variants, window=40, effect="embedding-distance")
    model.manifest = replace(model.manifest, reverse_complement="none")
    plain = model.variant_effects(text, variants, window=40, effect="embedding-distance")
    np.testing.assert_allclose(mean, plain, rtol=1e-4)
