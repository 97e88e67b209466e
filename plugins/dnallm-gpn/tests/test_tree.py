"""GPN-Star's tree: clades by single linkage, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from dnallm_core.errors import CheckpointError
from dnallm_gpn._tree import clade_labels, tree_settings
from dnallm_gpn.gpn_star import GPNStar

import dnallm_core

GOLDEN = Path(__file__).parent / "golden/gpn-star/gpn_star"


def test_neighbours_of_neighbours_are_one_clade() -> None:
    places = np.array([0.0, 5.0, 0.2, 0.4, 5.1, 9.0])
    pairwise = np.abs(places[:, None] - places)
    assert clade_labels(pairwise, 0.25).tolist() == [0, 1, 0, 0, 1, 2]
    assert clade_labels(pairwise, 0.05).tolist() == [0, 1, 2, 3, 4, 5]


def test_distances_to_clades_are_means_over_their_members(tmp_path: Path) -> None:
    (tmp_path / "phylo_dist").mkdir()
    np.save(tmp_path / "phylo_dist/pairwise.npy", np.array([[0, 1, 4], [1, 0, 6], [4, 6, 0.0]]))
    np.save(tmp_path / "phylo_dist/in_clade.npy", np.array([0.5, 0.5, 0.0]))
    tree = tree_settings(tmp_path, 1.0)
    assert tree["clades"] == [0, 0, 1]
    assert tree["to_clades"] == [[0.5, 4.0], [0.5, 6.0], [5.0, 0.0]]
    assert tree["max_evol_dist"] == 6.0


def test_a_checkpoint_without_its_tree_is_refused(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "checkpoint")
    shutil.rmtree(tmp_path / "checkpoint/phylo_dist")
    with pytest.raises(CheckpointError, match=r"no phylo_dist/pairwise\.npy: the species' tree"):
        dnallm_core.load("gpn-star", weights=tmp_path / "checkpoint", device="cpu")


@pytest.mark.parametrize(
    ("name", "array", "sentence"),
    [
        ("pairwise", np.zeros((3, 2)), "no table of distances"),
        ("in_clade", np.zeros(3), "holds 3 distances for 11 species"),
    ],
)
def test_a_tree_of_the_wrong_shape_is_refused(tmp_path: Path, name, array, sentence) -> None:
    shutil.copytree(GOLDEN, tmp_path / "checkpoint")
    np.save(tmp_path / f"checkpoint/phylo_dist/{name}.npy", array)
    with pytest.raises(CheckpointError, match=sentence):
        dnallm_core.load("gpn-star", weights=tmp_path / "checkpoint", device="cpu")


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "checkpoint")
    path = tmp_path / "checkpoint/phylo_dist/in_clade.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CheckpointError, match="cannot be read as an array"):
        dnallm_core.load("gpn-star", weights=tmp_path / "checkpoint", device="cpu")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [({"model_type": "GPN"}, "not GPNStar"), ({"time_enc": "sine_1"}, "only fire_N is known")],
)
def test_other_networks_are_refused(settings, sentence: str) -> None:
    with pytest.raises(CheckpointError, match=sentence):
        GPNStar.read_config(None, settings, None)


def test_an_alignment_is_needed(golden) -> None:
    module = golden("gpn-star/gpn_star").model.module
    with pytest.raises(ValueError, match="reads an alignment"):
        module(input_ids=torch.tensor([[1, 2]]))


def test_several_targets_are_read_as_the_authors_call_it(golden) -> None:
    module = golden("gpn-star/gpn_star").model.module
    source = torch.randint(0, 5, (1, 12, 11), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = module(
            input_ids=source[..., [0, 4]],
            source_ids=source,
            target_species=torch.tensor([[0, 4]]),
        ).logits
        alone = module(input_ids=source[..., 0], aux_features=source[..., 1:]).logits
    assert together.shape == (1, 12, 2, 6)
    torch.testing.assert_close(together[:, :, 0], alone)
