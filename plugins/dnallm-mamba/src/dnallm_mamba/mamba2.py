"""The Mamba-2 mixer (arXiv 2405.21060): one decay a head, so that a chunk is a few matrix products.

Parameter names are mamba_ssm's ``Mamba2``; its defaults hold where ``ssm_cfg`` is silent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import initialization as init

from .mamba import Carry, in_segments, next_edge
from .scan import engine_for

CHUNK = 64
"""Positions a chunk: work inside one is quadratic in it, its state costs as much as 64 positions."""


@dataclass(frozen=True)
class Mamba2Settings:
    """The authors' ``ssm_cfg``, resolved for a width."""

    d_model: int
    d_inner: int
    d_state: int
    d_conv: int
    headdim: int
    ngroups: int
    conv_bias: bool
    bias: bool
    dt_min: float
    dt_max: float
    dt_init_floor: float

    @property
    def heads(self) -> int:
        """Heads, each with one decay."""
        return self.d_inner // self.headdim

    @property
    def convolved(self) -> int:
        """Channels of the convolution: x, B and C."""
        return self.d_inner + 2 * self.ngroups * self.d_state

    @classmethod
    def read(cls, d_model: int, ssm_cfg: Mapping[str, Any]) -> Mamba2Settings:
        """From ``ssm_cfg`` with mamba_ssm's defaults."""
        return cls(
            d_model=d_model,
            d_inner=int(ssm_cfg.get("expand", 2) * d_model),
            d_state=ssm_cfg.get("d_state", 128),
            d_conv=ssm_cfg.get("d_conv", 4),
            headdim=ssm_cfg.get("headdim", 64),
            ngroups=ssm_cfg.get("ngroups", 1),
            conv_bias=ssm_cfg.get("conv_bias", True),
            bias=ssm_cfg.get("bias", False),
            dt_min=ssm_cfg.get("dt_min", 0.001),
            dt_max=ssm_cfg.get("dt_max", 0.1),
            dt_init_floor=ssm_cfg.get("dt_init_floor", 1e-4),
        )


class GatedNorm(nn.Module):
    """RMSNorm of ``y`` times SiLU of the gate, in groups of channels; in float32."""

    def __init__(self, width: int, groups: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.groups, self.epsilon = groups, epsilon
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, y: Tensor, gate: Tensor) -> Tensor:
        """(batch, length, width) each -> the same."""
        gated = (y.float() * F.silu(gate.float())).unflatten(-1, (self.groups, -1))
        normed = F.rms_norm(gated, gated.shape[-1:], None, self.epsilon).flatten(-2)
        return (normed * self.weight.float()).to(self.weight.dtype)


class Mamba2(nn.Module):
    """One direction of a Mamba-2 mixer."""

    def __init__(self, settings: Mamba2Settings, shares: Mamba2 | None = None) -> None:
        super().__init__()
        s = self.settings = settings
        self.in_proj: nn.Linear = (
            shares.in_proj
            if shares
            else nn.Linear(s.d_model, s.d_inner + s.convolved + s.heads, bias=s.bias)
        )
        self.conv1d = nn.Conv1d(
            s.convolved, s.convolved, s.d_conv, groups=s.convolved, bias=s.conv_bias
        )
        self.dt_bias = nn.Parameter(torch.empty(s.heads))
        self.A_log = nn.Parameter(torch.empty(s.heads))
        self.D = nn.Parameter(torch.empty(s.heads))
        self.norm = GatedNorm(s.d_inner, s.ngroups)
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
        """What ``in_proj`` gave -> (batch, length, inner), ungated, and the carry after it.

        Masks as in ``mamba.scan_mixer``.
        """
        s = self.settings
        _, x, step = projected.split([s.d_inner, s.convolved, s.heads], dim=-1)
        if mask is not None:
            x = x * mask[..., None].to(x.dtype)
        edge, state = carry or (None, None)
        engine = engine_for(x.device)
        mixed = engine.convolve(x, self.conv1d.weight[:, 0], self.conv1d.bias, edge, reverse)
        delta = F.softplus(step.float() + self.dt_bias.float())  # (batch, length, heads)
        if mask is not None:
            delta = delta * mask.float()[..., None]
        grouped = s.ngroups * s.d_state
        values, B, C = mixed.split([s.d_inner, grouped, grouped], dim=-1)
        y, state = state_space_dual(
            values.unflatten(-1, (s.heads, s.headdim)),
            delta,
            -torch.exp(self.A_log.float()),
            B.unflatten(-1, (s.ngroups, s.d_state)),
            C.unflatten(-1, (s.ngroups, s.d_state)),
            state,
            reverse,
        )
        y = y + self.D.float()[:, None] * values.unflatten(-1, (s.heads, s.headdim)).float()
        return y.flatten(-2).to(x.dtype), Carry(next_edge(x, edge, s.d_conv - 1, reverse), state)

    def gated(self, y: Tensor, projected: Tensor) -> Tensor:
        """``y`` gated and normed."""
        return self.norm(y, projected[..., : self.settings.d_inner])

    def gated_sum(self, y: Tensor, other: Mamba2, others: Tensor, projected: Tensor) -> Tensor:
        """Both directions of one projection: each has its norm, then they add."""
        return self.gated(y, projected) + other.gated(others, projected)

    def initialize(self) -> None:
        """mamba_ssm's initial values: decays uniform in 1 ... 16, steps log-uniform."""
        s = self.settings
        init.copy_(self.A_log, torch.empty_like(self.A_log).uniform_(1, 16).log())
        init.ones_(self.D)
        init.ones_(self.norm.weight)
        span = math.log(s.dt_max) - math.log(s.dt_min)
        step = (torch.rand(s.heads, device=self.D.device) * span + math.log(s.dt_min)).exp()
        step = step.clamp(min=s.dt_init_floor)
        init.copy_(self.dt_bias, step + torch.log(-torch.expm1(-step)))  # softplus inverted


def state_space_dual(
    x: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    state: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, Tensor]:
    """h_t = exp(delta_t A) h_{t-1} + delta_t x_t B_t and y_t = C_t h_t, chunk by chunk (section 6).

    ``x`` (batch, length, heads, headdim); ``delta`` (batch, length, heads); ``A`` (heads,),
    negative; ``B``, ``C`` (batch, length, groups, states); ``state`` (batch, heads, headdim,
    states). With ``reverse`` time runs from the right. Decays between two positions are exponentials
    of differences, never quotients: they cannot overflow. With gradients, the states between chunks are
    kept and what is inside one is computed again on the way back.
    """
    batch, _, heads, headdim = x.shape
    groups, states = B.shape[2:]
    if state is None:
        state = x.new_zeros(batch, heads, headdim, states, dtype=torch.float32)
    state = state.unflatten(1, (groups, heads // groups))
    out: list[Tensor] = []
    # split at once: the gradient of every slice by itself would be as long as the whole
    chunks = list(zip(*(each.split(CHUNK, 1) for each in (x, delta, B, C)), strict=True))
    for values, steps, drive, read in reversed(chunks) if reverse else chunks:
        part = values, steps, drive, read, A, state, reverse
        if torch.is_grad_enabled():  # keep the state before a chunk, and make the rest of it again
            y, state = checkpoint(_chunk, *part, use_reentrant=False, preserve_rng_state=False)
        else:
            y, state = _chunk(*part)
        out.append(y)
    return torch.cat(out[::-1] if reverse else out, dim=1), state.flatten(1, 2)


def _chunk(
    x: Tensor, delta: Tensor, B: Tensor, C: Tensor, A: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """One chunk from the ``state`` (batch, groups, heads of each, headdim, states) before it."""
    values, steps, drive, read = (each.float() for each in (x, delta, B, C))
    if reverse:
        values, steps, drive, read = (each.flip(1) for each in (values, steps, drive, read))
    split = state.shape[1:3]  # the heads of one group have the same B and C
    exact = torch.float32 if x.device.type == "mps" else torch.float64
    passed = (steps * A).to(exact).cumsum(1).unflatten(-1, split)  # logs of decays
    passed = passed.permute(0, 2, 3, 1)  # (batch, groups, each, chunk)
    between = (passed[..., :, None] - passed[..., None, :]).float()  # from s to t
    later = torch.ones(between.shape[-2:], dtype=torch.bool, device=x.device).tril()
    decay = between.masked_fill(~later, -torch.inf).exp()
    weights = torch.einsum("btgn,bsgn->bgts", read, drive)[:, :, None] * decay
    driven = (values * steps[..., None]).unflatten(2, split)  # delta_t x_t
    y = torch.einsum("bgets,bsgep->btgep", weights, driven)
    since = passed.float().exp()  # from before the chunk to t
    before = torch.einsum("btgn,bgepn->btgep", read, state)
    y = y + before * since.permute(0, 3, 1, 2)[..., None]
    until = (passed[..., -1:] - passed).float().exp()  # from s to the chunk's end
    # two factors at a time: three in one einsum would pass by (chunk, headdim, states)
    arriving = driven * until.permute(0, 3, 1, 2)[..., None]
    gained = torch.einsum("bsgep,bsgn->bgepn", arriving, drive)
    y = y.flatten(2, 3)
    return (y.flip(1) if reverse else y), state * since[..., -1, None, None] + gained
