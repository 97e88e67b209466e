"""Causal convolutions that carry their past along: short filters, and filters with poles.

Everything is a matrix product over blocks of tokens: no FFT, a cost in proportion to the length,
and the state after the last token comes out for nothing. Tensors are (batch, channels, tokens) in
float32.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

_TAPS_BY_SHIFTS = 16  # up to here a filter is a few shifted sums
_FIR_BLOCK = 128  # tokens a block
_MODAL_BLOCK = 64


def shifted_sums(extended: Tensor, taps: Tensor) -> Tensor:
    """Correlation of (..., taps - 1 + tokens) with ``taps`` (..., taps); the last meets the token."""
    length = taps.shape[-1]
    tokens = extended.shape[-1] - length + 1
    y = extended[..., :tokens] * taps[..., :1]
    for index in range(1, length):
        part = extended[..., index : index + tokens]
        weight = taps[..., index : index + 1]
        y = y + part * weight if torch.is_grad_enabled() else y.addcmul_(part, weight)
    return y


def fir(signal: Tensor, past: Tensor | None, taps: Tensor) -> tuple[Tensor, Tensor]:
    """Finite causal filter with a past.

    ``signal`` (batch, channels, tokens); ``past`` the last taps - 1 inputs before it (None: zeros);
    ``taps`` (groups, taps), each for channels / groups neighbours, the last meets the token.
    Returns the output and the new past.
    """
    batch, channels, tokens = signal.shape
    groups, length = taps.shape
    if past is None:
        past = signal.new_zeros(batch, channels, length - 1)
    extended = torch.cat([past, signal], dim=-1)
    after = extended[..., extended.shape[-1] - (length - 1) :].clone()
    if length <= _TAPS_BY_SHIFTS:
        return shifted_sums(extended, taps.repeat_interleave(channels // groups, dim=0)), after
    block = min(_FIR_BLOCK, tokens)
    count = -(-tokens // block)
    extended = F.pad(extended, (0, count * block - tokens))
    windows = extended.unfold(-1, block + length - 1, block)  # (batch, channels, blocks, window)
    windows = windows.unflatten(1, (groups, channels // groups)).transpose(0, 1).flatten(1, 3)
    # matrix[i, t] = taps[i - t]: where in its window each output finds its inputs
    offset = torch.arange(block + length - 1, device=taps.device)[:, None]
    offset = offset - torch.arange(block, device=taps.device)
    inside = (offset >= 0) & (offset < length)
    matrix = taps[:, offset.clamp(0, length - 1)] * inside  # (groups, window, block)
    y = torch.bmm(windows, matrix)  # (groups, batch * neighbours * blocks, block)
    y = y.unflatten(1, (batch, channels // groups, count)).transpose(0, 1)
    return y.reshape(batch, channels, count * block)[..., :tokens], after


class Modes(NamedTuple):
    """A filter ``h[t] = Re sum_k residues[k] exp(t log_poles[k])``, (channels, modes) each."""

    log_poles: Tensor
    residues: Tensor

    def __getitem__(self, which: slice) -> Modes:  # type: ignore[override]
        return Modes(self.log_poles[which], self.residues[which])


def modal(signal: Tensor, state: Tensor | None, modes: Modes) -> tuple[Tensor, Tensor]:
    """Causal convolution with ``modes`` as a linear recurrence, a block of tokens at a time.

    ``x_k[t] = p_k x_k[t-1] + u[t]``, ``y[t] = Re sum_k r_k x_k[t]`` (Massaroli et al. 2023, Laughing
    Hyena, eq. 2.2). Within a block the outputs are a triangular matrix product, between blocks only
    the modes are handed on. ``state`` (batch, channels, modes) before the first token (None: zeros).
    Returns the output and the state after the last token.
    """
    log_poles, residues = modes.log_poles, modes.residues
    batch, channels, tokens = signal.shape
    block = min(_MODAL_BLOCK, tokens)
    count = -(-tokens // block)
    last = tokens - (count - 1) * block  # tokens in the last block
    time = torch.arange(block, device=signal.device, dtype=torch.float32)
    powers = torch.exp(log_poles[..., None] * time)  # (channels, modes, block)
    taps = (residues[..., None] * powers).sum(1)
    taps = taps.real if taps.is_complex() else taps
    lag = (time - time[:, None]).long()  # [input, output]
    triangle = taps[:, lag.clamp(min=0)] * (lag >= 0)  # (channels, block, block)
    blocks = F.pad(signal, (0, count * block - tokens)).unflatten(-1, (count, block))
    blocks = blocks.transpose(0, 1)  # (channels, batch, blocks, block)
    rows = blocks.flatten(1, 2)  # (channels, batch * blocks, block)
    y = torch.bmm(rows, triangle)

    inflow = _as_real(powers.flip(-1), dim=1).transpose(1, 2)  # (channels, block, real modes)
    sums = _as_modes(torch.bmm(rows, inflow), log_poles).unflatten(1, (batch, count))
    if state is None:
        state = sums.new_zeros(batch, channels, log_poles.shape[-1])
    decay = torch.exp(log_poles * block)[:, None]  # (channels, 1, modes)
    starts = [state.transpose(0, 1)]  # (channels, batch, modes)
    for index in range(count - 1):
        starts.append(decay * starts[-1] + sums[:, :, index])
    before = _as_real(torch.stack(starts, dim=2).flatten(1, 2), dim=-1)
    outflow = _as_real((residues * torch.exp(log_poles))[..., None] * powers, dim=1, conjugate=True)
    y = torch.baddbmm(y, before, outflow)  # (channels, batch * blocks, block)
    y = y.unflatten(1, (batch, count)).transpose(0, 1).flatten(2)

    tail = _as_real(powers[..., :last].flip(-1), dim=1).transpose(1, 2)
    arrived = _as_modes(torch.bmm(blocks[:, :, -1, :last], tail), log_poles)
    after = torch.exp(log_poles * last)[:, None] * starts[-1] + arrived
    return y[..., :tokens], after.transpose(0, 1)


def _as_real(values: Tensor, dim: int, *, conjugate: bool = False) -> Tensor:
    """Complex modes as twice as many real ones, real parts first; real ones as they are."""
    if not values.is_complex():
        return values
    imaginary = -values.imag if conjugate else values.imag
    return torch.cat([values.real, imaginary], dim=dim)


def _as_modes(values: Tensor, like: Tensor) -> Tensor:
    """Twice as many real modes as complex ones, where ``like`` is complex."""
    if not like.is_complex():
        return values
    real, imaginary = values.chunk(2, dim=-1)
    return torch.complex(real, imaginary)
