"""The architecture-family interfaces, and what a loaded model does in memory."""

from .model import Model
from .protocols import (
    Advance,
    Attends,
    CarriesState,
    Embeds,
    HasReceptiveField,
    PredictsBases,
    PredictsRates,
    TakesAlignment,
)

__all__ = [
    "Advance",
    "Attends",
    "CarriesState",
    "Embeds",
    "HasReceptiveField",
    "Model",
    "PredictsBases",
    "PredictsRates",
    "TakesAlignment",
]
