"""The CUDA engine: the selective scan in Triton, compiled at first use, forwards and backwards.

Chunks of positions run side by side, in three passes (the first and last read the inputs, the one
between them only what each chunk comes down to):

    ends      what a chunk alone leaves behind: a sum, as exp(A (S_end - S_t)) weighs each drive
    carry     the states between chunks, one after another
    outputs   the states inside each chunk, by an associative scan, and what is read from them

Gradients take the same three passes with time reversed. S is the running sum of time steps within
a chunk; decays are exponentials of differences and never exceed 1.

Held against the reference in Triton's interpreter, and compiled for GPUs that were not there
(benchmarks/agreement.py); it has not been timed or run on a GPU by its authors.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .reference import gated

CHUNK = 32
CHANNELS = 16


@triton.jit
def _one(out):  # type: ignore[no-untyped-def]
    tl.store(out, 1.0)


def prove(device: torch.device) -> None:
    """Build and launch the smallest of kernels; raises whatever hinders that (no compiler, no driver)."""
    out = torch.zeros(1, device=device)
    _one[(1,)](out)
    assert out.item() == 1


@triton.jit
def _later(first_decay, first_drive, second_decay, second_drive):  # type: ignore[no-untyped-def]
    return first_decay * second_decay, second_decay * first_drive + second_drive


@triton.jit
def _softplus(step):  # type: ignore[no-untyped-def]
    # log(1 + u) of a small u is u, which 1 + u has rounded: the rounding is divided out again
    u = tl.exp(-tl.abs(step))
    rounded = 1.0 + u
    kept = tl.where(rounded == 1.0, 1.0, rounded - 1.0)
    log1p = tl.where(rounded == 1.0, u, tl.log(rounded) * (u / kept))
    return tl.maximum(step, 0.0) + log1p


@triton.jit
def _positions(chunk, length, REVERSE: tl.constexpr, CHUNK: tl.constexpr):  # type: ignore[no-untyped-def]
    """Positions of a chunk in the order of time, and which of them exist."""
    t = chunk * CHUNK + tl.arange(0, CHUNK)
    there = t < length
    return (length - 1 - t if REVERSE else t), there


@triton.jit
def _following(chunk, length, REVERSE: tl.constexpr, CHUNK: tl.constexpr):  # type: ignore[no-untyped-def]
    """The position after each of a chunk's, and whether it is in the chunk and exists."""
    order = tl.arange(0, CHUNK)
    soon = chunk * CHUNK + order + 1
    there = (soon < length) & (order < CHUNK - 1)
    return (length - 1 - soon if REVERSE else soon), there


@triton.jit
def _steps(step, mask, row, at, there, channels, length, width, wide, MASKED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Time steps delta (CHUNK, CHANNELS), 0 where masked or beyond the end, and the raw steps."""
    place = (row * length + at[:, None]) * width + channels[None, :]
    raw = tl.load(step + place, mask=there[:, None] & wide[None, :], other=0.0).to(tl.float32)
    delta = tl.where(there[:, None], _softplus(raw), 0.0)
    if MASKED:
        real = tl.load(mask + row * length + at, mask=there, other=0.0)
        delta = delta * real[:, None]
    return delta, raw


@triton.jit
def _ends(  # type: ignore[no-untyped-def]
    step, value, A, side, mask, ends, sums, length, width, states, chunks,
    BACKWARDS: tl.constexpr, MASKED: tl.constexpr, REVERSE: tl.constexpr,
    CHUNK: tl.constexpr, CHANNELS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    """What one chunk adds to what passes it.

    Forwards ``value`` is x, ``side`` B: sum of exp(A (S_end - S_t)) delta_t x_t B_t, the steps after t
    summed for themselves: their difference from the whole would lose what is small. Backwards they
    are dL/dy and C: sum of exp(A S_t) dL/dy_t C_t.
    """
    chunk, block, row = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channels, n = block * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, STATES)
    wide, deep = channels < width, n < states
    at, there = _positions(chunk, length, REVERSE, CHUNK)
    delta, _ = _steps(step, mask, row, at, there, channels, length, width, wide, MASKED)
    place = (row * length + at[:, None]) * width + channels[None, :]
    drive = tl.load(value + place, mask=there[:, None] & wide[None, :], other=0.0).to(tl.float32)
    both = (row * length + at[:, None]) * states + n[None, :]
    read = tl.load(side + both, mask=there[:, None] & deep[None, :], other=0.0).to(tl.float32)
    inner = channels[:, None] * states + n[None, :]
    rates = tl.load(A + inner, mask=wide[:, None] & deep[None, :], other=0.0)
    if BACKWARDS:
        between = tl.cumsum(delta, 0)
    else:
        soon_at, soon_there = _following(chunk, length, REVERSE, CHUNK)
        later, _ = _steps(
            step, mask, row, soon_at, soon_there, channels, length, width, wide, MASKED
        )
        between = tl.cumsum(later, 0, reverse=True)
        drive = drive * delta
    weight = tl.exp(between[:, :, None] * rates[None])
    end = tl.sum(weight * drive[:, :, None] * read[:, None, :], 0)
    kept = ((row * chunks + chunk) * width + channels[:, None]) * states + n[None, :]
    tl.store(ends + kept, end, mask=wide[:, None] & deep[None, :])
    tl.store(sums + (row * chunks + chunk) * width + channels, tl.sum(delta, 0), mask=wide)


@triton.jit
def _carry(  # type: ignore[no-untyped-def]
    ends, sums, A, first, last, width, states, chunks,
    BACKWARDS: tl.constexpr, STARTED: tl.constexpr, CHANNELS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    """Replace what each chunk adds by what reaches it; leave what comes out at the end in ``last``."""
    block, row = tl.program_id(0), tl.program_id(1).to(tl.int64)
    channels, n = block * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, STATES)
    wide = channels < width
    good = wide[:, None] & (n < states)[None, :]
    inner = channels[:, None] * states + n[None, :]
    rates = tl.load(A + inner, mask=good, other=0.0)
    passing = tl.zeros((CHANNELS, STATES), dtype=tl.float32)
    if STARTED:
        passing += tl.load(first + row * width * states + inner, mask=good, other=0.0)
    for index in range(chunks):
        chunk = chunks - 1 - index if BACKWARDS else index
        kept = (row * chunks + chunk) * width * states + inner
        gained = tl.load(ends + kept, mask=good, other=0.0)
        tl.store(ends + kept, passing, mask=good)
        whole = tl.load(sums + (row * chunks + chunk) * width + channels, mask=wide, other=0.0)
        passing = tl.exp(whole[:, None] * rates) * passing + gained
    tl.store(last + row * width * states + inner, passing, mask=good)


@triton.jit
def _outputs(  # type: ignore[no-untyped-def]
    x, step, A, B, C, D, mask, before, y, length, width, states, chunks,
    MASKED: tl.constexpr, REVERSE: tl.constexpr,
    CHUNK: tl.constexpr, CHANNELS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    """y_t = C_t h_t + D x_t of one chunk, from the state before it."""
    chunk, block, row = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channels, n = block * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, STATES)
    wide, deep = channels < width, n < states
    at, there = _positions(chunk, length, REVERSE, CHUNK)
    delta, _ = _steps(step, mask, row, at, there, channels, length, width, wide, MASKED)
    inside = there[:, None] & wide[None, :]
    place = (row * length + at[:, None]) * width + channels[None, :]
    both = (row * length + at[:, None]) * states + n[None, :]
    values = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    drives = tl.load(B + both, mask=there[:, None] & deep[None, :], other=0.0).to(tl.float32)
    reads = tl.load(C + both, mask=there[:, None] & deep[None, :], other=0.0).to(tl.float32)
    inner = channels[:, None] * states + n[None, :]
    good = wide[:, None] & deep[None, :]
    rates = tl.load(A + inner, mask=good, other=0.0)
    state = tl.load(before + (row * chunks + chunk) * width * states + inner, mask=good, other=0.0)
    decay = tl.exp(delta[:, :, None] * rates[None])
    drive = (delta * values)[:, :, None] * drives[:, None, :]
    opening = (tl.arange(0, CHUNK) == 0)[:, None, None]
    drive += tl.where(opening, decay * state[None], 0.0)
    _, inner_states = tl.associative_scan((decay, drive), 0, _later)
    skip = tl.load(D + channels, mask=wide, other=0.0).to(tl.float32)
    out = tl.sum(inner_states * reads[:, None, :], 2) + skip[None, :] * values
    tl.store(y + place, out, mask=inside)


@triton.jit
def _gradients(  # type: ignore[no-untyped-def]
    x, step, A, B, C, D, mask, before, after, grad_y,
    grad_x, grad_step, grad_A, grad_B, grad_C, grad_D, length, width, states, chunks,
    MASKED: tl.constexpr, REVERSE: tl.constexpr,
    CHUNK: tl.constexpr, CHANNELS: tl.constexpr, STATES: tl.constexpr,
):  # fmt: skip
    """Every gradient of one chunk, from the state before it and the gradient that comes after it."""
    chunk, block, row = tl.program_id(0), tl.program_id(1), tl.program_id(2).to(tl.int64)
    channels, n = block * CHANNELS + tl.arange(0, CHANNELS), tl.arange(0, STATES)
    wide, deep = channels < width, n < states
    order = tl.arange(0, CHUNK)
    at, there = _positions(chunk, length, REVERSE, CHUNK)
    delta, raw = _steps(step, mask, row, at, there, channels, length, width, wide, MASKED)
    inside = there[:, None] & wide[None, :]
    place = (row * length + at[:, None]) * width + channels[None, :]
    both = (row * length + at[:, None]) * states + n[None, :]
    values = tl.load(x + place, mask=inside, other=0.0).to(tl.float32)
    flows = tl.load(grad_y + place, mask=inside, other=0.0).to(tl.float32)
    drives = tl.load(B + both, mask=there[:, None] & deep[None, :], other=0.0).to(tl.float32)
    reads = tl.load(C + both, mask=there[:, None] & deep[None, :], other=0.0).to(tl.float32)
    inner = channels[:, None] * states + n[None, :]
    good = wide[:, None] & deep[None, :]
    kept = (row * chunks + chunk) * width * states + inner
    rates = tl.load(A + inner, mask=good, other=0.0)
    state = tl.load(before + kept, mask=good, other=0.0)
    arriving = tl.load(after + kept, mask=good, other=0.0)
    decay = tl.exp(delta[:, :, None] * rates[None])
    drive = (delta * values)[:, :, None] * drives[:, None, :]
    opening = (order == 0)[:, None, None]
    _, held = tl.associative_scan(
        (decay, drive + tl.where(opening, decay * state[None], 0.0)), 0, _later
    )
    # flow_t = dL/dh_t = dL/dy_t C_t + decay_{t+1} flow_{t+1}, from the right
    soon_at, soon_there = _following(chunk, length, REVERSE, CHUNK)
    next_delta, _ = _steps(
        step, mask, row, soon_at, soon_there, channels, length, width, wide, MASKED
    )
    next_decay = tl.exp(next_delta[:, :, None] * rates[None])
    closing = (order == CHUNK - 1)[:, None, None]
    source = flows[:, :, None] * reads[:, None, :] + tl.where(closing, arriving[None], 0.0)
    _, flow = tl.associative_scan((next_decay, source), 0, _later, reverse=True)
    exponent = flow * (held - drive)  # dL/d(delta_t A): decay_t h_{t-1} is h_t less its drive
    driven = tl.sum(flow * drives[:, None, :], 2)
    delta_grad = tl.sum(exponent * rates[None], 2) + driven * values
    slope = 1.0 / (1.0 + tl.exp(-raw))
    if MASKED:
        slope *= tl.load(mask + row * length + at, mask=there, other=0.0)[:, None]
    skip = tl.load(D + channels, mask=wide, other=0.0).to(tl.float32)
    tl.store(grad_step + place, delta_grad * slope, mask=inside)
    tl.store(grad_x + place, driven * delta + skip[None, :] * flows, mask=inside)
    seen = there[:, None] & deep[None, :]
    tl.atomic_add(grad_B + both, tl.sum(flow * (delta * values)[:, :, None], 1), mask=seen)
    tl.atomic_add(grad_C + both, tl.sum(flows[:, :, None] * held, 1), mask=seen)
    tl.atomic_add(grad_A + inner, tl.sum(exponent * delta[:, :, None], 0), mask=good)
    tl.atomic_add(grad_D + channels, tl.sum(flows * values, 0), mask=wide)


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
    """``reference.selective_scan`` on a GPU; the recurrence is float32 whatever the inputs are."""
    y, last = _Scan.apply(x, step, A, B, C, D, mask, state, reverse)  # type: ignore[no-untyped-call]
    return gated(y.to(x.dtype), gate), last


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        step: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        mask: Tensor | None,
        state: Tensor | None,
        reverse: bool,
    ) -> tuple[Tensor, Tensor]:
        call = _Call(x, step, A, B, C, D, mask, reverse)
        before, last = call.passed(call.x, call.B, state, backwards=False)
        y = call.like(call.x)
        call.launch(_outputs, call.D, call.mask, before, y, inputs=True)
        context.save_for_backward(x, step, A, B, C, D, mask, state, before)
        context.reverse = reverse
        return y, last

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, step, A, B, C, D, mask, state, before = context.saved_tensors
        call = _Call(x, step, A, B, C, D, mask, context.reverse)
        given, grad_last = gradients
        grad_y = torch.zeros_like(call.x) if given is None else given.contiguous()
        after, grad_state = call.passed(grad_y, call.C, grad_last, backwards=True)
        grads = [call.like(each) for each in (call.x, call.step)]
        grads += [call.like(each).zero_() for each in (call.A, call.B, call.C, call.D)]
        call.launch(_gradients, call.D, call.mask, before, after, grad_y, *grads, inputs=True)
        typed = [
            grad.to(each.dtype) for grad, each in zip(grads, (x, step, A, B, C, D), strict=True)
        ]
        return (*typed, None, None if state is None else grad_state.to(state.dtype), None)


class _Call:
    """The inputs of one scan, packed, and how its kernels are launched."""

    def __init__(
        self,
        x: Tensor,
        step: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        mask: Tensor | None,
        reverse: bool,
    ) -> None:
        self.x, self.step, self.B, self.C = (each.contiguous() for each in (x, step, B, C))
        self.A, self.D = A.float().contiguous(), D.contiguous()
        self.masked = mask is not None
        self.mask = self.x if mask is None else mask.float().contiguous()
        self.batch, self.length, self.width = x.shape
        self.states = A.shape[1]
        self.chunks = triton.cdiv(self.length, CHUNK)
        self.blocks = triton.cdiv(self.width, CHANNELS)
        self.sizes = {"CHANNELS": CHANNELS, "STATES": triton.next_power_of_2(self.states)}
        self.order = {"MASKED": self.masked, "REVERSE": reverse, "CHUNK": CHUNK}

    def like(self, tensor: Tensor) -> Tensor:
        """An empty float32 tensor of that shape."""
        return torch.empty_like(tensor, dtype=torch.float32)

    def launch(self, kernel: Any, *arguments: Any, inputs: bool) -> None:
        """One program a chunk, block of channels and row."""
        leading = (self.x, self.step, self.A, self.B, self.C) if inputs else ()
        grid = (self.chunks, self.blocks, self.batch)
        numbers = (self.length, self.width, self.states, self.chunks)
        kernel[grid](*leading, *arguments, *numbers, **self.order, **self.sizes, num_warps=8)

    def passed(
        self, value: Tensor, side: Tensor, first: Tensor | None, *, backwards: bool
    ) -> tuple[Tensor, Tensor]:
        """What reaches each chunk (batch, chunks, width, states), and what leaves the last one."""
        size = (self.batch, self.chunks, self.width)
        ends = torch.empty(*size, self.states, device=value.device)
        sums = torch.empty(size, device=value.device)
        numbers = (self.length, self.width, self.states, self.chunks)
        _ends[(self.chunks, self.blocks, self.batch)](
            self.step, value, self.A, side, self.mask, ends, sums, *numbers,
            BACKWARDS=backwards, **self.order, **self.sizes, num_warps=8,
        )  # fmt: skip
        last = torch.empty(self.batch, self.width, self.states, device=value.device)
        start = ends if first is None else first.float().contiguous()
        _carry[(self.blocks, self.batch)](
            ends, sums, self.A, start, last, self.width, self.states, self.chunks,
            BACKWARDS=backwards, STARTED=first is not None, **self.sizes, num_warps=4,
        )  # fmt: skip
        return ends, last
