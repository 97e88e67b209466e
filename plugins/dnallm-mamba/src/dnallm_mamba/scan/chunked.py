"""The plain engine: the scan in chunks of positions, in PyTorch operations that run on any device.

Inside a chunk a prefix scan of depth log2(chunk) takes the place of a loop over positions
(Brent and Kung 1982): pairs (decay, drive) compose as (a2 a1, a2 b1 + b2). Decays are only ever
multiplied, never divided by, so nothing overflows however long a chunk or strong a decay; and only
one chunk of (batch, chunk, width, states) exists at a time.

Backwards, the states at chunk boundaries were kept and each chunk's states are computed again:
memory grows with length as the inputs do, divided by the chunk.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 32
"""Positions a chunk: of 512 channels and 16 states, one row's chunk fills 1 MB, a level-2 cache."""


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    edge: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """``reference.convolve`` as a sum of shifted products, without moving channels to the front."""
    width, taps = weight.shape
    length = x.shape[1]
    if edge is None:
        edge = x.new_zeros(x.shape[0], taps - 1, width)
    padded = torch.cat([x, edge.to(x.dtype)] if reverse else [edge.to(x.dtype), x], dim=1)
    columns = weight.to(x.dtype).flip(1) if reverse else weight.to(x.dtype)
    offset = x.new_zeros(width) if bias is None else bias.to(x.dtype)
    mixed = torch.addcmul(offset, padded[:, :length], columns[:, 0])
    for tap in range(1, taps):
        mixed.addcmul_(padded[:, tap : tap + length], columns[:, tap])
    return F.silu(mixed)


def selective_scan(
    x: Tensor,
    step: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    mask: Tensor | None = None,
    state: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """``reference.selective_scan``, chunk by chunk."""
    exact = A.dtype
    delta = F.softplus(step.to(exact))
    if mask is not None:
        delta = delta * mask.to(exact)[..., None]
    if state is None:
        state = x.new_zeros(x.shape[0], *A.shape, dtype=exact)
    values = x.to(exact)
    y, last = _Recurrence.apply(  # type: ignore[no-untyped-call]
        delta, delta * values, A, B.to(exact), C.to(exact), state.to(exact), reverse
    )
    return (y + D.to(exact) * values).to(x.dtype), last


class _Recurrence(torch.autograd.Function):
    """h_t = exp(delta_t A) h_{t-1} + drive_t B_t and y_t = C_t h_t, with h at the end."""

    @staticmethod
    def forward(
        context: Any,
        delta: Tensor,
        drive: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        state: Tensor,
        reverse: bool,
    ) -> tuple[Tensor, Tensor]:
        y = torch.empty_like(delta)
        # Channels last: reading the states out is then one small matrix product a position.
        rates, state = A.t().contiguous(), state.transpose(1, 2).contiguous()
        boundaries: list[Tensor] = []
        keep = any(context.needs_input_grad)
        for chunk in _chunks(delta.shape[1], reverse):
            if keep:
                boundaries.append(state)
            decay = (delta[:, chunk, None] * rates).exp_()  # (batch, chunk, states, width)
            states = drive[:, chunk, None] * B[:, chunk, :, None]
            _prefix_scan(decay, states, state, reverse)
            y[:, chunk] = torch.matmul(C[:, chunk, None], states).squeeze(-2)
            state = states[:, 0 if reverse else -1].clone()
        context.save_for_backward(delta, drive, A, B, C, *boundaries)
        context.reverse = reverse
        return y, state.transpose(1, 2).contiguous()

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        delta, drive, A, B, C, *boundaries = context.saved_tensors
        reverse = context.reverse
        grad_y, grad_last = gradients
        rates = A.t().contiguous()
        carry = torch.zeros_like(boundaries[0]) if grad_last is None else grad_last.transpose(1, 2)
        if grad_y is None:
            grad_y = torch.zeros_like(delta)
        grad_delta, grad_drive = torch.empty_like(delta), torch.empty_like(drive)
        grad_rates, grad_B, grad_C = (
            torch.zeros_like(rates),
            torch.empty_like(B),
            torch.empty_like(C),
        )
        chunks = list(_chunks(delta.shape[1], reverse))
        first, last = (-1, 0) if reverse else (0, -1)
        for chunk, before in zip(reversed(chunks), reversed(boundaries), strict=True):
            decay = (delta[:, chunk, None] * rates).exp_()
            states = drive[:, chunk, None] * B[:, chunk, :, None]
            _prefix_scan(decay.clone(), states, before, reverse)
            # flow_t = dL/dh_t obeys the same recurrence the other way round:
            # flow_t = dy_t C_t + decay_{t+1} flow_{t+1}
            flow = grad_y[:, chunk, None] * C[:, chunk, :, None]
            following = torch.roll(decay, 1 if reverse else -1, dims=1)
            following[:, last] = 1.0
            _prefix_scan(following, flow, carry, not reverse)
            previous = torch.roll(states, -1 if reverse else 1, dims=1)
            previous[:, first] = before
            grad_C[:, chunk] = torch.matmul(states, grad_y[:, chunk, :, None]).squeeze(-1)
            grad_B[:, chunk] = torch.matmul(flow, drive[:, chunk, :, None]).squeeze(-1)
            grad_drive[:, chunk] = torch.matmul(B[:, chunk, None], flow).squeeze(-2)
            carry = decay[:, first] * flow[:, first]
            exponent = previous.mul_(flow).mul_(decay)  # dL/d(delta_t A)
            grad_delta[:, chunk] = (exponent * rates).sum(-2)
            grad_rates += torch.einsum("ltd,ltnd->nd", delta[:, chunk], exponent)
        grad_A, grad_state = grad_rates.t().contiguous(), carry.transpose(1, 2)
        return grad_delta, grad_drive, grad_A, grad_B, grad_C, grad_state, None


def _chunks(length: int, reverse: bool) -> Iterator[slice]:
    """Slices of at most CHUNK positions, in the order in which time visits them."""
    starts = range(0, length, CHUNK)
    for start in reversed(starts) if reverse else starts:
        yield slice(start, min(start + CHUNK, length))


def _prefix_scan(decay: Tensor, states: Tensor, before: Tensor, reverse: bool) -> None:
    """Turn drives into states, in place: states_t = decay_t states_{t-1} + drive_t, from ``before``.

    ``decay`` is used up. Time is dimension 1, from the right with ``reverse``.
    """
    length = states.shape[1]
    first = length - 1 if reverse else 0
    states[:, first].addcmul_(decay[:, first], before)
    spans = []
    span = 1
    while span < length:  # upwards: each second block takes in the block before it
        later, earlier = _pairs(2 * span - 1, span, length, reverse)
        states[:, later].addcmul_(decay[:, later], states[:, earlier])
        decay[:, later].mul_(decay[:, earlier])
        spans.append(span)
        span *= 2
    for span in reversed(spans):  # downwards: finished prefixes reach the blocks between them
        later, earlier = _pairs(3 * span - 1, span, length, reverse)
        states[:, later].addcmul_(decay[:, later], states[:, earlier])


def _pairs(start: int, span: int, length: int, reverse: bool) -> tuple[slice, slice]:
    """Positions start, start + 2 span, ..., and for each the one ``span`` before it in time."""
    count = max(0, -(-(length - start) // (2 * span)))
    if count == 0:
        return slice(0, 0), slice(0, 0)
    low = length - 1 - (start + 2 * span * (count - 1)) if reverse else start
    high = low + 2 * span * (count - 1) + 1
    other = span if reverse else -span
    return slice(low, high, 2 * span), slice(low + other, high + other, 2 * span)
