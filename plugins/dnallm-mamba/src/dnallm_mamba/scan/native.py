"""The CPU engine: ``native.c`` called from Python threads, with gradients.

A call is cut into rows of the batch and ranges of channels; each part runs in its own thread with
the interpreter's lock released. Everything is float32.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch
from torch import Tensor

from . import chunked
from .compiler import load_library
from .reference import gated

_ROW_INPUTS = ("x", "step", "A", "B", "C", "D", "mask", "before", "gate")
_ROW_SIZES = ("length", "width", "states", "first", "end", "reverse")
_ROW_GRADIENTS = ("grad_x", "grad_step", "grad_A", "grad_B", "grad_C", "grad_D")


def _pointers(*names: str) -> list[tuple[str, Any]]:
    return [(name, ctypes.c_void_p) for name in names]


def _sizes(*names: str) -> list[tuple[str, Any]]:
    return [(name, ctypes.c_int64) for name in names]


class _Row(ctypes.Structure):
    """``Row`` of native.c."""

    _fields_ = [
        *_pointers(*_ROW_INPUTS, "y", "last", "kept"),
        *_sizes("x_stride", "step_stride", "B_stride", "C_stride", "gate_stride", *_ROW_SIZES),
        *_pointers("grad_y", "grad_last", *_ROW_GRADIENTS, "grad_before"),
    ]


class _Conv(ctypes.Structure):
    """``Conv`` of native.c."""

    _fields_ = [
        *_pointers("x", "weight", "bias", "edge", "y"),
        *_sizes("x_stride", "length", "width", "taps", "reverse", "start", "stop"),
        *_pointers("grad_y", "grad_x", "grad_weight", "grad_bias"),
    ]


@cache
def library() -> ctypes.CDLL:
    """The compiled engine; ``EngineUnavailableError`` where it cannot be had."""
    return load_library()


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    edge: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """``reference.convolve``; many taps, or an edge that wants a gradient, take the plain engine."""
    wants = edge is not None and edge.requires_grad and torch.is_grad_enabled()
    if wants or weight.shape[1] > library().dnallm_convolve_most_taps():
        return chunked.convolve(x, weight, bias, edge, reverse)
    y: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
        x, weight, bias, edge, reverse
    )
    return y.to(x.dtype)


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
    """``reference.selective_scan``; more states than the kernel holds take the plain engine."""
    if A.shape[1] > library().dnallm_scan_most_states() or A.dtype == torch.float64:
        return chunked.selective_scan(x, step, A, B, C, D, mask, state, reverse, gate)
    fused = None if torch.is_grad_enabled() else gate
    y, last = _Scan.apply(  # type: ignore[no-untyped-call]
        x, step, A, B, C, D, mask, state, reverse, fused
    )
    return gated(y.to(x.dtype), gate if fused is None else None), last


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        edge: Tensor | None,
        reverse: bool,
    ) -> Tensor:
        context.save_for_backward(x, weight, bias, edge)
        context.reverse = reverse
        rows, taps = _rows(x), _packed(weight.t())
        y = torch.empty(x.shape, dtype=torch.float32)
        edges, biases = _packed(edge), _packed(bias)
        parts = [
            _conv(rows, row, taps, biases, edges, y, reverse, span)
            for row in range(x.shape[0])
            for span in _spans(x.shape[1], x.shape[0])
        ]
        _run(library().dnallm_convolve_forward, parts)
        return y

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, edge = context.saved_tensors
        rows, taps, grad_y = _rows(x), _packed(weight.t()), _packed(gradients[0])
        edges, biases = _packed(edge), _packed(bias)
        mixed, grad_x = torch.empty_like(grad_y), torch.empty_like(grad_y)
        places = [
            (row, span) for row in range(x.shape[0]) for span in _spans(x.shape[1], x.shape[0])
        ]
        grad_weight = torch.zeros(len(places), *taps.shape)
        grad_bias = torch.zeros(len(places), taps.shape[1])
        parts = []
        for index, (row, span) in enumerate(places):
            part = _conv(rows, row, taps, biases, edges, mixed, context.reverse, span)
            part.grad_y, part.grad_x = grad_y[row].data_ptr(), grad_x[row].data_ptr()
            part.grad_weight = grad_weight[index].data_ptr()
            part.grad_bias = grad_bias[index].data_ptr()
            parts.append(part)
        _run(library().dnallm_convolve_backward_mixed, parts)
        _run(library().dnallm_convolve_backward_input, parts)
        return (
            grad_x.to(x.dtype),
            grad_weight.sum(0).t().to(weight.dtype),
            None if bias is None else grad_bias.sum(0).to(bias.dtype),
            None,
            None,
        )


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
        gate: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        batch, length, width = x.shape
        call = _Call(x, step, A, B, C, D, mask, state, reverse, gate)
        y = torch.empty(batch, length, width)
        last = torch.empty(batch, width, A.shape[1])
        kept = None
        if any(context.needs_input_grad):
            chunks = -(-length // library().dnallm_scan_chunk())
            kept = torch.empty(batch, chunks, width, A.shape[1])
        parts = []
        for row in range(batch):
            for first, end in _ranges(width, batch):
                part = call.part(row, first, end)
                part.y, part.last = y[row].data_ptr(), last[row].data_ptr()
                part.kept = None if kept is None else kept[row].data_ptr()
                parts.append(part)
        _run(library().dnallm_scan_forward, parts)
        context.save_for_backward(x, step, A, B, C, D, mask, state, kept)
        context.reverse = reverse
        return y, last

    @staticmethod
    def backward(context: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        x, step, A, B, C, D, mask, state, kept = context.saved_tensors
        batch, length, width = x.shape
        states = A.shape[1]
        call = _Call(x, step, A, B, C, D, mask, state, context.reverse)
        grad_y = torch.zeros(x.shape) if gradients[0] is None else _packed(gradients[0])
        grad_last = None if gradients[1] is None else _packed(gradients[1])
        ranges = _ranges(width, batch)
        grad_x, grad_step = torch.empty(x.shape), torch.empty(x.shape)
        grad_before = torch.empty(batch, width, states)
        grad_B = torch.empty(len(ranges), batch, length, states)
        grad_C = torch.empty(len(ranges), batch, length, states)
        grad_A = torch.zeros(batch, width, states)
        grad_D = torch.zeros(batch, width)
        parts = []
        for row in range(batch):
            for index, (first, end) in enumerate(ranges):
                part = call.part(row, first, end)
                part.kept, part.grad_y = kept[row].data_ptr(), grad_y[row].data_ptr()
                part.grad_last = None if grad_last is None else grad_last[row].data_ptr()
                part.grad_x, part.grad_step = grad_x[row].data_ptr(), grad_step[row].data_ptr()
                part.grad_A, part.grad_D = grad_A[row].data_ptr(), grad_D[row].data_ptr()
                part.grad_B = grad_B[index, row].data_ptr()
                part.grad_C = grad_C[index, row].data_ptr()
                part.grad_before = grad_before[row].data_ptr()
                parts.append(part)
        _run(library().dnallm_scan_backward, parts)
        return (
            grad_x.to(x.dtype),
            grad_step.to(step.dtype),
            grad_A.sum(0).to(A.dtype),
            grad_B.sum(0).to(B.dtype),
            grad_C.sum(0).to(C.dtype),
            grad_D.sum(0).to(D.dtype),
            None,
            None if state is None else grad_before.to(state.dtype),
            None,
            None,
        )


class _Call:
    """The inputs of one scan, laid out as native.c reads them, and kept alive while it runs."""

    def __init__(
        self,
        x: Tensor,
        step: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        mask: Tensor | None,
        state: Tensor | None,
        reverse: bool,
        gate: Tensor | None = None,
    ) -> None:
        self.x, self.step, self.B, self.C = _rows(x), _rows(step), _rows(B), _rows(C)
        self.gate = None if gate is None else _rows(gate)
        self.A, self.D = _packed(A), _packed(D)
        self.mask, self.before = _packed(mask), _packed(state)
        self.reverse = reverse

    def part(self, row: int, first: int, end: int) -> _Row:
        """One batch row's channels [first, end)."""
        _, length, width = self.x.shape
        return _Row(
            x=self.x[row].data_ptr(),
            step=self.step[row].data_ptr(),
            A=self.A.data_ptr(),
            B=self.B[row].data_ptr(),
            C=self.C[row].data_ptr(),
            D=self.D.data_ptr(),
            mask=None if self.mask is None else self.mask[row].data_ptr(),
            before=None if self.before is None else self.before[row].data_ptr(),
            gate=None if self.gate is None else self.gate[row].data_ptr(),
            gate_stride=0 if self.gate is None else self.gate.stride(1),
            x_stride=self.x.stride(1),
            step_stride=self.step.stride(1),
            B_stride=self.B.stride(1),
            C_stride=self.C.stride(1),
            length=length,
            width=width,
            states=self.A.shape[1],
            first=first,
            end=end,
            reverse=int(self.reverse),
        )


def _conv(
    rows: Tensor,
    row: int,
    taps: Tensor,
    bias: Tensor | None,
    edge: Tensor | None,
    y: Tensor,
    reverse: bool,
    span: tuple[int, int],
) -> _Conv:
    return _Conv(
        x=rows[row].data_ptr(),
        weight=taps.data_ptr(),
        bias=None if bias is None else bias.data_ptr(),
        edge=None if edge is None else edge[row].data_ptr(),
        y=y[row].data_ptr(),
        x_stride=rows.stride(1),
        length=rows.shape[1],
        width=rows.shape[2],
        taps=taps.shape[0],
        reverse=int(reverse),
        start=span[0],
        stop=span[1],
    )


def _packed(tensor: Tensor | None) -> Any:
    return None if tensor is None else tensor.detach().to(torch.float32).contiguous()


def _rows(tensor: Tensor) -> Tensor:
    """``tensor`` in float32 with neighbouring channels side by side; a slice stays a slice."""
    tensor = tensor.detach().to(torch.float32)
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _ranges(width: int, batch: int) -> list[tuple[int, int]]:
    """Ranges of whole vectors of channels: as many as there are threads without a row."""
    lanes = library().dnallm_scan_lanes()
    vectors = -(-width // lanes)
    parts = min(vectors, max(1, -(-torch.get_num_threads() // batch)))
    each = -(-vectors // parts) * lanes
    return [(first, min(first + each, width)) for first in range(0, width, each)]


def _spans(length: int, batch: int) -> list[tuple[int, int]]:
    """Stretches of positions: as many as there are threads without a row."""
    parts = min(length, max(1, -(-torch.get_num_threads() // batch)))
    each = -(-length // parts)
    return [(start, min(start + each, length)) for start in range(0, length, each)]


def _run(function: Callable[..., Any], parts: Sequence[ctypes.Structure]) -> None:
    """Every part, on as many threads as PyTorch may use."""
    threads = torch.get_num_threads()
    if threads == 1 or len(parts) == 1:
        for part in parts:
            function(ctypes.byref(part))
        return
    list(_pool(threads, os.getpid()).map(lambda part: function(ctypes.byref(part)), parts))


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """One pool a process: a forked child has none of its parent's threads."""
    del process
    return ThreadPoolExecutor(threads, thread_name_prefix="dnallm-scan")
