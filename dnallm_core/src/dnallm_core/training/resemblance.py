"""Which sequences resemble one another: minhash over k-mers, both strands taken as one.

Two sequences are near-duplicates where the identity that their k-mers imply is at least 0.9:
``1 + ln(2j / (1 + j)) / k`` for a Jaccard index j (Mash, Ondov et al. 2016, equation 4). Of short
sequences every k-mer counts, so that j is exact; of long ones those whose hash lies below a
threshold that all share (FracMinHash, Irber et al. 2022). A long shared stretch counts as well as
few substitutions: both let a model remember instead of understand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .extra import needs

IDENTITY = 0.9
_KMERS_HELD = 20_000_000  # of all sequences together; beyond, a share of them stands for all
_CODES = np.full(256, 4, dtype=np.uint8)
_CODES[list(b"ACGT")] = [0, 1, 2, 3]


def near_duplicates(sequences: Sequence[str], *, identity: float = IDENTITY) -> NDArray[np.int64]:
    """Pairs (n, 2) of places in ``sequences``, the first the smaller, that are near-duplicates."""
    sparse = needs("scipy.sparse", "comparing sequences")
    sets, k = _kmer_sets(sequences)
    sizes = np.array([len(each) for each in sets])
    hashes = np.concatenate(sets) if sets else np.empty(0, np.uint64)
    _, columns = np.unique(hashes, return_inverse=True)
    rows = np.repeat(np.arange(len(sets)), sizes)
    table: Any = sparse.csr_matrix(
        (np.ones(len(rows), np.int32), (rows, columns.ravel())), shape=(len(sets), columns.size + 1)
    )
    other = table.T.tocsr()
    implied = np.exp(k * (identity - 1))
    least = implied / (2 - implied)  # the Jaccard index at that identity
    found = []
    for start in range(0, len(sets), 512):
        shared = (table[start : start + 512] @ other).tocoo()
        left, right, both = shared.row + start, shared.col, shared.data
        kept = left < right
        left, right, both = left[kept], right[kept], both[kept]
        alike = both / (sizes[left] + sizes[right] - both) >= least
        found.append(np.stack([left[alike], right[alike]], axis=1))
    return np.concatenate(found).astype(np.int64) if found else np.empty((0, 2), np.int64)


def clusters(sequences: Sequence[str], *, identity: float = IDENTITY) -> NDArray[np.int64]:
    """A number a sequence: equal where a chain of near-duplicates joins two (single linkage)."""
    sparse = needs("scipy.sparse", "comparing sequences")
    graph = needs("scipy.sparse.csgraph", "comparing sequences")
    pairs = near_duplicates(sequences, identity=identity)
    joined = sparse.coo_matrix(
        (np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(sequences),) * 2
    )
    return np.asarray(graph.connected_components(joined, directed=False)[1], dtype=np.int64)


def leaked(
    training: Sequence[str], test: Sequence[str], *, identity: float = IDENTITY
) -> NDArray[np.int64]:
    """Places of the test sequences that have a near-duplicate among the training ones."""
    pairs = near_duplicates([*training, *test], identity=identity)
    across = (pairs[:, 0] < len(training)) & (pairs[:, 1] >= len(training))
    return np.unique(pairs[across, 1] - len(training))


def _kmer_sets(sequences: Sequence[str]) -> tuple[list[NDArray[np.uint64]], int]:
    """Distinct hashed k-mers of each, and k: large enough that chance shares next to none."""
    longest = max(map(len, sequences), default=0)
    k = 12 if longest <= 4_000 else 16 if longest <= 100_000 else 21
    total = sum(map(len, sequences))
    share = min(1.0, _KMERS_HELD / max(total, 1))
    return [_kmers(each, k, share) for each in sequences], k


def _kmers(sequence: str, k: int, share: float) -> NDArray[np.uint64]:
    codes = _CODES[np.frombuffer(sequence.encode(), np.uint8)]
    if len(codes) < k:
        return _short(codes)
    known = np.lib.stride_tricks.sliding_window_view(codes < 4, k).all(axis=1)
    letters = np.where(codes < 4, codes, 0).astype(np.uint64)
    count = len(codes) - k + 1
    forward = np.zeros(count, np.uint64)
    reverse = np.zeros(count, np.uint64)
    for place in range(k):
        stretch = letters[place : place + count]
        forward = forward << np.uint64(2) | stretch
        reverse = reverse | (np.uint64(3) - stretch) << np.uint64(2 * place)
    hashes = np.unique(_mixed(np.minimum(forward, reverse)[known]))
    if not len(hashes):
        return _short(codes)
    kept = hashes[hashes <= np.uint64(int(share * (2**64 - 1)))] if share < 1 else hashes
    return kept if len(kept) else hashes[:1]


def _short(codes: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """One hash for a sequence without a whole k-mer: only its equals resemble it."""
    other = np.where(codes < 4, 3 - codes.astype(np.int64), 4)[::-1].astype(np.uint8)
    smaller = min(codes.tobytes(), other.tobytes())
    import hashlib

    return np.array([int.from_bytes(hashlib.sha256(smaller).digest()[:8], "big")], np.uint64)


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Hash 64-bit numbers (the finalizer of SplitMix64)."""
    numbers = numbers + np.uint64(0x9E3779B97F4A7C15)
    numbers = (numbers ^ numbers >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ numbers >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    return numbers ^ numbers >> np.uint64(31)
