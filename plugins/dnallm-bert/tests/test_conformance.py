"""The plugin held to its own manifest by the core's kit; known failures with their reasons."""

from __future__ import annotations

from dnallm_core.testing import PluginConformance

UNPINNED = "no source that was read states the commit of these files"
UNSTATED = "the model cards state no licence; a note is to say so"
STORED = "the authors store a table of positions that their rotary network does not read"


class TestBert(PluginConformance):
    """Every promise of the kit is a test."""

    plugin = "dnallm-bert"
    known_failures = {  # noqa: RUF012
        "*::pins_its_weights": UNPINNED,
        "*::states_a_licence": UNSTATED,
        "nucleotide-transformer-v2::every_parameter_learns": STORED,
        "plant-nucleotide-transformer::every_parameter_learns": STORED,
        "nucleotide-transformer-v2::refuses_a_missing_tensor": STORED,
        "plant-nucleotide-transformer::refuses_a_missing_tensor": STORED,
    }
