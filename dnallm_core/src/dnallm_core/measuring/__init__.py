"""What a model costs, measured: random weights at real size, one process a run, terms fitted."""

from __future__ import annotations

from .fitting import Fit, Point, fit
from .measure import Measurement, measure
from .writing import write_overlay, write_plugin_facts

__all__ = [
    "Fit",
    "Measurement",
    "Point",
    "fit",
    "measure",
    "write_overlay",
    "write_plugin_facts",
]
