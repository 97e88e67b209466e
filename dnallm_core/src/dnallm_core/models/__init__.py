"""The architecture-family interfaces, and what a loaded model does in memory."""

from .example import example_vocabulary
from .model import Model
from .protocols import (
    Advance,
    Attends,
    CarriesState,
    Embeds,
    HasReceptiveField,
    PredictsBases,
    PredictsMaskedBases,
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
    "PredictsMaskedBases",
    "PredictsRates",
    "TakesAlignment",
    "example_vocabulary",
]
