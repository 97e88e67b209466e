"""The CUDA kernels of ``mamba-ssm``, where somebody has installed them; never required.

They know neither masks nor a state to begin from: a call that needs one takes the other engine.
Not run by its authors: no GPU was at hand.
"""

from __future__ import annotations

from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
from torch import Tensor


def selective_scan(
    x: Tensor, step: Tensor, A: Tensor, B: Tensor, C: Tensor, D: Tensor, reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """``reference.selective_scan`` without mask and state."""
    if reverse:
        turned = [each.flip(1) for each in (x, step, B, C)]
        y, last = selective_scan(turned[0], turned[1], A, turned[2], turned[3], D)
        return y.flip(1), last
    channels_first = [each.transpose(1, 2).contiguous() for each in (x, step, B, C)]
    values, steps, drives, reads = channels_first
    y, last = selective_scan_fn(
        values,
        steps.to(values.dtype),
        A.float(),
        drives.to(values.dtype),
        reads.to(values.dtype),
        D.float(),
        delta_softplus=True,
        return_last_state=True,
    )
    return y.transpose(1, 2), last
