"""The plain engine: the scan in chunks of positions, in PyTorch operations that run on any device.

Decays, drives and what is read from the states are made for a whole chunk at once; only the
recurrence itself goes position by position, one fused multiply-add each, while the chunk lies in
cache. (A prefix scan does twice the work for half the calls, and was slower.) Decays are only ever
multiplied, never divided by, so nothing overflows however strong a decay; and only one chunk of
(batch, chunk, states, width) exists at a time.

Backwards, the states at chunk boundaries were kept and each chunk's states are computed again:
memory grows with length as the inputs do, divided by the chunk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .reference import gated

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
    gate: Tensor | None = None,
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
    return gated((y + D.to(exact) * values).to(x.dtype), gate), last


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
        rates, state = _rates(A), state.transpose(1, 2).contiguous()
        room = _Room(delta, A)
        boundaries: list[Tensor] = []
        keep = any(context.needs_input_grad)
        for chunk in _chunks(delta.shape[1], reverse):
            if keep:
                boundaries.append(state)
            _, states = room.fill(delta, drive, rates, B, chunk)
            state = room.recur(state, reverse).clone()
            y[:, chunk] = torch.matmul(C[:, chunk, None], states).squeeze(-2)
        context.save_for_backward(delta, drive, A, B, C, *boundaries)
        context.reverse = reverse
        return y, state.transpose(1, 2).contiguous()

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        delta, drive, A, B, C, *boundaries = context.saved_tensors
        reverse = context.reverse
        grad_y, grad_last = gradients
        slopes, rates = A.t(), _rates(A)
        carry = torch.zeros_like(boundaries[0]) if grad_last is None else grad_last.transpose(1, 2)
        if grad_y is None:
            grad_y = torch.zeros_like(delta)
        grad_delta, grad_drive = torch.empty_like(delta), torch.empty_like(drive)
        grad_A, grad_B, grad_C = torch.zeros_like(rates), torch.empty_like(B), torch.empty_like(C)
        room, flows = _Room(delta, A), _Room(delta, A)
        first, last = (-1, 0) if reverse else (0, -1)
        earlier, later = slice(None, -1), slice(1, None)
        if reverse:
            earlier, later = later, earlier
        chunks = list(_chunks(delta.shape[1], reverse))
        for chunk, before in zip(reversed(chunks), reversed(boundaries), strict=True):
            decay, states = room.fill(delta, drive, rates, B, chunk)
            room.recur(before, reverse)
            # flow_t = dL/dh_t obeys the same recurrence the other way round:
            # flow_t = dy_t C_t + decay_{t+1} flow_{t+1}
            following, flow = flows.cut(chunk)
            torch.mul(grad_y[:, chunk, None], C[:, chunk, :, None], out=flow)
            flow[:, last] += carry
            following[:, earlier] = decay[:, later]
            following[:, last] = 0
            flows.recur(carry, not reverse)
            grad_C[:, chunk] = torch.matmul(states, grad_y[:, chunk, :, None]).squeeze(-1)
            grad_B[:, chunk] = torch.matmul(flow, drive[:, chunk, :, None]).squeeze(-1)
            grad_drive[:, chunk] = torch.matmul(B[:, chunk, None], flow).squeeze(-2)
            carry = decay[:, first] * flow[:, first]
            exponent = torch.mul(decay, flow, out=following)  # dL/d(delta_t A), less h_{t-1}
            exponent[:, later] *= states[:, earlier]
            exponent[:, first] *= before
            grad_delta[:, chunk] = torch.mul(exponent, slopes, out=flow).sum(-2)
            grad_A += exponent.mul_(delta[:, chunk, None]).sum((0, 1))
        return grad_delta, grad_drive, grad_A.t(), grad_B, grad_C, carry.transpose(1, 2), None


def _chunks(length: int, reverse: bool) -> Iterator[slice]:
    """Slices of at most CHUNK positions, in the order in which time visits them."""
    starts = range(0, length, CHUNK)
    for start in reversed(starts) if reverse else starts:
        yield slice(start, min(start + CHUNK, length))


def _rates(A: Tensor) -> Tensor:
    """(states, width), as exponents of 2: PyTorch's power of 2 takes a third of its exp's time."""
    return (A.t() * math.log2(math.e)).contiguous()


class _Room:
    """Decays and states of one chunk, (batch, chunk, states, width): filled again for each.

    Fresh memory for every chunk would cost more than what is computed in it.
    """

    def __init__(self, delta: Tensor, A: Tensor) -> None:
        batch, length, width = delta.shape
        size = (batch, min(CHUNK, length), A.shape[1], width)
        self.decays, self.states = delta.new_empty(size), delta.new_empty(size)
        self.steps = list(zip(self.decays.unbind(1), self.states.unbind(1), strict=True))
        self.count = 0

    def cut(self, chunk: slice) -> tuple[Tensor, Tensor]:
        """Room for the decays and states of that chunk."""
        self.count = chunk.stop - chunk.start
        return self.decays[:, : self.count], self.states[:, : self.count]

    def fill(
        self, delta: Tensor, drive: Tensor, rates: Tensor, B: Tensor, chunk: slice
    ) -> tuple[Tensor, Tensor]:
        """The chunk's decays exp(delta_t A), and its drives in the place of states."""
        decay, states = self.cut(chunk)
        torch.mul(delta[:, chunk, None], rates, out=decay).exp2_()
        torch.mul(drive[:, chunk, None], B[:, chunk, :, None], out=states)
        return decay, states

    def recur(self, before: Tensor, reverse: bool) -> Tensor:
        """Turn drives into states: states_t = decay_t states_{t-1} + drive_t; gives the last."""
        steps = self.steps[: self.count]
        for decay, state in reversed(steps) if reverse else steps:
            before = state.addcmul_(decay, before)
        return before
