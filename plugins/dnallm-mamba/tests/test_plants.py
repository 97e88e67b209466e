"""PlantCaduceus and PlantCAD2: the authors' numbers, the Mamba-2 arithmetic, what is refused."""

from __future__ import annotations

import pytest
import torch
import torch.utils._python_dispatch
from dnallm_core.catalog import catalog
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


def recurrence(x, delta, A, B, C, state, reverse):
    """Position by position, in the inputs' precision."""
    each = x.shape[2] // B.shape[2]
    B, C = (part.repeat_interleave(each, dim=2)[:, :, :, None] for part in (B, C))
    read = [None] * x.shape[1]
    for t in reversed(range(x.shape[1])) if reverse else range(x.shape[1]):
        decay = torch.exp(delta[:, t] * A)[..., None, None]
        state = decay * state + (delta[:, t, :, None] * x[:, t])[..., None] * B[:, t]
        read[t] = (state * C[:, t]).sum(-1)
    return torch.stack(read, 1), state


def dual_inputs(length, heads=4, headdim=4, groups=1, states=5):
    make = torch.Generator().manual_seed(0)
    return {
        "x": torch.randn(2, length, heads, headdim, generator=make),
        "delta": torch.rand(2, length, heads, generator=make) * 5,
        "A": -torch.rand(heads, generator=make) * 20,
        "B": torch.randn(2, length, groups, states, generator=make),
        "C": torch.randn(2, length, groups, states, generator=make),
        "state": torch.randn(2, heads, headdim, states, generator=make),
    }


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
def test_chunks_of_matrix_products_give_the_recurrence_and_its_gradients(reverse, groups):
    def outcome(function, dtype):
        given = dual_inputs(150, groups=groups)
        leaves = {key: value.to(dtype).requires_grad_() for key, value in given.items()}
        y, last = function(**leaves, reverse=reverse)
        ((y * torch.linspace(-1, 1, y.numel()).view_as(y)).sum() + (last**2).sum()).backward()
        return [y, last, *(leaf.grad for leaf in leaves.values())]

    exact, found = outcome(recurrence, torch.float64), outcome(state_space_dual, torch.float32)
    for right, ours in zip(exact, found, strict=True):
        scale = right.detach().abs().max().clamp(min=1)
        assert (ours.double() - right).detach().abs().max() / scale < 1e-5


def test_mamba_2_never_holds_a_position_times_a_whole_state():
    """Three factors in one einsum would: (chunk, headdim, states) for every head."""
    given = dual_inputs(64, heads=2, headdim=32, states=32)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            out = function(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                largest = max(largest, out.numel())
            return out

    with torch.no_grad(), Watch():
        state_space_dual(**given)
    assert largest < 2 * 64 * 2 * 32 * 32


def test_mamba_2_keeps_for_the_way_back_what_its_manifest_says():
    """Elements a token of one block more, by widths; the states between chunks among them."""
    said = catalog().family("plantcad2").extra["shape"]["kept"]
    width, length, counted = 256, 256, []
    for layers in (1, 2):
        config = CaduceusConfig(
            d_model=width, n_layer=layers, vocab_size=8, rcps=False,
            ssm_cfg={"layer": "Mamba2", "d_state": 64, "headdim": 64},
        )  # fmt: skip
        module = CaduceusForMaskedLM(config).train()
        weights = {each.untyped_storage().data_ptr() for each in module.parameters()}
        held = {}

        def note(tensor, held=held, weights=weights):
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in weights:
                held[storage.data_ptr()] = (storage.nbytes() / 4, tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            module(torch.randint(3, 7, (1, length)))
        counted.append(sum(count for count, _ in held.values()))
    states = 2 * 2 * width  # of both directions, 64 x 64 a head and chunk: kept outside these hooks
    a_token = (counted[1] - counted[0]) / length + states
    assert a_token / width == pytest.approx(said, rel=0.1)


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
