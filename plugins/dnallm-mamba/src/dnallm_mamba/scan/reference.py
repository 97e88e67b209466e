"""The selective scan and its convolution as one reads them in the paper: the meaning, not the speed.

Every other engine is tested against these two functions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    edge: Tensor | None = None,
    reverse: bool = False,
) -> Tensor:
    """Causal depthwise convolution, then SiLU: a channel sees itself and its last taps - 1 inputs.

    ``x`` (batch, length, width), ``weight`` (width, taps), ``bias`` (width,). ``edge`` (batch,
    taps - 1, width): the inputs just before the first position, zeros where None. With ``reverse``
    time runs from the right: the taps reach rightwards and ``edge`` holds the inputs just after the
    last position.
    """
    if reverse:
        edge = None if edge is None else edge.flip(1)
        return convolve(x.flip(1), weight, bias, edge).flip(1)
    width, taps = weight.shape
    if edge is None:
        edge = x.new_zeros(x.shape[0], taps - 1, width)
    padded = torch.cat([edge.to(x.dtype), x], dim=1).transpose(1, 2)
    mixed = F.conv1d(padded, weight[:, None].to(x.dtype), _cast(bias, x), groups=width)
    return F.silu(mixed.transpose(1, 2))


def selective_scan(
    x: Tensor,
    step: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor,
    mask: Tensor | None = None,
    state: Tensor | None = None,
    reverse: bool = False,
    gate: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The state-space recurrence whose parameters depend on the input (arXiv 2312.00752, alg. 2).

        delta_t = softplus(step_t), 0 where the mask is 0
        h_t     = exp(delta_t A) h_{t-1} + delta_t x_t B_t
        y_t     = C_t h_t + D x_t, times silu(gate_t) where there is a gate

    ``x``, ``step``, ``gate`` (batch, length, width); ``A`` (width, states), negative; ``B``, ``C``
    (batch, length, states); ``D`` (width,); ``mask`` (batch, length), 1 where real;
    ``state`` (batch, width, states), h before the first position, zeros where None. With
    ``reverse`` time runs from the last position to the first. Gives ``y`` in the dtype of ``x``
    and the last state in float32; the recurrence itself always runs in float32 (or float64 where
    ``A`` is).
    """
    exact = A.dtype
    delta = F.softplus(step.to(exact))  # (batch, length, width)
    if mask is not None:
        delta = delta * mask.to(exact)[..., None]
    if state is None:
        state = x.new_zeros(x.shape[0], *A.shape, dtype=exact)
    outputs: list[Tensor] = []
    order = range(x.shape[1])
    for t in reversed(order) if reverse else order:
        decay = torch.exp(delta[:, t, :, None] * A)  # (batch, width, states)
        drive = (delta[:, t] * x[:, t].to(exact))[..., None] * B[:, t, None].to(exact)
        state = decay * state + drive
        outputs.append((state * C[:, t, None].to(exact)).sum(-1) + D.to(exact) * x[:, t].to(exact))
    if reverse:
        outputs.reverse()
    return gated(torch.stack(outputs, dim=1).to(x.dtype), gate), state


def gated(y: Tensor, gate: Tensor | None) -> Tensor:
    """``y`` times the SiLU of ``gate``; without gradients in the memory that SiLU has just made."""
    if gate is None:
        return y
    opened = F.silu(gate)
    return opened * y if torch.is_grad_enabled() else opened.mul_(y)


def _cast(tensor: Tensor | None, like: Tensor) -> Tensor | None:
    return None if tensor is None else tensor.to(like.dtype)
