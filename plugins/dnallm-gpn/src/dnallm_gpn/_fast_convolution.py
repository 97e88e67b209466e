"""Dilated convolutions over positions by far fewer multiplications, exact to rounding.

A convolution of k taps is a product of polynomials. Modulo x^N - 1 the discrete Fourier transform
takes it apart into N products of complex numbers; for real sequences half of them are the others'
conjugates, and three real products make a complex one (Gauss). Written in real numbers alone:

    y = synthesis @ ((kernel @ w) * (analysis @ x))

with about 1.5 N products where N - k + 1 outputs would take k each (Winograd 1980, Arithmetic
Complexity of Computations). Every ``*`` is a matrix product over channels. A dilated convolution is
that over each of its phases (every d-th position), block by block.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

PRODUCTS = 2**24  # of one group of blocks: 64 MiB of float32
BOOKKEEPING = 2.0  # what a multiplication of the transforms costs beside one of the products


class Circular(NamedTuple):
    """The three matrices of y[t] = sum over k of w[k] x[t + k mod points]."""

    analysis: Tensor  # (products, points), of x
    kernel: Tensor  # (products, taps), of w
    synthesis: Tensor  # (points, products), to y


class Block(NamedTuple):
    """Neighbouring outputs of one phase, and the inputs that they read."""

    outputs: slice  # of all outputs
    inputs: slice  # of all inputs
    first: int  # the first input's place on the circle; the first output stands at 0


class Plan(NamedTuple):
    """How a convolution is cut into blocks; ``points`` 0: computed directly."""

    points: int
    blocks: tuple[Block, ...]


@lru_cache(maxsize=128)
def circular(points: int, taps: int) -> Circular:
    """Discrete Fourier transforms in real numbers; float64."""
    time = torch.arange(points, dtype=torch.float64)
    even = [torch.ones(points, dtype=torch.float64)]  # frequencies whose transforms are real
    if points % 2 == 0:
        even.append(1 - 2 * (time % 2))
    analysis, kernel = list(even), [row[torch.arange(taps) % points] for row in even]
    synthesis = [row / points for row in even]
    for frequency in range(1, (points + 1) // 2):
        angle = 2 * math.pi / points * (frequency * time % points)
        cos, sin = angle.cos(), angle.sin()
        tap_cos, tap_sin = (each[torch.arange(taps) % points] for each in (cos, sin))
        # (a + ib)(c + is) from c (a + b), a (s - c), b (c + s)
        analysis += [cos - sin, cos, -sin]
        kernel += [tap_cos, tap_sin - tap_cos, tap_cos + tap_sin]
        synthesis += [2 / points * each for each in (cos - sin, -sin, -cos)]
    return Circular(torch.stack(analysis), torch.stack(kernel), torch.stack(synthesis, 1))


def products(points: int) -> int:
    """How many real products ``circular`` takes."""
    return (3 * points - 1) // 2


@lru_cache(maxsize=512)
def plan(
    inputs: int, outputs: int, offset: int, taps: int, dilation: int, channels: int, fast: bool
) -> Plan:
    """The cheapest way to y[o] = sum over k of w[k] x[o + offset + k dilation], x zero outside.

    Costs are multiplications a channel of input and output; ``fast`` False: the direct way.
    """
    best, cheapest = Plan(0, ()), float(outputs * taps * channels)
    phase = -(-outputs // dilation)  # outputs of the longest
    for cuts in range(1, phase + 1) if fast else ():
        size = -(-phase // cuts)
        if cuts > 1 and size == -(-phase // (cuts - 1)):
            continue
        if cuts > 1 and size < taps // 2:
            break
        points, blocks = _blocks(inputs, outputs, offset, taps, dilation, size)
        if points < taps:
            continue
        transforms = 2 * points * BOOKKEEPING
        cost = len(blocks) * products(points) * (channels + transforms)
        if cost < cheapest:
            best, cheapest = Plan(points, blocks), cost
    return best


def _blocks(
    inputs: int, outputs: int, offset: int, taps: int, dilation: int, size: int
) -> tuple[int, tuple[Block, ...]]:
    """Blocks of ``size`` outputs, and how many points keep them free of aliases."""
    found, points = [], 0
    for phase in range(min(dilation, outputs)):
        count = -(-(outputs - phase) // dilation)
        for begin in range(0, count, size):
            wanted = min(size, count - begin)
            out = phase + begin * dilation
            start = out + offset  # the input under the first tap of the first output
            first = max(0, -(start // dilation))
            last = min(wanted + taps - 2, (inputs - 1 - start) // dilation)
            if last < first:
                continue  # it reads nothing but zeros
            end = out + (wanted - 1) * dilation + 1
            found.append(
                Block(
                    slice(out, end, dilation),
                    slice(start + first * dilation, start + last * dilation + 1, dilation),
                    first,
                )
            )
            # what these inputs give beyond the wanted outputs must not fall back onto them
            points = max(points, last + 1, wanted + taps - 1 - first)
    return points, tuple(found)


class FastConvolution:
    """One convolution's weights, prepared for one number of inputs and outputs.

    ``offset``: where the first output's first tap lies on the inputs; beyond them stand zeros.
    """

    def __init__(self, convolution: nn.Conv1d, inputs: int, outputs: int, offset: int) -> None:
        weight = convolution.weight.detach()
        self.convolution, self.offset, self.outputs = convolution, offset, outputs
        (taps,), (dilation,) = convolution.kernel_size, convolution.dilation
        fast = convolution.groups == 1 and weight.dtype in (torch.float32, torch.float64)
        channels = convolution.in_channels
        self.plan = plan(inputs, outputs, offset, taps, dilation, channels, fast)
        if self.plan.points:
            matrices = circular(self.plan.points, taps)
            self.analysis, kernel, self.synthesis = (each.to(weight) for each in matrices)
            by_tap = weight.permute(2, 0, 1).reshape(taps, -1)
            self.kernel = (kernel @ by_tap).view(-1, *weight.shape[:2])  # (products, out, in)
            self.room = weight.new_empty(2, PRODUCTS)

    def __call__(self, x: Tensor) -> Tensor:
        """(inputs, rows, channels) to (outputs, rows, channels), without the convolution's bias."""
        blocks = self.plan.blocks
        if not self.plan.points:
            return self._direct(x)
        rows, width = x[0].numel(), x.shape[2]
        y = x.new_empty(self.outputs, *x.shape[1:])
        if sum(len(y[block.outputs]) for block in blocks) < len(y):
            y.zero_()  # some outputs read nothing but zeros
        together = max(1, PRODUCTS // (len(self.analysis) * rows))
        for some in (blocks[at : at + together] for at in range(0, len(blocks), together)):
            shape = (len(self.analysis), len(some), rows)
            taken, made = (_within(each, shape) for each in self.room)
            for number, block in enumerate(some):
                inputs = x[block.inputs].flatten(1)
                columns = self.analysis[:, block.first : block.first + len(inputs)]
                torch.mm(columns, inputs, out=taken[:, number])
            torch.bmm(
                taken.view(len(taken), -1, width),
                self.kernel.transpose(1, 2),
                out=made.view(len(made), -1, width),
            )
            for number, block in enumerate(some):
                outputs = y[block.outputs].flatten(1)
                torch.mm(self.synthesis[: len(outputs)], made[:, number], out=outputs)
        return y

    def _direct(self, x: Tensor) -> Tensor:
        convolution = self.convolution
        reach = convolution.dilation[0] * (convolution.kernel_size[0] - 1)
        behind = self.offset + self.outputs + reach - len(x)
        x = functional.pad(x.permute(1, 2, 0), (-self.offset, behind))
        y = functional.conv1d(
            x, convolution.weight, None, dilation=convolution.dilation, groups=convolution.groups
        )
        return y.permute(2, 0, 1)


def _within(room: Tensor, shape: tuple[int, ...]) -> Tensor:
    """The beginning of ``room`` as ``shape``; memory of its own where that is too large."""
    size = math.prod(shape)
    return (room[:size] if size <= len(room) else room.new_empty(size)).view(shape)
