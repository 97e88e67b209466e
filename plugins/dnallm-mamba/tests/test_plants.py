"""PlantCaduceus and PlantCAD2: the authors' numbers, the Mamba-2 arithmetic, what is refused."""

from __future__ import annotations

import pytest
import torch
from dnallm_core.errors import CheckpointError
from dnallm_mamba.caduceus import Caduceus, CaduceusConfig, CaduceusForMaskedLM
from dnallm_mamba.mamba2 import state_space_dual
from dnallm_mamba.plantcad2 import PlantCAD2
from dnallm_mamba.plantcaduceus import PlantCaduceus
from dnallm_mamba.scan import engines

COMPLEMENT = {3: 6, 4: 5, 5: 4, 6: 3}
SIZES = {"d_model": 32, "n_layer": 2, "vocab_size": 8}


@pytest.mark.parametrize("engine", ["plain", "native"])
@pytest.mark.parametrize("case", ["plantcaduceus/plant", "plantcad2/mamba2"])
def test_the_expected_outputs_are_reproduced(network, deviation, case, engine, monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, engine)
    worst, tolerance = deviation(network(case), case)
    assert worst <= tolerance


@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_chunks_of_matrix_products_give_the_recurrence(reverse):
    make = torch.Generator().manual_seed(0)
    x = torch.randn(2, 150, 3, 4, generator=make)
    delta = torch.rand(2, 150, 3, generator=make) * 5
    A = -torch.rand(3, generator=make) * 20
    B, C = torch.randn(2, 150, 1, 5, generator=make), torch.randn(2, 150, 1, 5, generator=make)
    state = first = torch.randn(2, 3, 4, 5, generator=make)
    expected = torch.zeros_like(x)
    for t in reversed(range(150)) if reverse else range(150):
        decay = torch.exp(delta[:, t] * A)[..., None, None]
        drive = (delta[:, t, :, None] * x[:, t])[..., None] * B[:, t, 0, None, None]
        state = decay * state + drive
        expected[:, t] = (state * C[:, t, 0, None, None]).sum(-1)
    y, last = state_space_dual(x, delta, A, B, C, first, reverse)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last, state, rtol=1e-4, atol=1e-4)


def second_kind():
    torch.manual_seed(0)
    config = CaduceusConfig(
        **SIZES, rcps=True, complement_map=COMPLEMENT, ssm_cfg={"layer": "Mamba2", "d_state": 8}
    )
    module = CaduceusForMaskedLM(config).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return module


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_leaves_real_positions_as_in_the_unpadded_row(side):
    module = second_kind()
    ids = torch.randint(3, 7, (1, 80), generator=torch.Generator().manual_seed(1))
    width = (9, 0) if side == "left" else (0, 9)
    padded = torch.nn.functional.pad(ids, width)
    mask = torch.nn.functional.pad(torch.ones_like(ids), width)
    with torch.no_grad():
        alone = module(input_ids=ids).logits
        among = module(input_ids=padded, attention_mask=mask).logits[:, width[0] : width[0] + 80]
    torch.testing.assert_close(among, alone, rtol=0, atol=3e-6)


def test_mamba_2_is_equivariant_and_trains():
    module = second_kind()
    table = torch.tensor(list(module.config.complement_map.values()))
    ids = torch.randint(3, 7, (2, 70), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        there, back = module(ids).logits, module(table[ids].flip(1)).logits
    torch.testing.assert_close(back.flip(1)[..., table], there, rtol=0, atol=3e-6)
    module.train()(input_ids=ids, labels=ids).loss.backward()
    assert all(torch.isfinite(each.grad).all() for each in module.parameters())


def test_each_family_refuses_the_others_mixer():
    first, second = {"d_state": 16, "dt_rank": "auto"}, {"d_state": 64, "headdim": 64}
    with pytest.raises(CheckpointError, match=r"another mixer than Mamba2: dt_rank.*plantcaduceus"):
        PlantCAD2.read_config(None, {**SIZES, "ssm_cfg": first}, None)
    with pytest.raises(CheckpointError, match=r"another mixer than Mamba1: headdim.*plantcad2"):
        PlantCaduceus.read_config(None, {**SIZES, "ssm_cfg": second}, None)
    key = "caduceus.backbone.layers.0.mixer.submodule.mamba_fwd.dt_bias"
    with pytest.raises(CheckpointError, match="tensors are those of another mixer than Mamba1"):
        Caduceus.read_config(None, {**SIZES, "ssm_cfg": {"d_state": 64}}, {key: (2,)})
    with pytest.raises(CheckpointError, match="64 channels are no whole number of heads of 48"):
        PlantCAD2.read_config(None, {**SIZES, "ssm_cfg": {"headdim": 48}}, None)


def test_a_pad_id_outside_the_vocabulary_is_no_pad_id():
    config = PlantCaduceus.read_config(None, {**SIZES, "pad_token_id": -100}, None)
    assert config.pad_token_id is None
