"""RMSNorm, in as few passes over its input as PyTorch allows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def rms_norm(hidden: Tensor, weight: Tensor, epsilon: float) -> Tensor:
    """x / sqrt(mean(x^2) + epsilon), computed in float32, then times ``weight``; shape and dtype stay.

    On a CPU PyTorch's own makes four tensors of the input's size; without gradients this makes one.
    """
    if torch.is_grad_enabled() or hidden.device.type != "cpu":
        if hidden.dtype == weight.dtype == torch.float32:
            return F.rms_norm(hidden, weight.shape, weight, epsilon)
        normed = F.rms_norm(hidden.float(), weight.shape, None, epsilon)
        return normed.to(hidden.dtype) * weight
    exact = hidden.float()
    size = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
    scale = size.square_().div_(hidden.shape[-1]).add_(epsilon).rsqrt_()
    return (exact * scale).to(hidden.dtype).mul_(weight)
