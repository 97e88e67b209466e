"""A genome as numbers, cut into what is trained on and what is held out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import SequenceError
from ..sequences.files.genome import Genome

Bases: TypeAlias = NDArray[np.uint8]  # 0 1 2 3 for A C G T, 4 for anything else

_CODES = np.full(256, 4, np.uint8)
for _code, _letter in enumerate("ACGT"):
    _CODES[ord(_letter)] = _code
LEAST_WINDOWS = 8
"""Held-out windows below which no figure would mean anything."""


@dataclass(frozen=True)
class SplitGenome:
    """The contigs joined (one N between them), less the last ``share``, which is held out."""

    name: str
    digest: str
    """SHA-256 of the file."""
    contigs: tuple[str, ...]
    training: Bases
    held_out: Bases

    @property
    def edge(self) -> int:
        """The number of bases in the training region: the first held-out position, 0-based."""
        return len(self.training)

    @property
    def length(self) -> int:
        """All bases, the joints included."""
        return len(self.training) + len(self.held_out)


def codes(sequence: str) -> Bases:
    """Letters as numbers."""
    return _CODES[np.frombuffer(sequence.encode("ascii"), np.uint8)]


def read_bases(path: Path) -> tuple[Bases, tuple[str, ...]]:
    """A FASTA file's contigs joined, and their names; SequenceError for anything else."""
    with Genome(path) as genome:
        names = tuple(genome.lengths)
        parts = [codes(genome.fetch(name)) for name in names]
    joint = np.array([4], np.uint8)
    joined = [part for each in parts for part in (joint, each)][1:]
    return np.concatenate(joined) if joined else np.zeros(0, np.uint8), names


def split_genome(path: Path, window: int, share: float = 0.1) -> SplitGenome:
    """Hold out the last ``share`` of a genome.

    Raises SequenceError where either part is too short for windows, or is mostly no bases.
    """
    bases, names = read_bases(path)
    edge = round(len(bases) * (1 - share))
    least = LEAST_WINDOWS * window
    if min(edge, len(bases) - edge) < least:
        needed = int(np.ceil(least / min(share, 1 - share)))
        raise SequenceError(
            f"{path} has {len(bases):,} bases: held out would be {len(bases) - edge:,}, and "
            f"{LEAST_WINDOWS} windows of {window:,} bp need {least:,}.",
            record=names[0] if names else "",
            hint=f"A genome of {needed:,} bp or more can be split; or take a smaller --window.",
        )
    known = float((bases < 4).mean())
    if known < 0.5:
        raise SequenceError(
            f"Of {path}, {1 - known:.0%} is N or another code for several bases.",
            hint="Give a genome whose bases are known.",
        )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return SplitGenome(path.name, digest, names, bases[:edge], bases[edge:])


def reverse_complement(bases: Bases) -> Bases:
    """The other strand, read its own way."""
    return np.where(bases < 4, 3 - bases, 4)[..., ::-1].astype(np.uint8)
