"""The CUDA kernels of ``mamba-ssm``, where somebody has installed them; never required.

They know neither masks nor a state to begin from: a call that needs one takes the other engine.
Not run by its authors: no GPU was at hand.
"""

from __future__ import annotations

from mamba_ssm.ops.selective_scan_interface import selective_scan_fn
from torch import Tensor


def selective_scan(
    x: Tensor,
    step: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    reverse: bool = False,
    gate: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """``reference.selective_scan`` without mask and state."""
    given = [x, step, B, C] if gate is None else [x, step, B, C, gate]
    if reverse:
        given = [each.flip(1) for each in given]
    values, steps, drives, reads, *opened = (
        each.transpose(1, 2).contiguous().to(x.dtype) for each in given
    )
    y, last = selective_scan_fn(
        values,
        steps,
        A.float(),
        drives,
        reads,
        D.float(),
        z=opened[0] if opened else None,
        delta_softplus=True,
        return_last_state=True,
    )
    y = y.transpose(1, 2)
    return y.flip(1) if reverse else y, last
