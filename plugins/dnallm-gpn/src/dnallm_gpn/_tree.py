"""What GPN-Star needs of a phylogenetic tree: clades, and distances to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from dnallm_core.errors import CheckpointError
from numpy.typing import NDArray

FOLDER = "phylo_dist"


def tree_settings(folder: Path, threshold: float) -> dict[str, Any]:
    """``clades``, ``in_clade``, ``to_clades`` and ``max_evol_dist`` from a checkpoint's tree files.

    ``pairwise.npy`` (species, species) and ``in_clade.npy`` (species,), in ``phylo_dist`` beside the
    weights, the target first. Raises CheckpointError where they are missing or no distances.
    """
    pairwise = _array(folder / FOLDER / "pairwise.npy")
    in_clade = _array(folder / FOLDER / "in_clade.npy")
    if pairwise.ndim != 2 or pairwise.shape[0] != pairwise.shape[1] or not len(pairwise):
        raise CheckpointError(f"{FOLDER}/pairwise.npy holds no table of distances between species.")
    if in_clade.shape != (len(pairwise),):
        raise CheckpointError(
            f"{FOLDER}/in_clade.npy holds {in_clade.size} distances for {len(pairwise)} species."
        )
    labels = clade_labels(pairwise, threshold)
    means = np.stack(
        [pairwise[:, labels == clade].mean(axis=1) for clade in range(labels.max() + 1)], axis=1
    )
    return {
        "clades": labels.tolist(),
        "in_clade": in_clade.tolist(),
        "to_clades": means.tolist(),
        "max_evol_dist": float(pairwise.max()),
    }


def clade_labels(pairwise: NDArray[np.floating[Any]], threshold: float) -> NDArray[np.int64]:
    """A number a species: those within ``threshold`` of one another, and of those, are one clade.

    Single linkage; clades are numbered by their first species.
    """
    labels = np.full(len(pairwise), -1, dtype=np.int64)
    for first in range(len(pairwise)):
        if labels[first] >= 0:
            continue
        number = labels.max() + 1
        labels[first] = number
        waiting = [first]
        while waiting:
            near = (pairwise[waiting.pop()] <= threshold) & (labels < 0)
            labels[near] = number
            waiting.extend(np.flatnonzero(near).tolist())
    return labels


def _array(path: Path) -> NDArray[np.float64]:
    try:
        return np.load(path, allow_pickle=False).astype(np.float64)
    except FileNotFoundError:
        raise CheckpointError(
            f"The checkpoint holds no {FOLDER}/{path.name}: the species' tree is needed.",
            hint="Its authors publish phylo_dist/ beside the weights.",
        ) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as an array: {error}.") from error
