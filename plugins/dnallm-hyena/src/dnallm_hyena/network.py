"""HyenaDNA's network: implicit long filters, gated, in a causal pre-norm residual stack.

Poli et al. 2023, Hyena Hierarchy (arXiv 2302.10866); Nguyen et al. 2023, HyenaDNA (arXiv
2306.15794). Module names are those of the ``-hf`` checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from dnallm_core.errors import SequenceError
from dnallm_core.models.padding import left_aligned
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel, initialization
from transformers.utils import ModelOutput

from .convolution import blocks, convolve, fft_size

FILTER_MEMORY = 1 << 30  # bytes of cached filters that one network may keep
GROUP = 1 << 26  # numbers that the projections of one group of channels may fill


class HyenaDNAConfig(PreTrainedConfig):
    """Settings under the names of the ``-hf`` repositories' ``config.json``."""

    model_type = "hyenadna"
    attribute_map: ClassVar[dict[str, str]] = {
        "hidden_size": "d_model",
        "num_hidden_layers": "n_layer",
        "intermediate_size": "d_inner",
        "max_position_embeddings": "max_seq_len",
    }

    def __init__(
        self,
        d_model: int = 256,
        n_layer: int = 8,
        d_inner: int | None = None,
        max_seq_len: int = 1026,
        vocab_size: int = 12,
        pad_vocab_size_multiple: int = 8,
        emb_dim: int = 5,
        filter_order: int = 64,
        num_inner_mlps: int = 2,
        short_filter_order: int = 3,
        activation_freq: float = 10,
        train_freq: bool = True,
        use_bias: bool = True,
        layer_norm_epsilon: float = 1e-5,
        embed_dropout: float = 0.1,
        initializer_range: float = 0.02,
        learned_positions: bool = False,
        pad_token_id: int | None = 4,
        tie_word_embeddings: bool = False,
        **others: Any,
    ) -> None:
        self.d_model = d_model
        self.n_layer = n_layer
        self.d_inner = d_inner if d_inner is not None else 4 * d_model
        self.max_seq_len = max_seq_len
        self.vocab_size = vocab_size
        self.pad_vocab_size_multiple = pad_vocab_size_multiple
        self.emb_dim = emb_dim
        self.filter_order = filter_order
        self.num_inner_mlps = num_inner_mlps
        self.short_filter_order = short_filter_order
        self.activation_freq = activation_freq
        self.train_freq = train_freq
        self.use_bias = use_bias
        self.layer_norm_epsilon = layer_norm_epsilon
        self.embed_dropout = embed_dropout
        self.initializer_range = initializer_range
        self.learned_positions = learned_positions
        super().__init__(
            pad_token_id=pad_token_id, tie_word_embeddings=tie_word_embeddings, **others
        )

    @property
    def rows(self) -> int:
        """Rows of the embedding: the vocabulary, filled up to a multiple."""
        multiple = self.pad_vocab_size_multiple
        return -(-self.vocab_size // multiple) * multiple


class Positions(nn.Module):
    """What the implicit filter reads: time, and the first complex exponentials of it.

    ``z[i] = [t, cos(f w), -sin(f w)]`` with t in [0, 1] and w in [0, 2 pi) over ``max_seq_len``:
    the filter of a shorter input is the beginning of the filter of the longest.
    """

    z: Tensor | None

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.length = config.max_seq_len
        self.bands = (config.emb_dim - 1) // 2
        self.width = config.emb_dim
        learned = torch.empty(1, self.length, self.width) if config.learned_positions else None
        self.register_buffer("z", learned)

    def forward(self, taps: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """``t`` (taps, 1) and ``z`` (taps, emb_dim), float32."""
        with torch.device(device):
            t = torch.linspace(0, 1, self.length)[:taps, None]
            if self.z is not None:
                return t, self.z[0, :taps].float()
            w = 2 * math.pi * torch.linspace(0, self.length - 1, self.length)[:taps, None]
            f = torch.linspace(1e-4, self.bands - 1, self.bands)[None]
            angle = f * (w / self.length)
        return t, torch.cat([t, angle.cos(), -angle.sin()], dim=-1)[:, : self.width]


class Sine(nn.Module):
    """``sin(freq x)`` with a learned frequency a channel."""

    def __init__(self, width: int, frequency: float, *, learned: bool) -> None:
        super().__init__()
        self.frequency = frequency
        self.freq = nn.Parameter(torch.full((1, width), float(frequency)), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> the same."""
        return torch.sin(self.freq * x)


class ImplicitFilter(nn.Module):
    """Positions to filter values: linear layers with ONE sine between them, used three times.

    Names are the indexes of the authors' sequence: linear layers at even ones, the sine at 1.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        order = config.filter_order
        self.sine = str(1)
        self.linears = [str(2 * i) for i in range(config.num_inner_mlps + 2)]
        self.add_module("0", nn.Linear(config.emb_dim, order))
        self.add_module("1", Sine(order, config.activation_freq, learned=config.train_freq))
        for name in self.linears[1:-1]:
            self.add_module(name, nn.Linear(order, order))
        self.add_module(self.linears[-1], nn.Linear(order, config.d_model, bias=False))

    def features(self, z: Tensor) -> Tensor:
        """Everything but the last layer: (taps, emb_dim) -> (taps, filter_order)."""
        sine = self.get_submodule(self.sine)
        for name in self.linears[:-1]:
            z = sine(self.get_submodule(name)(z))
        return z

    def channels(self, features: Tensor, which: slice) -> Tensor:
        """The last layer for some channels: (taps, filter_order) -> (channels, taps)."""
        last = self.get_submodule(self.linears[-1])
        assert isinstance(last, nn.Linear)
        return last.weight[which] @ features.T


class Decay(nn.Module):
    """The window on a filter, ``exp(-t |delta|) + 0.05``, from slow to fast over the channels."""

    FAST, SLOW, TARGET, SHIFT = 0.3, 1.5, 1e-2, 0.05
    deltas: Tensor

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.register_buffer("deltas", self.initial(config.d_model))

    def initial(self, width: int) -> Tensor:
        """The rates as the authors set them, (1, 1, width)."""
        slowest, fastest = math.log(self.TARGET) / self.SLOW, math.log(self.TARGET) / self.FAST
        return torch.linspace(slowest, fastest, width)[None, None]

    def forward(self, t: Tensor, which: slice) -> Tensor:
        """Times (taps, 1) -> the window of some channels (channels, taps)."""
        rate = self.deltas[0, 0, which, None].float().abs()  # (channels, 1)
        return torch.exp(-rate * t.T) + self.SHIFT  # (channels, taps)


class HyenaFilter(nn.Module):
    """The long filters of one block, and their spectra, kept for the sizes used last."""

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__()
        self.width = config.d_model
        self.longest = config.max_seq_len
        self.memory = FILTER_MEMORY // max(1, config.n_layer)
        self.bias = nn.Parameter(torch.empty(config.d_model))
        self.pos_emb = Positions(config)
        self.implicit_filter = ImplicitFilter(config)
        self.modulation = Decay(config)
        self._kept: dict[tuple[Any, ...], Tensor] = {}

    def taps(self, count: int) -> Tensor:
        """The first ``count`` taps of every channel, (width, count) float32."""
        return self._keep(("taps", count), 4 * self.width * count, lambda: self._all(count))

    def spectra(self, size: int) -> Callable[[slice], Tensor]:
        """What gives the real FFTs of some channels' filters: (channels, size / 2 + 1)."""
        nbytes = 8 * self.width * (size // 2 + 1)
        count = min(size // 2, self.longest)
        if nbytes <= self.memory and not torch.is_grad_enabled():
            kept = self._keep(
                ("spectra", size), nbytes, lambda: torch.fft.rfft(self._all(count), n=size)
            )
            return lambda which: kept[which]
        t, features = self._features(count)
        return lambda which: torch.fft.rfft(self._some(t, features, which), n=size)

    def _features(self, count: int) -> tuple[Tensor, Tensor]:
        t, z = self.pos_emb(count, self.bias.device)
        return t, self.implicit_filter.features(z.to(self.bias.dtype))

    def _some(self, t: Tensor, features: Tensor, which: slice) -> Tensor:
        return self.implicit_filter.channels(features, which).float() * self.modulation(t, which)

    def _all(self, count: int) -> Tensor:
        return self._some(*self._features(count), slice(0, self.width))

    def _keep(self, key: tuple[Any, ...], nbytes: int, compute: Any) -> Tensor:
        """What ``compute`` gives, from memory if the weights are still the same."""
        if torch.is_grad_enabled() or nbytes > self.memory:
            return compute()
        tensors = [*self.parameters(), *self.buffers()]
        state = tuple((id(p), 0 if p.is_inference() else p._version, p.device) for p in tensors)
        key = (*key, state)
        if key not in self._kept:
            made = compute()
            self._kept = {k: v for k, v in self._kept.items() if k[-1] == state}
            while self._kept and sum(map(_nbytes, self._kept.values())) + nbytes > self.memory:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = made
        self._kept[key] = self._kept.pop(key)  # the one used last stands last
        return self._kept[key]


def _nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


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
            mixed = self._mix(self._projected(x, whole), whole, spectrum(whole), size)
            return self.out_proj(mixed.to(x.dtype).transpose(1, 2))
        mixed = x.new_empty(batch, width, tokens)
        for group in blocks(width, 3 * batch * tokens, GROUP):  # channels projected together
            parts = self._projected(x, group)
            for some in blocks(group.stop - group.start, batch * size):  # channels mixed together
                own = slice(group.start + some.start, group.start + some.stop)
                inside = [each[:, some] for each in parts]
                mixed[:, own] = self._mix(inside, own, spectrum(own), size)
        del parts, inside
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
            y = torch.cat(
                [
                    convolve(everything[:, some], spectrum(some), size)[..., -tokens:]
                    for some in blocks(self.width, x.shape[0] * size)
                ],
                dim=1,
            )
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
