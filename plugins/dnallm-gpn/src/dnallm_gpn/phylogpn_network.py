"""PhyloGPN's network: from a sequence to the log-rates of a substitution model at each base.

Albors, Li, Benegas, Ye, Song (2025), RECOMB, 10.1007/978-3-031-90252-9_7. Bottleneck blocks of
ByteNet without padding, with convolutions that commute with reverse complementation: channel c of a
sequence and channel -c of its reverse complement mean the same. The four outputs are the
unnormalised logarithms of the rates of Felsenstein's F81 model, in the order A C G T.

Its first release normalises over channels *and* positions (``norm = "group"``), the present one over
the channels of each position (``"layer"``); only the checkpoint's keys tell which it is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel
from transformers import initialization as init

from ._dilated import real_positions
from ._output import NetworkOutput

COMPLEMENT = (3, 2, 1, 0, 4, 5)  # of the ids A0 C1 G2 T3 N4 -5


class PhyloGPNConfig(PreTrainedConfig):
    """Settings under their authors' names, and ``norm``, which the keys tell."""

    model_type = "phylogpn"

    vocab_size: int = 6
    outer_dim: int = 960
    inner_dim: int = 480
    kernel_size: int = 5
    num_stacks: int = 20
    stack_size: int = 2
    norm: str = "layer"
    tie_word_embeddings: bool = False


def symmetric_convolution(weight: Tensor) -> Tensor:
    """Mean of a kernel (out, in, width) and its mirror in all three: what commutes with reversal."""
    return (weight + weight.flip(0, 1, 2)) / 2


def symmetric_bias(bias: Tensor) -> Tensor:
    """Mean of a bias (out,) and its mirror."""
    return (bias + bias.flip(0)) / 2


def symmetric_embedding(weight: Tensor) -> Tensor:
    """Mean of an embedding (6, width) and that of the complements with its channels mirrored."""
    return (weight + weight[list(COMPLEMENT)].flip(1)) / 2


class SymmetricConvolution(nn.Conv1d):
    """A convolution over (batch, length, width) without padding, equal to its own mirror.

    The weights held are symmetric already; in training they are made so again before use, which
    makes their gradient symmetric too, and so they stay.
    """

    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 1, dilation: int = 1) -> None:
        super().__init__(inputs, outputs, kernel_size, dilation=dilation)
        self.reach = dilation * (kernel_size - 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, length, inputs) to (batch, length - reach, outputs)."""
        weight: Tensor = self.weight
        bias: Tensor = self.bias
        if self.training:
            weight, bias = symmetric_convolution(weight), symmetric_bias(bias)
        if self.kernel_size == (1,):
            return functional.linear(x, weight[..., 0], bias)
        y = functional.conv1d(x.transpose(1, 2), weight, bias, dilation=self.dilation)
        return y.transpose(1, 2)


class PositionNorm(nn.LayerNorm):
    """Layer norm over the channels of each position; padding cannot reach it."""

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(batch, length, width) to the same."""
        return super().forward(x)


class RowNorm(nn.LayerNorm):
    """One mean and one variance for all channels and positions of a row (GroupNorm of one group).

    They are taken over the positions that are ``real`` (batch, length, 1), so that rows of several
    lengths can share a batch and each comes out as it would alone.
    """

    def forward(self, x: Tensor, real: Tensor | None = None) -> Tensor:
        """(batch, length, width) to the same."""
        if real is None:
            normed = functional.layer_norm(x, x.shape[1:], eps=self.eps)
            return normed * self.weight + self.bias
        count = (real.sum((1, 2), keepdim=True) * x.shape[2]).clamp(min=1)
        mean = (x * real).sum((1, 2), keepdim=True) / count
        centred = (x - mean) * real
        variance = centred.square().sum((1, 2), keepdim=True) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class PhyloGPNBlock(nn.Module):
    """Norm and GELU before each of: 1x1 down, dilated convolution, 1x1 up; a trimmed residual."""

    def __init__(self, config: PhyloGPNConfig, dilation: int) -> None:
        super().__init__()
        outer, inner = config.outer_dim, config.inner_dim
        norm = RowNorm if config.norm == "group" else PositionNorm
        self.norm1 = norm(outer)
        self.conv1 = SymmetricConvolution(outer, inner)
        self.norm2 = norm(inner)
        self.conv2 = SymmetricConvolution(inner, inner, config.kernel_size, dilation)
        self.norm3 = norm(inner)
        self.conv3 = SymmetricConvolution(inner, outer)

    def forward(self, x: Tensor, real: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(batch, length, outer) to (batch, length - reach, outer), and which of those are real."""
        y = self.conv1(functional.gelu(self.norm1(x, real)))
        y = self.conv2(functional.gelu(self.norm2(y, real)))
        trimmed = self.conv2.reach
        if real is not None:
            real = real[:, trimmed:] * real[:, : real.shape[1] - trimmed]
        y = self.conv3(functional.gelu(self.norm3(y, real)))
        left = trimmed // 2
        return y + x[:, left : x.shape[1] - (trimmed - left)], real


class PhyloGPNModel(PreTrainedModel):
    """Ids (batch, length) to log-rates (batch, length - reach, 4) towards A, C, G, T.

    Row i stands for input position ``i + receptive_field()[0]``.
    """

    config_class = PhyloGPNConfig
    base_model_prefix = ""
    main_input_name = "input_ids"

    def __init__(self, config: PhyloGPNConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.outer_dim)
        schedule = [config.kernel_size**step for step in range(config.stack_size)]
        schedule *= config.num_stacks
        self.blocks = nn.ModuleList([PhyloGPNBlock(config, dilation) for dilation in schedule])
        self.reach = sum(dilation * (config.kernel_size - 1) for dilation in schedule)
        norm = RowNorm if config.norm == "group" else PositionNorm
        self.output_norm = norm(config.outer_dim)
        self.output_conv = SymmetricConvolution(config.outer_dim, 4)
        self.post_init()

    def receptive_field(self) -> tuple[int, int]:
        """Positions to the left and right that an output depends on."""
        return self.reach // 2, self.reach - self.reach // 2

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool | None = False,
        **_: object,
    ) -> NetworkOutput:
        """See ``Model.module`` of the core; every output, hidden states too, has one row a log-rate.

        An output row is real where all the input that it depends on is.
        """
        if input_ids.shape[1] <= self.reach:
            raise ValueError(
                f"PhyloGPN reads {self.reach + 1} positions for one output; the input has "
                f"{input_ids.shape[1]}."
            )
        weight = self.embedding.weight
        x = functional.embedding(
            input_ids, symmetric_embedding(weight) if self.training else weight
        )  # (batch, length, outer)
        real: Tensor | None = None
        if self.config.norm == "group":
            real = real_positions(attention_mask, x.dtype)
        states = [x]
        for block in self.blocks:
            x, real = block(x, real)
            if output_hidden_states:
                states.append(x)
        x = states[-1] = self.output_norm(x, real)
        kept = tuple(_middle(each, x.shape[1]) for each in states) if output_hidden_states else None
        return NetworkOutput.of(x, self.output_conv(functional.gelu(x)), None, kept)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, SymmetricConvolution):
            init.copy_(module.weight, symmetric_convolution(module.weight))
            init.copy_(module.bias, symmetric_bias(module.bias))
        elif isinstance(module, nn.Embedding):
            init.copy_(module.weight, symmetric_embedding(module.weight))


def _middle(x: Tensor, length: int) -> Tensor:
    """The ``length`` middle positions of (batch, more, width)."""
    start = (x.shape[1] - length) // 2
    return x[:, start : start + length]
