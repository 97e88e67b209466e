"""What the manifest says is what the code builds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation

# The tree of a GPN-Star comes with its weights, and holds no parameters.
SMALLEST_TREE = {"clades": [0, 1], "in_clade": [0.0, 0.0], "to_clades": [[0.0, 1.0], [1.0, 0.0]],
                 "max_evol_dist": 1.0}  # fmt: skip
AUTHORS_NAMES = {
    "width": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feed_forward": "intermediate_size",
    "vocabulary": "vocab_size",
}
MODELS = [key for key, model in catalog().items() if model.plugin == "dnallm-gpn"]


def test_every_published_model_is_listed() -> None:
    assert sum(name.startswith("gpn-star-") for name in MODELS) == 8
    assert {"gpn-brassicales", "gpn-animal-promoter", "gpn-msa-sapiens", "phylogpn"} <= set(MODELS)


@pytest.mark.parametrize("name", MODELS)
def test_parameters_are_counted(name: str) -> None:
    manifest = catalog()[name]
    implementation = find_implementation(manifest)
    settings = manifest.config or _authors_names(manifest.extra["shape"])
    network = build(implementation, implementation.read_config(None, settings, None))
    counted = sum(each.numel() for each in network.parameters())
    assert manifest.parameters in (counted, None)


def test_an_alignment_is_said_to_be_needed() -> None:
    zoo = catalog()
    assert zoo["gpn-msa-sapiens"].inputs == ("sequence", "alignment")
    assert "gpn-msa-sapiens" not in [each.id for each in zoo.query(inputs="sequence")]
    assert len(zoo["gpn-msa-sapiens"].extra["species"]) == 89


def test_published_receptive_fields() -> None:
    zoo = catalog()
    fields = {}
    for name in ("gpn-brassicales", "gpn-animal-promoter", "phylogpn"):
        implementation = find_implementation(zoo[name])
        network = build(implementation, implementation.read_config(None, zoo[name].config, None))
        fields[name] = network.receptive_field()
    assert fields == {
        "gpn-brassicales": (1012, 1012),
        "gpn-animal-promoter": (4082, 4082),
        "phylogpn": (240, 240),
    }


def _authors_names(shape: Mapping[str, int]) -> dict[str, Any]:
    return {**{AUTHORS_NAMES[word]: size for word, size in shape.items()}, **SMALLEST_TREE}
