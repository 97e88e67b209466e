"""Embeddings by content: what one model gave one sequence under one setting is computed once.

A file a model and setting lies in ``CACHE/embeddings``; its name is the hash of the network's
tensors and of the settings, so that other weights under the same name never answer.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..models import Model
from ..models.embedding import embed
from ..models.fingerprint import fingerprint
from ..weights.storage import cache_root


def cached_embeddings(
    model: Model,
    sequences: Sequence[str],
    *,
    pooling: str = "mean",
    layer: int = -1,
    both_strands: bool = False,
    **limits: int,
) -> tuple[NDArray[np.float32], int]:
    """Vectors (n, width) float32, and how many of the sequences had to be embedded."""
    settings = {"pooling": pooling, "layer": layer, "both_strands": both_strands}
    key = hashlib.sha256(f"{fingerprint(model)} {json.dumps(settings)}".encode()).hexdigest()[:32]
    path = cache_root() / "embeddings" / f"{key}.npz"
    known: dict[bytes, NDArray[np.float32]] = {}
    if path.exists():
        try:
            with np.load(path, allow_pickle=False) as stored:
                digests, vectors = stored["digests"], stored["vectors"]
            known = {row.tobytes(): each for row, each in zip(digests, vectors, strict=True)}
        except (OSError, ValueError, KeyError, EOFError):
            known = {}  # damaged: it is only a cache
    names = [hashlib.sha256(each.encode()).digest() for each in sequences]
    lacking = {name: each for name, each in zip(names, sequences, strict=True) if name not in known}
    if lacking:
        vectors = embed(model, list(lacking.values()), **settings, **limits)  # type: ignore[arg-type]
        known.update(zip(lacking, vectors, strict=True))
        _store(path, known)
    return np.stack([known[name] for name in names]), len(lacking)


def _store(path: Any, known: dict[bytes, NDArray[np.float32]]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digests = np.array([np.frombuffer(name, np.uint8) for name in known])
        temporary = path.with_suffix(
            f".{hashlib.sha256(digests.tobytes()).hexdigest()[:8]}.writing"
        )
        with temporary.open("wb") as file:
            np.savez(file, digests=digests, vectors=np.stack(list(known.values())))
        temporary.replace(path)
    except OSError:
        return  # a cache that can't be written costs time, not the result
