"""Cosines and sines of rotary positions, as they are and stretched to longer input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def rotary_table(
    positions: Tensor,
    dim: int,
    *,
    base: float,
    scaling: Mapping[str, Any] | None,
    trained: int,
    dtype: torch.dtype,
) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each (batch or 1, 1, tokens, dim), halves paired (Su et al. 2021).

    ``positions`` (batch or 1, tokens). ``scaling``: {"type": "linear", "factor": f} divides the
    positions by f; "dynamic" enlarges the base for rows longer than ``trained`` (NTK-aware, by the
    row's own length, so that a row does not depend on its batch).
    """
    place = positions.float()
    bases = torch.full_like(place[:, :1], base)
    kind, factor = (scaling or {}).get("type"), float((scaling or {}).get("factor", 1.0))
    if kind == "linear":
        place = place / factor
    elif kind == "dynamic":
        length = place.amax(-1, keepdim=True) + 1
        longer = base * (factor * length / trained - (factor - 1)).clamp(min=1) ** (dim / (dim - 2))
        bases = torch.where(length > trained, longer, bases)
    exponent = torch.arange(0, dim, 2, device=positions.device).float() / dim
    frequencies = 1.0 / bases**exponent  # (batch or 1, dim / 2)
    angle = place[..., None] * frequencies[:, None]  # (batch or 1, tokens, dim / 2)
    angle = torch.cat((angle, angle), dim=-1)[:, None]
    return angle.cos().to(dtype), angle.sin().to(dtype)
