"""Masks of one base each share the sequence, and give what a forward pass for each of them gives."""

from __future__ import annotations

import pytest
import torch
from dnallm_core.loading import build
from dnallm_core.models import PredictsMaskedBases
from dnallm_gpn import _cone, _fast_convolution
from dnallm_gpn.gpn import GPN
from dnallm_gpn.gpn_network import GPNConfig

NAMES = ["gpn/gpn_animal_promoter", "gpn/gpn_brassicales", "gpn/gpn_convnet"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 30, 700])
def test_they_equal_one_forward_a_position(golden, name: str, length: int) -> None:
    model = golden(name).model
    ids = torch.randint(2, 7, (length,), generator=torch.Generator().manual_seed(length))
    wanted = sorted({0, length // 3, length // 2, length - 2, length - 1} & set(range(length)))
    positions = torch.tensor(wanted)
    with torch.inference_mode():
        ours = model.masked_logits(ids, positions, 1)
        plain = PredictsMaskedBases.masked_logits(model, ids, positions, 1)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=2e-5)


@pytest.fixture
def fast_wherever_it_can(monkeypatch):
    """Narrow networks' convolutions go the fast way, as wide ones' do."""
    monkeypatch.setattr(_fast_convolution, "BOOKKEEPING", 0.0)
    _fast_convolution.plan.cache_clear()
    yield
    _fast_convolution.plan.cache_clear()


@pytest.mark.usefixtures("fast_wherever_it_can")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [30, 700])
def test_so_they_do_by_the_fast_convolution(golden, name: str, length: int) -> None:
    model = golden(name).model
    ids = torch.randint(2, 7, (length,), generator=torch.Generator().manual_seed(length))
    # neighbours and scattered ones, the ends included
    positions = torch.tensor(sorted({0, 1, 2, length // 3, length // 2, length - 1}))
    with torch.inference_mode():
        for wanted in (positions, positions[:3]):
            ours = model.masked_logits(ids, wanted, 1)
            plain = PredictsMaskedBases.masked_logits(model, ids, wanted, 1)
            torch.testing.assert_close(ours, plain, rtol=1e-4, atol=2e-5)


def test_the_order_of_positions_is_kept(golden) -> None:
    model = golden("gpn/gpn_brassicales").model
    ids = torch.randint(3, 7, (90,), generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        sorted_ones = model.masked_logits(ids, torch.tensor([4, 50, 80]), 1)
        mixed = model.masked_logits(ids, torch.tensor([80, 4, 50]), 1)
    torch.testing.assert_close(mixed, sorted_ones[[2, 0, 1]], rtol=1e-4, atol=1e-5)


def test_batches_and_segments_change_nothing(golden, monkeypatch) -> None:
    model = golden("gpn/gpn_convnet").model
    ids = torch.randint(3, 7, (120,), generator=torch.Generator().manual_seed(3))
    positions = torch.arange(0, 120, 7)
    with torch.inference_mode():
        together = model.masked_logits(ids, positions, 1)
        monkeypatch.setattr(_cone, "SEGMENT", 20)
        monkeypatch.setattr(_cone, "ELEMENTS", 1)
        apart = model.masked_logits(ids, positions, 1)
    torch.testing.assert_close(apart, together, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kernel", [2, 4])
def test_even_kernels_which_look_further_to_one_side_are_exact_too(kernel: int) -> None:
    torch.manual_seed(0)
    config = GPNConfig(
        encoder="bytenet", embedding="embedding", hidden_size=16, num_hidden_layers=5,
        first_kernel_size=kernel, rest_kernel_size=kernel, dilation_cycle=3,
    )  # fmt: skip
    module = build(GPN, config).to_empty(device="cpu")
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model = type("Holder", (), {"module": module})()
    ids, positions = torch.randint(3, 7, (60,)), torch.tensor([0, 3, 30, 59])
    with torch.inference_mode():
        ours = _cone.masked_logits(module, ids, positions, 1)
        plain = PredictsMaskedBases.masked_logits(model, ids, positions, 1)
    torch.testing.assert_close(ours, plain, rtol=1e-4, atol=2e-5)


def test_far_less_is_computed_than_whole_passes(golden) -> None:
    network = golden("gpn/gpn_brassicales").model.module
    needed, active = _cone.stretches(list(network.layers))
    assert needed[0].left == sum(layer.convolution.left for layer in network.layers)
    assert (active[0].width, active[-1].width) == (1, 1)
    assert all(a.left <= n.left and a.right <= n.right for a, n in zip(active, needed, strict=True))
    assert sum(each.width for each in active) < 0.5 * len(active) * needed[0].width
