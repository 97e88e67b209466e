"""Floating-point operations of one sequence: what a roofline divides a device's rate by."""

from __future__ import annotations

from ..manifest.model import ModelManifest
from .shape import shape_of


def operations(model: ModelManifest, tokens: int, training: bool = False) -> float:
    """Two a parameter and token, and attention's share; three times that with the backward pass.

    Kaplan et al. 2020 (arXiv:2001.08361), section 2.1: 2 N forward, and for attention 2 a layer,
    width and context position, for the scores and again for the weighted sum.
    """
    shape = shape_of(model)
    parameters = model.parameters or 12 * shape.layers * shape.width**2
    attention = 4 * shape.attention_layers * shape.heads * shape.head_width * tokens
    return float((2 * parameters + attention) * tokens * shape.strands * (3 if training else 1))
