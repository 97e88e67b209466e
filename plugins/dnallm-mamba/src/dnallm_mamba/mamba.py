"""The Mamba-1 mixer (arXiv 2312.00752, figure 3): projection, convolution, selective scan, gate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from transformers import initialization as init

from .scan import engine_for, gated

SEGMENT = 1024
"""Positions a CPU thread at a time without gradients: what passes between operations stays in cache."""
DEVICE_SEGMENT = 16_384
"""Positions at a time on other devices: memory is that of a segment."""
KEPT_NUMBERS = 2**26
"""A projection of more numbers than this (256 MB) is not kept for the second direction."""


@dataclass(frozen=True)
class MambaSettings:
    """The authors' ``ssm_cfg``, resolved for a width."""

    d_model: int
    d_inner: int
    d_state: int
    d_conv: int
    dt_rank: int
    conv_bias: bool
    bias: bool
    dt_min: float
    dt_max: float
    dt_init: str
    dt_scale: float
    dt_init_floor: float

    @classmethod
    def read(cls, d_model: int, ssm_cfg: Mapping[str, Any]) -> MambaSettings:
        """From ``ssm_cfg`` with mamba_ssm's defaults."""
        rank = ssm_cfg.get("dt_rank", "auto")
        return cls(
            d_model=d_model,
            d_inner=int(ssm_cfg.get("expand", 2) * d_model),
            d_state=ssm_cfg.get("d_state", 16),
            d_conv=ssm_cfg.get("d_conv", 4),
            dt_rank=math.ceil(d_model / 16) if rank == "auto" else rank,
            conv_bias=ssm_cfg.get("conv_bias", True),
            bias=ssm_cfg.get("bias", False),
            dt_min=ssm_cfg.get("dt_min", 0.001),
            dt_max=ssm_cfg.get("dt_max", 0.1),
            dt_init=ssm_cfg.get("dt_init", "random"),
            dt_scale=ssm_cfg.get("dt_scale", 1.0),
            dt_init_floor=ssm_cfg.get("dt_init_floor", 1e-4),
        )


class Carry(NamedTuple):
    """What the past of a sequence comes down to: constant in its length."""

    edge: Tensor  # (batch, taps - 1, inner): the last inputs of the convolution
    state: Tensor  # (batch, inner, states), float32


class Mamba(nn.Module):
    """One direction of a Mamba-1 mixer; parameter names are mamba_ssm's."""

    def __init__(self, settings: MambaSettings, shares: Mamba | None = None) -> None:
        super().__init__()
        s = self.settings = settings
        self.in_proj: nn.Linear = (
            shares.in_proj if shares else nn.Linear(s.d_model, 2 * s.d_inner, bias=s.bias)
        )
        self.conv1d = nn.Conv1d(s.d_inner, s.d_inner, s.d_conv, groups=s.d_inner, bias=s.conv_bias)
        self.x_proj = nn.Linear(s.d_inner, s.dt_rank + 2 * s.d_state, bias=False)
        self.dt_proj = nn.Linear(s.dt_rank, s.d_inner)
        self.A_log = nn.Parameter(torch.empty(s.d_inner, s.d_state))
        self.D = nn.Parameter(torch.empty(s.d_inner))
        self.out_proj: nn.Linear = (
            shares.out_proj if shares else nn.Linear(s.d_inner, s.d_model, bias=s.bias)
        )

    def forward(self, hidden: Tensor, mask: Tensor | None = None, reverse: bool = False) -> Tensor:
        """(batch, length, d_model) -> the same; ``mask`` (batch, length), 1 where real."""
        return in_segments(self, hidden, mask, reverse)

    def scan(
        self,
        projected: Tensor,
        mask: Tensor | None = None,
        carry: Carry | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, Carry]:
        """What ``in_proj`` gave -> (batch, length, inner), ungated, and the carry after it."""
        x, _ = projected.chunk(2, dim=-1)
        return scan_mixer(self, x, mask, carry, reverse)

    def gated(self, y: Tensor, projected: Tensor) -> Tensor:
        """``y`` times the SiLU of the projection's second half."""
        _, gate = projected.chunk(2, dim=-1)
        return gated(y, gate)

    def gated_sum(self, y: Tensor, other: Mamba, others: Tensor, projected: Tensor) -> Tensor:
        """Both directions of one projection, gated: the gate is the same, so the sum comes first."""
        del other
        return self.gated(y + others, projected)

    def initialize(self) -> None:
        """mamba_ssm's initial values: states decay at rates 1 ... n, steps log-uniform."""
        s = self.settings
        rates = torch.arange(1, s.d_state + 1, dtype=torch.float32, device=self.A_log.device)
        init.copy_(self.A_log, rates.log().expand(s.d_inner, -1))
        init.ones_(self.D)
        bound = s.dt_rank**-0.5 * s.dt_scale
        if s.dt_init == "constant":
            init.constant_(self.dt_proj.weight, bound)
        else:
            init.uniform_(self.dt_proj.weight, -bound, bound)
        span = math.log(s.dt_max) - math.log(s.dt_min)
        step = torch.rand(s.d_inner, device=self.D.device) * span + math.log(s.dt_min)
        step = step.exp().clamp(min=s.dt_init_floor)
        init.copy_(self.dt_proj.bias, step + torch.log(-torch.expm1(-step)))  # softplus inverted


class Mixing(Protocol):
    """The parameters that a Mamba-1 mixer has between its two projections."""

    conv1d: nn.Conv1d
    x_proj: nn.Linear
    dt_proj: nn.Linear
    A_log: nn.Parameter
    D: nn.Parameter


def scan_mixer(
    mixer: Mixing,
    x: Tensor,
    mask: Tensor | None = None,
    carry: Carry | None = None,
    reverse: bool = False,
    gate: Tensor | None = None,
) -> tuple[Tensor, Carry]:
    """Convolution and selective scan of ``x`` (batch, length, inner), gated where there is a gate.

    Masked positions enter the convolution as the zeros beyond an edge, and their time step is 0:
    the state passes them unchanged. ``carry``: what lies before the first position (after the last
    with ``reverse``), as the previous call left it.
    """
    engine = engine_for(x.device)
    states = mixer.A_log.shape[1]
    if mask is not None:
        x = x * mask[..., None].to(x.dtype)
    edge, state = carry or (None, None)
    mixed = engine.convolve(x, mixer.conv1d.weight[:, 0], mixer.conv1d.bias, edge, reverse)
    step, B, C = mixer.x_proj(mixed).split([mixer.dt_proj.in_features, states, states], dim=-1)
    A = -torch.exp(mixer.A_log.float())
    y, state = engine.selective_scan(
        mixed, mixer.dt_proj(step), A, B, C, mixer.D, mask, state, reverse, gate
    )
    return y, Carry(next_edge(x, edge, mixer.conv1d.kernel_size[0] - 1, reverse), state)


def at_once(hidden: Tensor) -> int:
    """How many positions, of all rows together, are mixed at a time: all where gradients are wanted."""
    if torch.is_grad_enabled():
        return max(1, hidden.shape[0] * hidden.shape[1])
    return SEGMENT * torch.get_num_threads() if hidden.device.type == "cpu" else DEVICE_SEGMENT


def segments(hidden: Tensor, reverse: bool = False) -> Iterator[slice]:
    """Stretches of (batch, length, width) in time's order, each mixed at once."""
    length = hidden.shape[1]
    size = max(1, at_once(hidden) // max(1, hidden.shape[0]))
    starts = range(0, length, size)
    for start in reversed(starts) if reverse else starts:
        yield slice(start, min(start + size, length))


def groups_of_rows(
    mix: Callable[[Tensor, Tensor | None], Tensor], hidden: Tensor, mask: Tensor | None
) -> Tensor:
    """``mix`` of (batch, length, width) and its mask, over as few rows as are mixed at once."""
    batch, length, _ = hidden.shape
    rows = max(1, at_once(hidden) // max(1, length))
    if rows >= batch:
        return mix(hidden, mask)
    parts = (slice(start, start + rows) for start in range(0, batch, rows))
    return torch.cat([mix(hidden[part], None if mask is None else mask[part]) for part in parts])


class ScansGated(Protocol):
    """A mixer between its two projections: ``Mamba``, ``Mamba2``."""

    in_proj: nn.Linear
    out_proj: nn.Linear

    def scan(
        self,
        projected: Tensor,
        mask: Tensor | None = None,
        carry: Carry | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, Carry]:
        """What ``in_proj`` gave -> (batch, length, inner), ungated, and the carry after it."""
        ...

    def gated(self, y: Tensor, projected: Tensor) -> Tensor:
        """``y``, gated."""
        ...


def in_segments(
    mixer: ScansGated, hidden: Tensor, mask: Tensor | None = None, reverse: bool = False
) -> Tensor:
    """One direction of a whole mixer: (batch, length, d_model) -> the same, segment by segment."""

    def mix(hidden: Tensor, mask: Tensor | None) -> Tensor:
        out: list[Tensor] = []
        carry = None
        for segment in segments(hidden, reverse):
            part = mixer.in_proj(hidden[:, segment])
            y, carry = mixer.scan(part, None if mask is None else mask[:, segment], carry, reverse)
            out.append(mixer.out_proj(mixer.gated(y, part)))
        return torch.cat(out[::-1] if reverse else out, dim=1) if len(out) > 1 else out[0]

    return groups_of_rows(mix, hidden, mask)


def projector(projection: Callable[[Tensor], Tensor], hidden: Tensor) -> Callable[[slice], Tensor]:
    """The projection of any stretch of ``hidden``: sliced from the whole, or made anew if large."""
    width = getattr(projection, "out_features", hidden.shape[-1])
    if torch.is_grad_enabled() or hidden[..., 0].numel() * width <= KEPT_NUMBERS:
        whole = projection(hidden)
        return lambda segment: whole[:, segment]
    return lambda segment: projection(hidden[:, segment])


def next_edge(x: Tensor, edge: Tensor | None, taps: int, reverse: bool) -> Tensor:
    """The last ``taps`` inputs in time, older ones from the edge where ``x`` is shorter."""
    if x.shape[1] < taps:
        older = x.new_zeros(x.shape[0], taps, x.shape[2]) if edge is None else edge
        x = torch.cat([x, older] if reverse else [older, x], dim=1)
    return x[:, :taps] if reverse else x[:, x.shape[1] - taps :]
