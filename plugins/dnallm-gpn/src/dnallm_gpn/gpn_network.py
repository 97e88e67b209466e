"""GPN's second network (``model_type`` GPN), in which gpn-animal-promoter is published.

One class of its authors' with a choice of encoders: pre-norm dilated convolutions (``convnet``), the
bottleneck blocks of ByteNet (``bytenet``; ``slim`` halves the bottleneck) or RoFormer; then a final
norm and a head. Benegas, Eraslan, Song (2025), bioRxiv 10.1101/2025.02.11.637758.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from transformers.models.roformer.modeling_roformer import RoFormerPreTrainedModel

from ._dilated import (
    DilatedConvolution,
    DilatedLayer,
    OneHotEmbedding,
    dilations,
    reach,
    real_positions,
)
from ._output import NetworkOutput
from ._roformer import AlignedRoFormerConfig, RoFormerStack


class GPNConfig(AlignedRoFormerConfig):
    """Settings under their authors' names; the defaults are those of the authors' class."""

    model_type = "GPN"

    vocab_size: int = 7
    embedding: str = "one_hot"
    encoder: str = "convnet"
    num_hidden_layers: int = 25
    hidden_size: int = 512
    intermediate_size: int = 2048
    hidden_dropout_prob: float | int = 0.0
    bias: bool = False
    tie_word_embeddings: bool = False
    mlm_head_transform: bool = True
    slim: bool = False
    first_kernel_size: int = 9
    rest_kernel_size: int = 5
    dilation_double_every: int = 1
    dilation_max: int = 9999
    dilation_cycle: int = 8
    dilation_base: int = 2
    depthwise: bool = False
    has_head: bool = True


class PreNormLayer(DilatedLayer):
    """``x += linear(gelu(convolution(norm(x))))``, then a feed-forward block."""

    def __init__(self, config: GPNConfig, kernel_size: int, dilation: int, groups: int) -> None:
        super().__init__()
        width, bias = config.hidden_size, config.bias
        self.convolution_norm = nn.LayerNorm(width, bias=bias)
        self.convolution = DilatedConvolution(
            width, kernel_size, dilation, bias=bias, groups=groups
        )
        self.linear = nn.Linear(width, width, bias=bias)
        self.feed_forward_norm = nn.LayerNorm(width, bias=bias)
        self.feed_forward_in = nn.Linear(width, config.intermediate_size, bias=bias)
        self.feed_forward_out = nn.Linear(config.intermediate_size, width, bias=bias)

    def before(self, x: Tensor) -> Tensor:
        """The normed stream."""
        return self.convolution_norm(x)

    def after(self, x: Tensor, convolved: Tensor) -> Tensor:
        """Both residual branches."""
        x = x + self.linear(functional.gelu(convolved))
        hidden = functional.gelu(self.feed_forward_in(self.feed_forward_norm(x)))
        return x + self.feed_forward_out(hidden)


class ByteNetLayer(DilatedLayer):
    """Norm and GELU before each of: linear down, dilated convolution, linear up; one residual."""

    def __init__(self, config: GPNConfig, kernel_size: int, dilation: int, groups: int) -> None:
        super().__init__()
        width, bias = config.hidden_size, config.bias
        inner = width // 2 if config.slim else width
        self.norm_in = nn.LayerNorm(width, bias=bias)
        self.linear_in = nn.Linear(width, inner, bias=bias)
        self.norm_middle = nn.LayerNorm(inner, bias=bias)
        self.convolution = DilatedConvolution(
            inner, kernel_size, dilation, bias=bias, groups=groups
        )
        self.norm_out = nn.LayerNorm(inner, bias=bias)
        self.linear_out = nn.Linear(inner, width, bias=bias)

    def before(self, x: Tensor) -> Tensor:
        """Down to the bottleneck."""
        x = self.linear_in(functional.gelu(self.norm_in(x)))
        return functional.gelu(self.norm_middle(x))

    def after(self, x: Tensor, convolved: Tensor) -> Tensor:
        """Back up, and the residual."""
        return x + self.linear_out(functional.gelu(self.norm_out(convolved)))


class MaskedHead(nn.Module):
    """Optionally linear, GELU and norm; then the decoder to the vocabulary."""

    def __init__(self, config: GPNConfig) -> None:
        super().__init__()
        width, bias = config.hidden_size, config.bias
        self.transform: nn.Module = nn.Identity()
        if config.mlm_head_transform:
            self.transform = nn.Sequential(
                nn.Linear(width, width, bias=bias), nn.GELU(), nn.LayerNorm(width, bias=bias)
            )
        self.decoder = nn.Linear(width, config.vocab_size, bias=bias)

    def forward(self, states: Tensor) -> Tensor:
        """(…, width) to (…, vocabulary)."""
        return self.decoder(self.transform(states))


class GPNForMaskedLM(RoFormerPreTrainedModel):
    """(batch, length) ids to logits (batch, length, vocabulary) of each position's own base."""

    config_class = GPNConfig
    base_model_prefix = ""
    main_input_name = "input_ids"

    def __init__(self, config: GPNConfig) -> None:
        super().__init__(config)
        if config.embedding == "embedding":
            self.embedding: nn.Module = nn.Embedding(config.vocab_size, config.hidden_size)
        else:
            self.embedding = OneHotEmbedding(
                config.vocab_size,
                config.hidden_size,
                config.aux_features_vocab_size,
                config.n_aux_features,
            )
        self.layers = nn.ModuleList()
        self.encoder = RoFormerStack(config) if config.encoder == "roformer" else None
        if self.encoder is None:
            self.layers.extend(_layers(config))
        self.final_norm = nn.LayerNorm(config.hidden_size, bias=config.bias)
        self.head = MaskedHead(config) if config.has_head else None
        self.post_init()

    def embed(self, input_ids: Tensor, aux_features: Tensor | None = None) -> Tensor:
        """(batch, length) to (batch, length, width)."""
        if isinstance(self.embedding, nn.Embedding):
            return self.embedding(input_ids)
        return self.embedding(input_ids, aux_features, self.dtype)

    def receptive_field(self) -> tuple[int, int] | None:
        """Positions to the left and right that an output depends on; None where it is all of them."""
        return None if self.encoder is not None else reach(self.layers)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        aux_features: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = False,
        **_: object,
    ) -> NetworkOutput:
        """See ``Model.module`` of the core; positions with ``attention_mask`` 0 count as outside."""
        x = self.embed(input_ids, aux_features)  # (batch, length, width)
        states = [x]
        if self.encoder is not None:
            x, states, _ = self.encoder(x, attention_mask)
        else:
            real = real_positions(attention_mask, x.dtype)
            for layer in self.layers:
                x = layer(x, real)
                if output_hidden_states:
                    states.append(x)
        x = states[-1] = self.final_norm(x)
        logits = None if self.head is None else self.head(x)
        return NetworkOutput.of(x, logits, labels, tuple(states) if output_hidden_states else None)


def _layers(config: GPNConfig) -> list[DilatedLayer]:
    """The convolutional encoders: the first layer has a kernel of its own, and is never depthwise."""
    schedule = dilations(
        config.num_hidden_layers,
        config.dilation_base,
        config.dilation_cycle,
        config.dilation_double_every,
        config.dilation_max,
    )
    layer = ByteNetLayer if config.encoder == "bytenet" else PreNormLayer
    return [
        layer(
            config,
            config.rest_kernel_size if i else config.first_kernel_size,
            dilation,
            config.hidden_size if config.depthwise and i else 1,
        )
        for i, dilation in enumerate(schedule)
    ]
