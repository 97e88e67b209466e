"""PlantCaduceus (PlantCAD, doi 10.1073/pnas.2421738122): Caduceus-PS trained on plant genomes."""

from __future__ import annotations

from .caduceus import Caduceus


class PlantCaduceus(Caduceus):
    """The network of Caduceus-PS with seven tokens and residuals in float32.

    ``pytorch_model.bin`` holds both copies of every tied tensor; ``config.json`` names the class
    without a head, though the head is stored.
    """

    example_letters = (3, 4, 5, 6)
