"""StripedHyena 1 and 2: gated convolutions with attention between, in plain PyTorch.

Poli et al. 2023, StripedHyena; Nguyen et al. 2024, Evo (Science 386, eado9336); Ku et al. 2025,
convolutional multi-hybrid models (arXiv 2503.01868); Brixi et al. 2025, Evo 2. Module names are
those of the authors' checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from dnallm_core.models.padding import left_aligned
from torch import Tensor, nn
from transformers import PreTrainedModel, initialization
from transformers.utils import ModelOutput

from .attention import Attention, AttentionState, Rotary
from .configuration import (
    ATTENTION,
    LONG,
    MEDIUM,
    Evo1Config,
    Evo2Config,
    StripedHyenaConfig,
)
from .filters import Modes, fir, modal, shifted_sums

BLOCK = 1 << 22  # numbers in one working buffer: small enough to stay in memory that is reused
CHUNK = 1 << 14  # tokens of a batch that go through the network at once; the rest is carried state


class RMSNorm(nn.Module):
    """``x / (rms(x) + eps) * scale``: eps stands outside the root."""

    def __init__(self, config: StripedHyenaConfig) -> None:
        super().__init__()
        self.eps = config.eps
        self.scale = nn.Parameter(torch.empty(config.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same; computed in float32."""
        wide = x.float()
        norm = wide.norm(2, dim=-1, keepdim=True) * x.shape[-1] ** -0.5
        return (wide / (norm + self.eps) * self.scale.float()).to(x.dtype)


class GatedMLP(nn.Module):
    """``l3(act(l1 x) * l2 x)``."""

    def __init__(self, config: StripedHyenaConfig, layer: int) -> None:
        super().__init__()
        width, inner = config.hidden_size, config.inner_mlp_size
        self.has_activation = config.has_activation(layer)
        self.l1 = nn.Linear(width, inner, bias=False)
        self.l2 = nn.Linear(width, inner, bias=False)
        self.l3 = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        gate = self.l1(x)
        gate = F.gelu(gate) if self.has_activation else gate
        other = self.l2(x)
        return self.l3(gate * other if torch.is_grad_enabled() else gate.mul_(other))


# --- Hyena ----------------------------------------------------------------------------------------


@dataclass
class HyenaState:
    """What a Hyena block carries along: of constant size."""

    short: Tensor | None = None  # (batch, taps - 1, 3 width): projections before the short filter
    inner: Tensor | None = None  # (batch, width, taps - 1) past, or (batch, width, modes)

    def rows(self, which: Tensor) -> HyenaState:
        """Some rows of the batch."""
        return HyenaState(*(None if each is None else each[which] for each in self._parts()))

    def _parts(self) -> tuple[Tensor | None, Tensor | None]:
        return self.short, self.inner


class HyenaFilter(nn.Module):
    """``x2 * (h * (x1 v) + D x1 v)`` of short-filtered projections (Poli et al. 2023, section 3).

    ``kind`` is short (7 taps, no D), medium (128 taps) or long (poles and residues). How the three
    parts lie among the projected channels differs: interleaved in Evo 2, head by head in Evo 1.
    """

    short_filter_bias: nn.Parameter | None
    D: nn.Parameter | None

    def __init__(self, config: StripedHyenaConfig, kind: str) -> None:
        super().__init__()
        width = config.hidden_size
        self.kind, self.width = kind, width
        self.interleaved, self.flipped = config.interleave, config.hyena_flip_x1x2
        self.heads = config.num_attention_heads if config.column_split_hyena else 1
        self.short_filter_weight = nn.Parameter(
            torch.empty(3 * width, 1, config.short_filter_length)
        )
        self.register_parameter(
            "short_filter_bias",
            nn.Parameter(torch.empty(3 * width)) if config.short_filter_bias else None,
        )
        self.neighbours = 1  # channels that share a filter
        has_skip = True
        if kind == LONG and isinstance(config, Evo1Config):
            self.neighbours = config.hyena_filter_groups
            systems = width // self.neighbours
            self.poles = nn.Parameter(torch.empty(systems, config.state_size, 1, 2))
            self.residues = nn.Parameter(torch.empty(systems, config.state_size, 1, 2))
        elif kind == LONG:
            self.log_poles = nn.Parameter(torch.empty(width, config.state_size, 1))
            self.residues = nn.Parameter(torch.empty(width, config.state_size))
        else:
            assert isinstance(config, Evo2Config)
            medium = kind == MEDIUM
            groups = config.hcm_filter_groups if medium else config.hcs_filter_groups
            taps = config.hcm_filter_length if medium else config.hcs_filter_length
            self.neighbours = width // groups
            self.h = nn.Parameter(torch.empty(groups, 1, taps))
            # The authors' code takes long filters for true convolutions with a skip, and short ones
            # for correlations without.
            has_skip = taps >= 128
        self.register_parameter("D", nn.Parameter(torch.empty(width)) if has_skip else None)

    def forward(self, z: Tensor, state: HyenaState | None = None) -> tuple[Tensor, HyenaState]:
        """Projections (batch, tokens, 3 width) -> (batch, tokens, width), and the state after."""
        state = state or HyenaState()
        reach = self.short_filter_weight.shape[-1] - 1
        past = z.new_zeros(z.shape[0], reach, z.shape[2]) if state.short is None else state.short
        extended = torch.cat([past, z], dim=1)
        mixed, afters = [], []
        for which in self._channels(z.shape[0] * extended.shape[1]):
            x2, x1, v = self._short(extended, which)
            if self.flipped:
                x1, x2 = x2, x1
            signal = x1 * v  # (batch, channels, tokens)
            before = None if state.inner is None else state.inner[:, which]
            y, after = self._inner(signal, before, which)
            if self.D is not None:
                y = y + signal * self.D[which, None].float()
            mixed.append((y * x2).to(z.dtype).transpose(1, 2))
            afters.append(after)
        inner = afters[0] if len(afters) == 1 else torch.cat(afters, dim=1)
        y = mixed[0] if len(mixed) == 1 else torch.cat(mixed, dim=-1)
        return y, HyenaState(extended[:, extended.shape[1] - reach :].clone(), inner)

    def _channels(self, tokens: int) -> list[slice]:
        """Channels in blocks that fit the working buffers and split neither heads nor groups."""
        if torch.is_grad_enabled():
            return [slice(0, self.width)]
        head = self.width // self.heads if self.heads > 1 else 1
        grain = math.lcm(head, self.neighbours)
        step = max(1, BLOCK // (3 * tokens * grain)) * grain
        return [slice(at, min(at + step, self.width)) for at in range(0, self.width, step)]

    def _parts(self, rows: Tensor, which: slice) -> Tensor:
        """The three parts of some channels: (batch, n, 3 width) -> (batch, 3, channels, n)."""
        if self.interleaved:
            return rows.unflatten(-1, (self.width, 3))[:, :, which].permute(0, 3, 2, 1)
        head = self.width // self.heads
        heads = slice(which.start // head, -(-which.stop // head))
        if self.heads == 1:
            return rows.unflatten(-1, (3, self.width))[..., which].permute(0, 2, 3, 1)
        split = rows.unflatten(-1, (self.heads, 3, head))[:, :, heads]
        return split.permute(0, 3, 2, 4, 1).flatten(2, 3)

    def _short(self, extended: Tensor, which: slice) -> tuple[Tensor, ...]:
        """Short-filtered parts x2, x1, v: (batch, channels, tokens) float32 each."""
        weight = self._parts(self.short_filter_weight[:, 0].T[None], which).float()
        y = shifted_sums(self._parts(extended, which).contiguous().float(), weight)
        if self.short_filter_bias is not None:
            y = y + self._parts(self.short_filter_bias[None, None], which).float()
        return y.unbind(1)

    def _inner(self, signal: Tensor, past: Tensor | None, which: slice) -> tuple[Tensor, Tensor]:
        """The block's own filter over some channels, continued from its past."""
        groups = slice(which.start // self.neighbours, which.stop // self.neighbours)
        if self.kind == LONG:
            return modal(signal, past, self._modes(groups))
        taps = self.h[groups, 0].float()
        return fir(signal, past, taps.flip(-1) if self.D is not None else taps)

    def _modes(self, which: slice) -> Modes:
        if hasattr(self, "log_poles"):
            return Modes(self.log_poles[which, :, 0].float(), self.residues[which].float())
        pairs = (self.poles[which, :, 0].float(), self.residues[which, :, 0].float())
        poles, residues = (
            torch.view_as_complex(each.contiguous()).repeat_interleave(self.neighbours, dim=0)
            for each in pairs
        )
        return Modes(torch.log(poles), residues)


# --- blocks and the network -----------------------------------------------------------------------


class Block(nn.Module):
    """Pre-norm residual block: a mixer, then a gated MLP."""

    def __init__(self, config: StripedHyenaConfig, layer: int, kind: str) -> None:
        super().__init__()
        self.pre_norm = RMSNorm(config)
        self.post_norm = RMSNorm(config)
        self.mlp = GatedMLP(config, layer)
        self._build_mixer(config, kind)

    def _build_mixer(self, config: StripedHyenaConfig, kind: str) -> None:
        raise NotImplementedError

    def _mix(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        raise NotImplementedError

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """(batch, tokens, width) -> the same, and the state after the last token."""
        mixed, state = self._mix(self.pre_norm(x), state)
        x = x + mixed
        if torch.is_grad_enabled():
            return x + self.mlp(self.post_norm(x)), state
        step = max(1, BLOCK // (x.shape[0] * self.mlp.l1.out_features))
        for part in x.split(step, dim=1):
            part += self.mlp(self.post_norm(part))
        return x, state


class AttentionBlock(Block):
    """A block that mixes tokens by attention."""

    def _build_mixer(self, config: StripedHyenaConfig, kind: str) -> None:
        self.inner_mha_cls = Attention(config)

    def _mix(self, x: Tensor, state: AttentionState | None) -> tuple[Tensor, AttentionState]:
        return self.inner_mha_cls(x, state)


class HyenaBlock(Block):
    """A block that mixes tokens by gated convolution."""

    def _build_mixer(self, config: StripedHyenaConfig, kind: str) -> None:
        width = config.hidden_size
        # Evo 1 has a bias here, as it has in its queries, keys and values; Evo 2 in neither.
        self.projections = nn.Linear(width, 3 * width, bias=config.qkv_proj_bias)
        self.filter = HyenaFilter(config, kind)
        self.out_filter_dense = nn.Linear(width, width, bias=config.hyena_out_proj_bias)

    def _mix(self, x: Tensor, state: HyenaState | None) -> tuple[Tensor, HyenaState]:
        mixed, state = self.filter(self.projections(x), state)
        return self.out_filter_dense(mixed), state


@dataclass
class StripedState:
    """A prefix: how long it is, and what each block carries along."""

    tokens: int = 0
    blocks: list[Any] = field(default_factory=list)

    def rows(self, which: Tensor) -> StripedState:
        """Some rows of the batch."""
        return StripedState(self.tokens, [each.rows(which) for each in self.blocks])


@dataclass
class CausalOutput(ModelOutput):
    """What the network returns; (batch, tokens, ...) each."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class StripedHyena(PreTrainedModel):
    """StripedHyena with its head, which is the embedding again."""

    config_class: type[StripedHyenaConfig] = StripedHyenaConfig
    base_model_prefix = "backbone"
    _tied_weights_keys: ClassVar[dict[str, str]] = {"unembed.weight": "embedding_layer.weight"}
    _no_split_modules: ClassVar[list[str]] = ["AttentionBlock", "HyenaBlock"]
    _keep_in_fp32_modules_strict: ClassVar[list[str]] = [
        "poles",
        "log_poles",
        "residues",
        "inv_freq",
    ]

    def __init__(self, config: StripedHyenaConfig) -> None:
        super().__init__(config)
        self.embedding_layer = nn.Embedding(config.rows, config.hidden_size)
        self.blocks = nn.ModuleList(
            [
                (AttentionBlock if kind == ATTENTION else HyenaBlock)(config, layer, kind)
                for layer, kind in enumerate(config.kinds)
            ]
        )
        self.norm = RMSNorm(config) if config.final_norm else nn.Identity()
        self.unembed = nn.Linear(config.hidden_size, config.rows, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.embedding_layer

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embedding."""
        self.embedding_layer = value

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.unembed

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Embedding)):
            initialization.normal_(module.weight, std=0.02)
            if getattr(module, "bias", None) is not None:
                initialization.zeros_(module.bias)
        elif isinstance(module, RMSNorm):
            initialization.ones_(module.scale)
        elif isinstance(module, Rotary):
            module.initialise()
        elif isinstance(module, HyenaFilter):
            for name, parameter in module.named_parameters(recurse=False):
                low, high = _RANGES.get(name, (-0.1, 0.1))
                initialization.uniform_(parameter, low, high)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool = False,
        state: StripedState | None = None,
        labels: Tensor | None = None,
        **_ignored: Any,
    ) -> CausalOutput:
        """(batch, tokens) ids -> logits (batch, tokens, rows) and hidden states.

        Long inputs go through in chunks, the state handed from one to the next, so that memory
        beyond weights, cache and outputs does not grow with the length. ``state`` is continued from
        and updated in place.
        """
        aligned = left_aligned(attention_mask)
        ids = aligned.align(input_ids) if aligned else input_ids
        step = ids.shape[1] if torch.is_grad_enabled() else max(1, CHUNK // ids.shape[0])
        if state is None and ids.shape[1] > step:
            state = StripedState()
        chunks = [self._chunk(part, state, output_hidden_states) for part in ids.split(step, dim=1)]
        states = [
            torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
            for parts in zip(*chunks, strict=True)
        ]
        del chunks
        if aligned:
            states = [aligned.restore(each) for each in states]
        logits = self.unembed(states[-1])
        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100
            )
        return CausalOutput(
            loss=loss,
            logits=logits,
            last_hidden_state=states[-1],
            hidden_states=tuple(states) if output_hidden_states else None,
        )

    def _chunk(self, ids: Tensor, state: StripedState | None, keep: bool) -> list[Tensor]:
        """One chunk through all blocks: what is read of it, the final norm's output last."""
        x = self.embedding_layer(ids)
        kept = []
        carried = state.blocks if state and state.blocks else [None] * len(self.blocks)
        for index, block in enumerate(self.blocks):
            if keep:
                kept.append(x)
            x, after = block(x, carried[index])
            if state is not None:
                carried[index] = after
        if state is not None:
            state.blocks = carried
            state.tokens += ids.shape[1]
        return [*kept, self.norm(x)]


_RANGES = {"log_poles": (-1.0, -0.01), "poles": (0.3, 0.6)}
