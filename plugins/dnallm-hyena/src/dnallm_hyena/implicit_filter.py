"""HyenaDNA's long filters: a small network of time, under a decaying window, kept once made.

Poli et al. 2023, Hyena Hierarchy (arXiv 2302.10866), section 3.3. Module names are those of the
checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from .configuration import HyenaDNAConfig

Spectra = Callable[[slice], Tensor]

FILTER_MEMORY = (1 << 28) + (1 << 20)  # bytes of filters that one network may keep; a spectrum has
# one number more than a power of two


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
        if torch.is_grad_enabled():
            return torch.exp(-rate * t.T) + self.SHIFT  # (channels, taps)
        return (-rate * t.T).exp_().add_(self.SHIFT)


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

    def spectra(self, size: int) -> Callable[[slice], Spectra]:
        """What gives the filters' real FFTs for a group of channels, and of it for some of them.

        ``spectra(size)(group)(some)``: (channels, size / 2 + 1), where ``some`` counts inside of
        ``group``. Where the filters are not kept, a group's are made at once: the features, which
        are wide, are read once for each group.
        """
        nbytes = 8 * self.width * (size // 2 + 1)
        count = min(size // 2, self.longest)
        if nbytes <= self.memory and not torch.is_grad_enabled():
            kept = self._keep(
                ("spectra", size), nbytes, lambda: torch.fft.rfft(self._all(count), n=size)
            )
            return lambda group: lambda some: kept[group][some]
        t, features = self._features(count)

        def made(group: slice) -> Spectra:
            taps = self._some(t, features, group)
            return lambda some: torch.fft.rfft(taps[some], n=size)

        return made

    def _features(self, count: int) -> tuple[Tensor, Tensor]:
        t, z = self.pos_emb(count, self.bias.device)
        return t, self.implicit_filter.features(z.to(self.bias.dtype))

    def _some(self, t: Tensor, features: Tensor, which: slice) -> Tensor:
        taps = self.implicit_filter.channels(features, which).float()
        window = self.modulation(t, which)
        return taps * window if torch.is_grad_enabled() else window.mul_(taps)

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
