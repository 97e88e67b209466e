"""The fast convolution gives what the direct one gives, at every cut, dilation and offset."""

from __future__ import annotations

import pytest
import torch
from dnallm_gpn import _fast_convolution
from dnallm_gpn._fast_convolution import FastConvolution, Plan, _blocks, circular, plan, products
from torch import Tensor, nn
from torch.nn import functional


def _direct(convolution: nn.Conv1d, x: Tensor, outputs: int, offset: int) -> Tensor:
    """By the sum itself, in float64: every input that lies outside is zero."""
    (taps,), (dilation,) = convolution.kernel_size, convolution.dilation
    y = torch.zeros(outputs, x.shape[1], convolution.out_channels, dtype=torch.float64)
    for out in range(outputs):
        for tap in range(taps):
            at = out + offset + tap * dilation
            if 0 <= at < len(x):
                y[out] += x[at].double() @ convolution.weight[:, :, tap].double().T
    return y


def _worst(ours: Tensor, wanted: Tensor) -> float:
    return float((ours.double() - wanted).abs().max() / wanted.abs().max())


@pytest.mark.parametrize("points", [5, 8, 9, 16, 47, 48])
@pytest.mark.parametrize("taps", [2, 5])
def test_the_three_matrices_make_a_circular_correlation(points: int, taps: int) -> None:
    matrices = circular(points, taps)
    assert matrices.analysis.shape == (products(points), points)
    x, w = torch.randn(points).double(), torch.randn(taps).double()
    ours = matrices.synthesis @ ((matrices.kernel @ w) * (matrices.analysis @ x))
    wanted = sum(w[tap] * x.roll(-tap) for tap in range(taps))
    torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dilation", [1, 7, 32])
@pytest.mark.parametrize("taps", [3, 8, 9])
@pytest.mark.parametrize("way", ["wider", "same", "narrower", "aside"])
def test_it_equals_the_direct_sum_however_it_is_cut(
    monkeypatch, dilation: int, taps: int, way: str
) -> None:
    torch.manual_seed(dilation + taps)
    reach = dilation * (taps - 1)
    inputs, outputs, offset = {
        "wider": (50, 50 + reach, -reach),
        "same": (90, 90, -(reach // 2)),
        "narrower": (reach + 47, 47, 0),
        "aside": (40, 120, 10 - reach),
    }[way]
    convolution = nn.Conv1d(16, 16, taps, dilation=dilation)
    x = torch.randn(inputs, 2, 16)
    wanted = _direct(convolution, x, outputs, offset)
    for size in (1, 6, 40):
        cut = Plan(*_blocks(inputs, outputs, offset, taps, dilation, size))
        monkeypatch.setattr(_fast_convolution, "plan", lambda *_, cut=cut: cut)
        with torch.inference_mode():
            fast = FastConvolution(convolution, inputs, outputs, offset)
            assert _worst(fast(x), wanted) < 2e-6


def test_groups_of_any_size_give_the_same(monkeypatch) -> None:
    torch.manual_seed(0)
    convolution, x = nn.Conv1d(32, 32, 9, dilation=2), torch.randn(200, 3, 32)
    with torch.inference_mode():
        whole = FastConvolution(convolution, 200, 200, -8)(x)
        monkeypatch.setattr(_fast_convolution, "PRODUCTS", 1)
        apart = FastConvolution(convolution, 200, 200, -8)(x)
    torch.testing.assert_close(apart, whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("groups", "dtype"), [(16, torch.float32), (1, torch.bfloat16)])
def test_groups_and_half_precision_go_the_direct_way(groups: int, dtype: torch.dtype) -> None:
    convolution = nn.Conv1d(16, 16, 9, dilation=3, groups=groups, bias=True).to(dtype)
    x = torch.randn(60, 2, 16, dtype=dtype)
    with torch.inference_mode():
        direct = FastConvolution(convolution, 60, 60, -12)
        assert not direct.plan.points
        wanted = functional.conv1d(
            x.permute(1, 2, 0), convolution.weight, None, padding=12, dilation=3, groups=groups
        )
        torch.testing.assert_close(direct(x), wanted.permute(2, 0, 1))


@pytest.mark.parametrize("dilation", [1, 4, 32])
def test_at_published_width_it_takes_less_than_a_third_of_the_products(dilation: int) -> None:
    found = plan(1009, 961, -(1009 - 961) // 2, 9, dilation, 512, True)
    assert 3 * len(found.blocks) * products(found.points) < 9 * 961
