"""Numbers that are no numbers are refused, not passed on as results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import IntegrityError

if TYPE_CHECKING:
    from torch import Tensor


def finite(values: Tensor, model: str) -> Tensor:
    """``values`` as they are; IntegrityError where a network gave infinities or NaN."""
    if bool(values.isfinite().all()):
        return values
    share = 1 - values.isfinite().float().mean().item()
    raise IntegrityError(
        f"{model} gave numbers that are not finite ({share:.2%} of its output, in "
        f"{str(values.dtype).removeprefix('torch.')}).",
        hint="Its weights are damaged, or too large for this number format: try dtype=float32.",
    )
