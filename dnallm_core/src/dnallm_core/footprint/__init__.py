"""What a model needs at a length, batch and dtype: bytes as named terms, each with its basis."""

from __future__ import annotations

from .planning import Plan, plan_training
from .predict import Footprint, Prediction, largest_batch, largest_length, predict, prediction
from .records import Record, Records
from .shape import Shape, shape_of
from .terms import Term
from .training import Training

__all__ = [
    "Footprint",
    "Plan",
    "Prediction",
    "Record",
    "Records",
    "Shape",
    "Term",
    "Training",
    "largest_batch",
    "largest_length",
    "plan_training",
    "predict",
    "prediction",
    "shape_of",
]
