"""One masked base after another at the cost of what each of them changes.

Masking position i changes, layer by layer, a widening stretch around i; the logits at i read, layer
by layer, a narrowing one. Only where the two meet must anything be computed anew; all else is the
unmasked sequence's, computed once. The numbers are those of a whole forward pass for each position,
to rounding: nothing is approximated.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from ._dilated import DilatedLayer

SEGMENT = 1024  # positions that share one pass over the unmasked sequence
ELEMENTS = 2**25  # of float32 in the widest stretch of one batch: 128 MiB


class Stretch(NamedTuple):
    """How far to the left and to the right of a position."""

    left: int
    right: int

    @property
    def width(self) -> int:
        """Positions, the one in the middle included."""
        return self.left + 1 + self.right


class Unmasked(NamedTuple):
    """One layer's input for the unmasked sequence over [start, start + length), zero beyond its ends."""

    start: int
    stream: Tensor  # (length, width)
    read: Tensor  # (length, width of the convolution): ``before`` of it


def masked_logits(network: Any, input_ids: Tensor, positions: Tensor, mask_id: int) -> Tensor:
    """Logits (positions, vocabulary) at each of ``positions``, that one alone being ``mask_id``.

    ``network``: an ``embed``, a list ``layers`` of DilatedLayer, a ``final_norm`` and a ``head``;
    ``input_ids`` (tokens,), the whole row: beyond it the convolutions see zeros.
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
        (after.width + layer.convolution.reach) * max(each.stream.shape[1], each.read.shape[1])
        for layer, after, each in zip(layers, active[1:], unmasked, strict=True)
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
    for layer, need, after in zip(layers, needed[1:], active[1:], strict=True):
        convolution = layer.convolution
        right = convolution.reach - convolution.left
        read = layer.before(stream)
        low = first - after.left - convolution.left  # what the active stretches will look at
        high = last + 1 + after.right + right
        kept.append(
            Unmasked(low, _span(stream, start, low, high)[0], _span(read, start, low, high)[0])
        )
        next_start, next_end = inside(need)
        seen = _span(read, start, next_start - convolution.left, next_end + right)
        stream = layer.after(
            stream[:, next_start - start : next_end - start], convolution.valid(seen)
        )
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
    x = mask.expand(len(positions), -1, -1)  # (positions, active width, width)
    for layer, base, now, after in zip(layers, unmasked, active[:-1], active[1:], strict=True):
        convolution = layer.convolution
        read = layer.before(x)
        read = read * _inside(positions, now, length).to(read.dtype)
        wide = Stretch(
            after.left + convolution.left,
            after.right + convolution.reach - convolution.left,
        )
        seen = _windows(base.read, base.start, positions, wide)
        offset = wide.left - now.left
        seen[:, offset : offset + now.width] = read
        stream = _windows(base.stream, base.start, positions, after)
        _overlay(stream, after, x, now)
        x = layer.after(stream, convolution.valid(seen))
    return network.head(network.final_norm(x))[:, 0]


def _inside(positions: Tensor, stretch: Stretch, length: int) -> Tensor:
    """(positions, width, 1): which places of each stretch lie on the sequence."""
    steps = torch.arange(-stretch.left, stretch.right + 1, device=positions.device)
    places = positions[:, None] + steps
    return ((places >= 0) & (places < length))[..., None]


def _windows(x: Tensor, start: int, positions: Tensor, stretch: Stretch) -> Tensor:
    """(positions, width of stretch, channels) out of ``x`` (length, channels) from ``start`` on."""
    steps = torch.arange(-stretch.left, stretch.right + 1, device=positions.device)
    return x[positions[:, None] + steps - start]


def _overlay(onto: Tensor, target: Stretch, x: Tensor, source: Stretch) -> None:
    """Write ``x`` over the places that both stretches hold, in place."""
    left, right = min(target.left, source.left), min(target.right, source.right)
    span = left + 1 + right
    from_ = source.left - left
    to = target.left - left
    onto[:, to : to + span] = x[:, from_ : from_ + span]
