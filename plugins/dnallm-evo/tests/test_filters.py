"""The causal filters against their definitions, whole and in pieces."""

from __future__ import annotations

import pytest
import torch
from dnallm_evo.filters import Modes, fir, modal
from torch import Tensor


def modes(channels: int, *, complex_poles: bool) -> Modes:
    torch.manual_seed(0)
    if not complex_poles:
        return Modes(-torch.rand(channels, 5) - 1e-3, torch.randn(channels, 5))
    radius, angle = torch.rand(channels, 5) * 0.9 + 0.09, torch.rand(channels, 5) * 6
    return Modes(
        torch.log(torch.polar(radius, angle)), torch.randn(channels, 5, dtype=torch.complex64)
    )


def by_definition(signal: Tensor, taps: Tensor) -> Tensor:
    """``y[t] = sum_s taps[s] u[t - s]`` in float64; taps (channels, at least as many as tokens)."""
    tokens = signal.shape[-1]
    out = [
        (signal[..., : t + 1].double() * taps[:, : t + 1].flip(-1)).sum(-1) for t in range(tokens)
    ]
    return torch.stack(out, dim=-1).float()


@pytest.mark.parametrize("complex_poles", [False, True])
@pytest.mark.parametrize("tokens", [1, 2, 63, 64, 65, 200])
def test_a_filter_of_poles_is_its_convolution(tokens: int, complex_poles: bool) -> None:
    poles = modes(3, complex_poles=complex_poles)
    signal = torch.randn(2, 3, tokens)
    time = torch.arange(tokens)
    log_poles = poles.log_poles.to(torch.complex128)
    powers = torch.exp(log_poles[..., None] * time)
    taps = (poles.residues.to(torch.complex128)[..., None] * powers).sum(1).real
    found, _ = modal(signal, None, poles)
    assert torch.allclose(found, by_definition(signal, taps), atol=2e-5)


@pytest.mark.parametrize("complex_poles", [False, True])
@pytest.mark.parametrize("sizes", [[100, 100], [1] * 5 + [195], [64, 1, 64, 71], [199, 1]])
def test_a_filter_of_poles_continues_from_its_state(sizes: list[int], complex_poles: bool) -> None:
    poles = modes(4, complex_poles=complex_poles)
    signal = torch.randn(3, 4, sum(sizes))
    whole, end = modal(signal, None, poles)
    state, pieces = None, []
    for piece in signal.split(sizes, dim=-1):
        out, state = modal(piece, state, poles)
        pieces.append(out)
    assert torch.allclose(torch.cat(pieces, dim=-1), whole, atol=2e-5)
    assert state is not None
    assert torch.allclose(state, end, atol=2e-5)


@pytest.mark.parametrize("length", [3, 7, 16, 17, 128])
@pytest.mark.parametrize("tokens", [1, 5, 128, 300])
def test_a_finite_filter_is_its_correlation(tokens: int, length: int) -> None:
    torch.manual_seed(1)
    signal, taps = torch.randn(2, 6, tokens), torch.randn(3, length)
    found, after = fir(signal, None, taps)
    each = taps.repeat_interleave(2, dim=0).flip(-1)
    padded = torch.cat([each, torch.zeros(6, tokens)], dim=-1)[:, : max(tokens, length)]
    assert torch.allclose(found, by_definition(signal, padded), atol=1e-4)
    assert after.shape == (2, 6, length - 1)


@pytest.mark.parametrize("length", [7, 128])
@pytest.mark.parametrize("sizes", [[150, 150], [1, 1, 298], [129, 170, 1]])
def test_a_finite_filter_continues_from_its_past(sizes: list[int], length: int) -> None:
    torch.manual_seed(1)
    signal, taps = torch.randn(2, 6, sum(sizes)), torch.randn(2, length)
    whole, end = fir(signal, None, taps)
    past, pieces = None, []
    for piece in signal.split(sizes, dim=-1):
        out, past = fir(piece, past, taps)
        pieces.append(out)
    assert torch.allclose(torch.cat(pieces, dim=-1), whole, atol=1e-4)
    assert past is not None
    assert torch.equal(past, end)
