"""Long causal convolution by real FFTs, over a few channels at a time."""

from __future__ import annotations

import math

import torch
from torch import Tensor

BLOCK = 1 << 20  # numbers in one working buffer: small enough to stay in memory that is reused


def fft_size(tokens: int) -> int:
    """The least size that holds ``tokens`` without wrapping round and that FFTs are fast at.

    Sizes are 8, 9, 10, 12 and 15 times a power of two, so that lengths which differ little share
    one size, and with it one filter.
    """
    needed = 2 * max(tokens, 8)
    power = 2 ** max(0, math.floor(math.log2(needed)) - 3)
    return next(factor * power for factor in (8, 9, 10, 12, 15, 16) if factor * power >= needed)


def convolve(signal: Tensor, spectrum: Tensor, size: int) -> Tensor:
    """Causal convolution of ``signal`` (batch, channels, tokens) with one filter a channel.

    ``spectrum`` (channels, size / 2 + 1) is the real FFT of the filters, none longer than half of
    ``size``. Returns (batch, channels, tokens) in float32.
    """
    transformed = torch.fft.rfft(signal.float(), n=size)  # (batch, channels, size / 2 + 1)
    if torch.is_grad_enabled():
        transformed = transformed * spectrum
    else:
        transformed.mul_(spectrum)
    return torch.fft.irfft(transformed, n=size)[..., : signal.shape[-1]]


def blocks(count: int, numbers_each: int, budget: int = BLOCK) -> list[slice]:
    """``range(count)`` in slices of which each needs at most ``budget`` numbers (at least one)."""
    step = max(1, budget // max(1, numbers_each))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]
