"""One masked base after another at the cost of what each of them changes.

Masking position i changes, layer by layer, a widening stretch around i; the logits at i read, layer
by layer, a narrowing one. Only where the two meet must anything be computed anew; all else is the
unmasked sequence's, computed once. The numbers are those of a whole forward pass for each position,
to rounding: nothing is approximated. A convolution is linear, so that it need only read the change:
its answer is added to the unmasked one's.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ._dilated import DilatedLayer
from ._fast_convolution import FastConvolution

SEGMENT = 1024  # positions that share one pass over the unmasked sequence
ELEMENTS = 2**26  # of float32 in the widest stretch of one batch: 256 MiB
PIECE = 2**22  # of them on which one layer works at a time
CACHED = 2**18  # of them that go through what a layer does at each position


class Stretch(NamedTuple):
    """How far to the left and to the right of a position."""

    left: int
    right: int

    @property
    def width(self) -> int:
        """Positions, the one in the middle included."""
        return self.left + 1 + self.right


class Unmasked(NamedTuple):
    """One layer on the unmasked sequence, as far as the masked ones look; zeros beyond its ends."""

    stream: Tensor  # (length, width), its input where its output is computed anew
    stream_start: int
    read: Tensor  # (length, width of the convolution), what it reads where that is changed
    read_start: int
    convolved: Tensor  # (length, width of the convolution), over the same places as the stream


@torch.no_grad()
def masked_logits(network: Any, input_ids: Tensor, positions: Tensor, mask_id: int) -> Tensor:
    """Logits (positions, vocabulary) at each of ``positions``, that one alone being ``mask_id``.

    ``network``: an ``embed``, a list ``layers`` of DilatedLayer, a ``final_norm`` and a ``head``;
    ``input_ids`` (tokens,), the whole row: beyond it the convolutions see zeros. No gradients.
    """
    order = torch.argsort(positions)
    ordered = positions[order]
    found = []
    first = 0
    while first < len(ordered):
        last = first + int(torch.searchsorted(ordered[first:], ordered[first] + SEGMENT))
        found.append(_segment(network, input_ids, ordered[first:last], mask_id))
        first = last
    logits = torch.cat(found)
    return torch.empty_like(logits).index_copy_(0, order, logits)


def stretches(layers: list[DilatedLayer]) -> tuple[list[Stretch], list[Stretch]]:
    """For the input of every layer and the output of the last: what is needed, and what is active.

    Active is what is needed and also changed by the mask: the smaller of the two on either side.
    """
    lefts = [layer.convolution.left for layer in layers]
    rights = [layer.convolution.reach - layer.convolution.left for layer in layers]
    needed_left = [*accumulate(reversed(lefts), initial=0)][::-1]
    needed_right = [*accumulate(reversed(rights), initial=0)][::-1]
    changed_left = accumulate(rights, initial=0)  # an output reads to its right: change moves left
    changed_right = accumulate(lefts, initial=0)
    needed = [Stretch(*each) for each in zip(needed_left, needed_right, strict=True)]
    active = [
        Stretch(min(left, need.left), min(right, need.right))
        for left, right, need in zip(changed_left, changed_right, needed, strict=True)
    ]
    return needed, active


def _segment(network: Any, input_ids: Tensor, positions: Tensor, mask_id: int) -> Tensor:
    """``masked_logits`` of sorted positions near one another."""
    layers = list(network.layers)
    needed, active = stretches(layers)
    unmasked = _unmasked(network, layers, needed, active, input_ids, positions)
    widest = max(
        max(now.width, after.width) * each.stream.shape[1]
        for now, after, each in zip(active, active[1:], unmasked, strict=False)
    )
    batches = positions.split(max(1, ELEMENTS // widest))
    mask = network.embed(input_ids.new_full((1, 1), mask_id))  # (1, 1, width)
    return torch.cat(
        [_batch(network, layers, active, unmasked, each, mask, len(input_ids)) for each in batches]
    )


def _unmasked(
    network: Any,
    layers: list[DilatedLayer],
    needed: list[Stretch],
    active: list[Stretch],
    input_ids: Tensor,
    positions: Tensor,
) -> list[Unmasked]:
    """Every layer's input for the unmasked sequence, as far as the positions' stretches reach."""
    length = len(input_ids)
    first, last = int(positions[0]), int(positions[-1])

    def inside(stretch: Stretch) -> tuple[int, int]:
        return max(0, first - stretch.left), min(length, last + 1 + stretch.right)

    start, end = inside(needed[0])
    stream = network.embed(input_ids[None, start:end])  # (1, length, width)
    kept = []
    for layer, need, now, after in zip(layers, needed[1:], active, active[1:], strict=False):
        convolution = layer.convolution
        right = convolution.reach - convolution.left
        read = layer.before(stream)
        next_start, next_end = inside(need)
        seen = _span(read, start, next_start - convolution.left, next_end + right)
        convolved = convolution.valid(seen)
        low, high = first - after.left, last + 1 + after.right
        read_low, read_high = first - now.left, last + 1 + now.right
        kept.append(
            Unmasked(
                _span(stream, start, low, high)[0],
                low,
                _span(read, start, read_low, read_high)[0],
                read_low,
                _span(convolved, next_start, low, high)[0],
            )
        )
        stream = layer.after(stream[:, next_start - start : next_end - start], convolved)
        start, end = next_start, next_end
    return kept


def _span(x: Tensor, start: int, low: int, high: int) -> Tensor:
    """[low, high) of ``x`` (batch, length, width), which begins at ``start``; zeros where it is not."""
    end = start + x.shape[1]
    inner = x[:, max(low, start) - start : min(high, end) - start]
    return functional.pad(inner, (0, 0, max(0, start - low), max(0, high - end)))


def _batch(
    network: Any,
    layers: list[DilatedLayer],
    active: list[Stretch],
    unmasked: list[Unmasked],
    positions: Tensor,
    mask: Tensor,
    length: int,
) -> Tensor:
    """The masked positions' logits, each carried through the layers in a window of its own."""
    x = mask.expand(-1, len(positions), -1)  # (active width, positions, width)
    for layer, base, now, after in zip(layers, unmasked, active[:-1], active[1:], strict=True):
        changed = FastConvolution(
            layer.convolution,
            now.width,
            after.width,
            now.left - after.left - layer.convolution.left,
        )
        few = max(1, PIECE // (max(now.width, after.width) * x.shape[2]))
        y = x.new_empty(after.width, len(positions), x.shape[2])
        for at in range(0, len(positions), few):
            some = slice(at, at + few)
            places = positions[some]
            change = layer.before(x[:, some]) - _windows(
                base.read, base.read_start, places, -now.left, now.right
            )
            inside = _inside(places, now, length)
            if not inside.all():
                change *= inside.to(change.dtype)
            convolved = changed(change)
            unchanged = _windows(
                base.convolved, base.stream_start, places, -after.left, after.right
            )
            # few rows at a time: what is done at each position then stays in the processor's cache
            rows = max(1, CACHED // x[0, some].numel())
            at_row = 0
            for part in _stream(base, x[:, some], places, now, after):
                for stream in part.split(rows):
                    these = slice(at_row, at_row + len(stream))
                    y[these, some] = layer.after(stream, convolved[these] + unchanged[these])
                    at_row += len(stream)
        x = y
    return network.head(network.final_norm(x))[0]


def _inside(positions: Tensor, stretch: Stretch, length: int) -> Tensor:
    """(width, positions, 1): which places of each stretch lie on the sequence."""
    steps = torch.arange(-stretch.left, stretch.right + 1, device=positions.device)
    places = positions + steps[:, None]
    return ((places >= 0) & (places < length))[..., None]


def _windows(x: Tensor, start: int, positions: Tensor, low: int, high: int) -> Tensor:
    """(high - low + 1, positions, channels): the places ``low`` to ``high`` about each position.

    ``x`` (length, channels) begins at ``start``. Read it only: neighbours' windows may share memory.
    """
    count, width, first = len(positions), high - low + 1, int(positions[0])
    if int(positions[-1]) - first == count - 1:
        begin = first + low - start
        return x[begin : begin + width + count - 1].unfold(0, width, 1).permute(2, 0, 1)
    steps = torch.arange(low, high + 1, device=positions.device)
    return x[positions + steps[:, None] - start]


def _stream(
    base: Unmasked, x: Tensor, positions: Tensor, now: Stretch, after: Stretch
) -> list[Tensor]:
    """The masked stream over ``after`` in parts: ``x`` over ``now``, the unmasked beyond it."""

    def beyond(low: int, high: int) -> Tensor:
        return _windows(base.stream, base.stream_start, positions, low, high)

    left, right = after.left - now.left, after.right - now.right
    parts = [x[max(0, -left) : len(x) - max(0, -right)]]
    if left > 0:
        parts.insert(0, beyond(-after.left, -now.left - 1))
    if right > 0:
        parts.append(beyond(now.right + 1, after.right))
    return parts
