"""What a model needs at a length, batch and dtype: bytes as named terms, each with its basis."""

from __future__ import annotations

from .predict import Footprint, Prediction, largest_batch, largest_length, predict, prediction
from .records import Record, Records
from .shape import Shape, shape_of
from .terms import Term

__all__ = [
    "Footprint",
    "Prediction",
    "Record",
    "Records",
    "Shape",
    "Term",
    "largest_batch",
    "largest_length",
    "predict",
    "prediction",
    "shape_of",
]
