"""Stacks of dilated convolutions over one-hot or learned embeddings: what GPN's networks share.

Every layer is the same three steps: something at each position (``before``), a dilated convolution
over positions, something at each position again (``after``). Written so, one forward serves all
layouts, padding can be kept out exactly, and ``_cone.py`` can redo only what one changed base changes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class DilatedConvolution(nn.Conv1d):
    """A "same" convolution over (batch, length, width), zeros beyond the ends."""

    def __init__(
        self, width: int, kernel_size: int, dilation: int, *, bias: bool, groups: int = 1
    ) -> None:
        super().__init__(width, width, kernel_size, dilation=dilation, bias=bias, groups=groups)
        self.reach = dilation * (kernel_size - 1)  # how far one output looks, both sides together
        self.left = self.reach // 2

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, width) to the same shape."""
        return self.valid(functional.pad(x, (0, 0, self.left, self.reach - self.left)))

    def valid(self, x: Tensor) -> Tensor:
        """(batch, length, width) to (batch, length - reach, width): no zeros added."""
        weight, bias = self.weight, self.bias
        y = functional.conv1d(
            x.transpose(1, 2), weight, bias, dilation=self.dilation, groups=self.groups
        )
        return y.transpose(1, 2)


class DilatedLayer(nn.Module):
    """``x`` to ``after(x, convolution(before(x)))``; subclasses say what the two steps are."""

    convolution: DilatedConvolution

    def before(self, x: Tensor) -> Tensor:
        """What the convolution reads, position by position."""
        raise NotImplementedError

    def after(self, x: Tensor, convolved: Tensor) -> Tensor:
        """The layer's output from its input and what the convolution gave, position by position."""
        raise NotImplementedError

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(batch, length, width) to the same; ``real`` (batch, length, 1) is 0 at padding.

        Beyond a row's ends the convolution sees zeros, so padding is made zero where it reads.
        """
        read = self.before(x)
        return self.after(x, self.convolution(read if real is None else read * real))


class OneHotEmbedding(nn.Module):
    """Ids and aligned species as ones in fixed channels: there is nothing to learn.

    Channel k is id k of the target; behind the target's vocabulary, species s with id k sets channel
    ``vocab_size + aux_features_vocab_size * s + k``; the rest is zero.
    """

    def __init__(
        self, vocab_size: int, width: int, aux_vocab_size: int | None, n_aux_features: int
    ) -> None:
        super().__init__()
        self.vocab_size, self.width = vocab_size, width
        self.aux_vocab_size, self.n_aux_features = aux_vocab_size, n_aux_features

    def forward(self, input_ids: Tensor, aux_features: Tensor | None, dtype: torch.dtype) -> Tensor:
        """(batch, length) and (batch, length, species) to (batch, length, width)."""
        x = torch.zeros(*input_ids.shape, self.width, dtype=dtype, device=input_ids.device)
        x.scatter_(2, input_ids[..., None], 1.0)
        if aux_features is None:
            return x
        channels = slice(self.vocab_size, self.vocab_size + self.n_aux_features)
        if self.aux_vocab_size is None:
            x[..., channels] = aux_features.to(dtype)
        else:
            species = functional.one_hot(aux_features.long(), self.aux_vocab_size)
            x[..., channels] = species.flatten(2).to(dtype)
        return x


def dilations(layers: int, base: int, cycle: int, every: int, largest: int) -> list[int]:
    """The dilation of each layer: ``min(largest, base ** ((i mod cycle) // every))``."""
    return [min(largest, base ** ((i % cycle) // every)) for i in range(layers)]


def reach(layers: nn.ModuleList) -> tuple[int, int]:
    """How many positions left and right of an output the stack reads."""
    convolutions = [layer.convolution for layer in layers if isinstance(layer, DilatedLayer)]
    left = sum(each.left for each in convolutions)
    return left, sum(each.reach for each in convolutions) - left


def real_positions(attention_mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """(batch, length, 1) of ones and zeros, or None where nothing is padding."""
    if attention_mask is None or bool(attention_mask.all()):
        return None
    return attention_mask[..., None].to(dtype)
