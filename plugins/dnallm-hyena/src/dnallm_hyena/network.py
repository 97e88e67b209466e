"""HyenaDNA's network: implicit long filters, gated, in a causal pre-norm residual stack.

Poli et al. 2023, Hyena Hierarchy (arXiv 2302.10866); Nguyen et al. 2023, HyenaDNA (arXiv
2306.15794). Module names are those of the ``-hf`` checkpoints.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from dnallm_core.errors import SequenceError
from dnallm_core.models.padding import left_aligned
from torch import Tensor, nn
from transformers import PreTrainedModel, initialization
from transformers.utils import ModelOutput

from .configuration import HyenaDNAConfig
from .convolution import BLOCK, blocks, convolve, fft_size
from .implicit_filter import Decay, HyenaFilter, Sine

GROUP = 1 << 23  # numbers that the projections of one group of channels may fill
LEAST = 32  # channels of a group at least: the input is read once for each group


@dataclass
class BlockState:
    """What one block carries along: the last projected tokens, and the convolution's past input."""

    tail: Tensor  # (batch, 3 width, short filter - 1)
    history: Tensor  # (batch, width, room); the first ``used`` are filled
    used: int = 0

    def append(self, signal: Tensor) -> Tensor:
        """Add (batch, width, tokens); returns everything so far."""
        end = self.used + signal.shape[-1]
        if end > self.history.shape[-1]:
            room = self.history.new_zeros(*self.history.shape[:2], max(2 * self.used, end, 256))
            room[..., : self.used] = self.history[..., : self.used]
            self.history = room
        self.history[..., self.used : end] = signal
        self.used = end
        return self.history[..., :end]


class HyenaOperator(nn.Module):
    """Order-2 Hyena: ``out(x0 * (h * (x1 v)))`` of short-filtered projections (Poli et al., 3.1)."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        width, taps = config.d_model, config.short_filter_order
        self.width, self.reach = width, taps - 1
        self.in_proj = nn.Linear(width, 3 * width, bias=config.use_bias)
        self.out_proj = nn.Linear(width, width, bias=config.use_bias)
        self.short_filter = nn.Conv1d(3 * width, 3 * width, taps, groups=3 * width)
        self.filter_fn = HyenaFilter(config)

    def forward(self, x: Tensor, state: BlockState | None = None) -> Tensor:
        """(batch, tokens, width) -> the same; with a state, continues from it."""
        if state is not None:
            return self._advance(x, state)
        batch, tokens, width = x.shape
        size = fft_size(tokens)
        spectrum = self.filter_fn.spectra(size)
        if torch.is_grad_enabled():
            whole = slice(0, width)
            mixed = self._mix(self._projected(x, whole), whole, spectrum(whole)(whole), size)
            return self.out_proj(mixed.to(x.dtype).transpose(1, 2))
        mixed = x.new_empty(batch, width, tokens)
        budget = max(GROUP, LEAST * 3 * batch * tokens)
        for group in blocks(width, 3 * batch * tokens, budget):  # channels projected together
            parts = self._projected(x, group)
            for few in blocks(group.stop - group.start, tokens, max(BLOCK, LEAST * tokens)):
                first = group.start + few.start  # channels whose filters are made together
                filters = spectrum(slice(first, group.start + few.stop))
                for some in blocks(few.stop - few.start, batch * size):  # mixed together
                    inside = slice(few.start + some.start, few.start + some.stop)
                    own = slice(first + some.start, first + some.stop)
                    mixed[:, own] = self._mix(
                        [each[:, inside] for each in parts], own, filters(some), size
                    )
        del parts, filters
        return self.out_proj(mixed.transpose(1, 2))

    def _projected(self, x: Tensor, which: slice) -> list[Tensor]:
        """Gate, key and value of some channels: (batch, channels, tokens) each."""
        return [self._project(x, self._rows(which, part)) for part in range(3)]

    def _mix(self, parts: list[Tensor], own: slice, spectrum: Tensor, size: int) -> Tensor:
        """``x0 * (h * (x1 v))`` for some channels: (batch, channels, tokens) float32."""
        gate, left, value = (
            self._short(each, self._rows(own, part)) for part, each in enumerate(parts)
        )
        signal = left * value
        skip = self.filter_fn.bias[own, None]
        return torch.addcmul(convolve(signal, spectrum, size), signal, skip) * gate

    def _rows(self, which: slice, part: int) -> slice:
        """The projection's rows of some channels: gates first, then keys, then values."""
        return slice(part * self.width + which.start, part * self.width + which.stop)

    def _project(self, x: Tensor, rows: slice) -> Tensor:
        """(batch, tokens, width) -> (batch, channels, tokens)."""
        weight = self.in_proj.weight[rows].expand(x.shape[0], -1, -1)
        if self.in_proj.bias is None:
            return torch.bmm(weight, x.transpose(1, 2))
        return torch.baddbmm(self.in_proj.bias[rows, None], weight, x.transpose(1, 2))

    def _short(self, projected: Tensor, rows: slice, reach: int = 0) -> Tensor:
        """Depthwise causal convolution; ``reach`` tokens in front are the past and give no output."""
        weight = self.short_filter.weight[rows, 0]  # (channels, taps), the last meets the token
        bias = self.short_filter.bias
        assert bias is not None
        tokens = projected.shape[-1]
        y = torch.addcmul(bias[rows, None], projected[..., reach:], weight[:, -1, None])
        for back in range(1, weight.shape[1]):
            tap = weight[:, -1 - back, None]
            skip = max(back - reach, 0)  # outputs that this tap does not reach
            past = projected[..., reach + skip - back : tokens - back]
            if torch.is_grad_enabled():
                y = y + F.pad(past * tap, (skip, 0))
            else:
                y[..., skip:].addcmul_(past, tap)
        return y

    def _advance(self, x: Tensor, state: BlockState) -> Tensor:
        projected = self._project(x, slice(0, 3 * self.width))  # (batch, 3 width, tokens)
        projected = torch.cat([state.tail, projected], dim=-1)
        state.tail = projected[..., projected.shape[-1] - self.reach :].clone()
        short = self._short(projected, slice(0, 3 * self.width), self.reach)
        gate, left, value = short.split(self.width, dim=1)
        signal = left * value
        everything = state.append(signal)
        tokens, total = x.shape[1], everything.shape[-1]
        if tokens == 1:
            # The taps are kept for a rounded-up count, so that they are not made anew each step.
            count = min(fft_size(total) // 2, self.filter_fn.longest)
            past = self.filter_fn.taps(count)[:, :total].flip(-1)  # (width, total)
            y = (everything.float() * past).sum(-1, keepdim=True)
        else:
            size = fft_size(total)
            spectrum = self.filter_fn.spectra(size)
            pieces = []
            for group in blocks(self.width, total, max(GROUP, LEAST * total)):
                filters, past = spectrum(group), everything[:, group]
                pieces += [
                    convolve(past[:, some], filters(some), size)[..., -tokens:]
                    for some in blocks(group.stop - group.start, x.shape[0] * size)
                ]
            y = torch.cat(pieces, dim=1)
        y = y + signal * self.filter_fn.bias[:, None]
        return self.out_proj((y * gate).to(x.dtype).transpose(1, 2))


class MLP(nn.Module):
    """Two layers with the tanh approximation of GELU between."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.d_model, config.d_inner)
        self.fc2 = nn.Linear(config.d_inner, config.d_model)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, tokens, width) -> the same."""
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


class Block(nn.Module):
    """Pre-norm residual block; the residual stream stays float32 in any dtype, as the authors'."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.d_model)  # eps 1e-5 whatever layer_norm_epsilon says
        self.mixer = HyenaOperator(config)
        self.norm2 = nn.LayerNorm(config.d_model)
        self.mlp = MLP(config)

    def forward(self, residual: Tensor, state: BlockState | None = None) -> Tensor:
        """(batch, tokens, width) -> the same."""
        dtype = self.mixer.in_proj.weight.dtype
        residual = residual + self.mixer(_norm(self.norm1, residual).to(dtype), state)
        if torch.is_grad_enabled():
            return residual + self.mlp(_norm(self.norm2, residual).to(dtype))
        for some in blocks(residual.shape[1], residual.shape[0] * self.mlp.fc1.out_features):
            part = residual[:, some]
            part += self.mlp(_norm(self.norm2, part).to(dtype))
        return residual


def _norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Layer norm in the dtype of ``x``."""
    weight, bias = norm.weight.to(x.dtype), norm.bias.to(x.dtype)
    return F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps)


class Embeddings(nn.Module):
    """Token embeddings; positions enter through the filters alone."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(config.rows, config.d_model)


class Backbone(nn.Module):
    """Embedding, blocks, final norm."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.dropout = nn.Dropout(config.embed_dropout)
        self.layers = nn.ModuleList([Block(config) for _ in range(config.n_layer)])
        self.ln_f = nn.LayerNorm(config.d_model, eps=config.layer_norm_epsilon)


class Hyena(nn.Module):
    """The level that the ``-hf`` key names have above the backbone."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config)


@dataclass
class CausalOutput(ModelOutput):
    """What the network returns; (batch, tokens, ...) each."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class HyenaDNAForCausalLM(PreTrainedModel):
    """HyenaDNA with its language-modelling head."""

    config_class = HyenaDNAConfig
    base_model_prefix = "hyena"
    _tied_weights_keys: ClassVar[dict[str, str]] = {
        "lm_head.weight": "hyena.backbone.embeddings.word_embeddings.weight"
    }
    _no_split_modules: ClassVar[list[str]] = ["Block"]
    _keep_in_fp32_modules_strict: ClassVar[list[str]] = ["filter_fn"]

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__(config)
        self.hyena = Hyena(config)
        self.lm_head = nn.Linear(config.d_model, config.rows, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The token embedding."""
        return self.hyena.backbone.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Replace the token embedding."""
        self.hyena.backbone.embeddings.word_embeddings = value

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.lm_head

    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if isinstance(module, (nn.Linear, nn.Embedding)):
            initialization.normal_(module.weight, std=std)
            if getattr(module, "bias", None) is not None:
                initialization.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            initialization.ones_(module.weight)
            initialization.zeros_(module.bias)
        elif isinstance(module, nn.Conv1d):
            bound = 1 / math.sqrt(module.kernel_size[0])
            initialization.uniform_(module.weight, -bound, bound)
            initialization.uniform_(module.bias, -bound, bound)
        elif isinstance(module, Sine):
            initialization.constant_(module.freq, module.frequency)
        elif isinstance(module, HyenaFilter):
            initialization.normal_(module.bias)
        elif isinstance(module, Decay):
            initialization.copy_(module.deltas, module.initial(self.config.d_model))

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        output_hidden_states: bool = False,
        state: list[BlockState] | None = None,
        labels: Tensor | None = None,
        **_ignored: Any,
    ) -> CausalOutput:
        """(batch, tokens) ids -> logits (batch, tokens, rows) and hidden states.

        Raises SequenceError for more tokens than ``max_seq_len``: the filters end there.
        """
        aligned = left_aligned(attention_mask)
        ids = aligned.align(input_ids) if aligned else input_ids
        before = state[0].used if state else 0
        if before + ids.shape[1] > self.config.max_seq_len:
            raise SequenceError(
                f"The input has {before + ids.shape[1]:,} tokens; this network's filters reach "
                f"{self.config.max_seq_len:,}."
            )
        backbone = self.hyena.backbone
        hidden = backbone.dropout(backbone.embeddings.word_embeddings(ids)).float()
        kept = []
        for index, block in enumerate(backbone.layers):
            if output_hidden_states:
                kept.append(hidden.clone())
            hidden = block(hidden, state[index] if state else None)
        last = _norm(backbone.ln_f, hidden).to(self.lm_head.weight.dtype)
        del hidden
        logits = self.lm_head(last)
        if aligned:
            last, logits = aligned.restore(last), aligned.restore(logits)
            kept = [aligned.restore(each) for each in kept]
        loss = None
        if labels is not None:
            loss = F.cross_entropy(
                logits[:, :-1].flatten(0, 1).float(), labels[:, 1:].flatten(), ignore_index=-100
            )
        return CausalOutput(
            loss=loss,
            logits=logits,
            last_hidden_state=last,
            hidden_states=(*kept, last) if output_hidden_states else None,
        )

    def new_state(self, batch: int) -> list[BlockState]:
        """The state before the first token."""
        width, taps = self.config.d_model, self.config.short_filter_order
        like = self.lm_head.weight
        return [
            BlockState(like.new_zeros(batch, 3 * width, taps - 1), like.new_zeros(batch, width, 0))
            for _ in self.hyena.backbone.layers
        ]
