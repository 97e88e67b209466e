"""GPN's first network (``model_type`` ConvNet), in which gpn-brassicales is published.

Benegas, Batra, Song (2023), PNAS 120:e2311219120, 10.1073/pnas.2311219120. A one-hot sequence goes
through residual layers of one dilated convolution and one linear map, each followed by GELU and a
layer norm *before* it is added; there is no final norm.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig, PreTrainedModel

from ._dilated import (
    DilatedConvolution,
    DilatedLayer,
    OneHotEmbedding,
    dilations,
    reach,
    real_positions,
)
from ._output import NetworkOutput


class ConvNetConfig(PreTrainedConfig):
    """Settings under their authors' names; the defaults are those of the authors' class."""

    model_type = "ConvNet"

    vocab_size: int = 7
    hidden_size: int = 512
    n_layers: int = 25
    kernel_size: int = 9
    dilation_double_every: int = 1
    dilation_max: int = 32
    dilation_cycle: int = 6
    dilation_base: int = 2
    initializer_range: float = 0.02
    n_aux_features: int = 0
    aux_features_vocab_size: int | None = 5
    has_head: bool = True
    tie_word_embeddings: bool = False


class ConvNetLayer(DilatedLayer):
    """``x += norm(gelu(convolution(x)))``, then ``x += norm(gelu(linear(x)))``."""

    def __init__(self, config: ConvNetConfig, dilation: int) -> None:
        super().__init__()
        width = config.hidden_size
        self.convolution = DilatedConvolution(width, config.kernel_size, dilation, bias=True)
        self.convolution_norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)
        self.linear_norm = nn.LayerNorm(width)

    def before(self, x: Tensor) -> Tensor:
        """The convolution reads the stream itself."""
        return x

    def after(self, x: Tensor, convolved: Tensor) -> Tensor:
        """Both residual branches."""
        x = x + self.convolution_norm(functional.gelu(convolved))
        return x + self.linear_norm(functional.gelu(self.linear(x)))


class ConvNetHead(nn.Module):
    """Linear, GELU, layer norm, linear: (…, width) to (…, vocabulary)."""

    def __init__(self, config: ConvNetConfig) -> None:
        super().__init__()
        self.linear = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)

    def forward(self, states: Tensor) -> Tensor:
        """Logits over the vocabulary."""
        return self.decoder(self.norm(functional.gelu(self.linear(states))))


class ConvNetForMaskedLM(PreTrainedModel):
    """(batch, length) ids to logits (batch, length, vocabulary) of each position's own base."""

    config_class = ConvNetConfig
    base_model_prefix = ""
    main_input_name = "input_ids"

    def __init__(self, config: ConvNetConfig) -> None:
        super().__init__(config)
        self.embedding = OneHotEmbedding(
            config.vocab_size,
            config.hidden_size,
            config.aux_features_vocab_size,
            config.n_aux_features,
        )
        schedule = dilations(
            config.n_layers,
            config.dilation_base,
            config.dilation_cycle,
            config.dilation_double_every,
            config.dilation_max,
        )
        self.layers = nn.ModuleList([ConvNetLayer(config, dilation) for dilation in schedule])
        self.head = ConvNetHead(config) if config.has_head else None
        self.post_init()

    def embed(self, input_ids: Tensor, aux_features: Tensor | None = None) -> Tensor:
        """(batch, length) to (batch, length, width)."""
        return self.embedding(input_ids, aux_features, self.dtype)

    def final_norm(self, states: Tensor) -> Tensor:
        """Nothing: this network has no final norm."""
        return states

    def receptive_field(self) -> tuple[int, int]:
        """Positions to the left and right that an output depends on."""
        return reach(self.layers)

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
        real = real_positions(attention_mask, x.dtype)
        states = [x]
        for layer in self.layers:
            x = layer(x, real)
            if output_hidden_states:
                states.append(x)
        logits = None if self.head is None else self.head(x)
        return NetworkOutput.of(x, logits, labels, tuple(states) if output_hidden_states else None)
