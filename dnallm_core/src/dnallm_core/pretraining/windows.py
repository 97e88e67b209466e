"""Training windows: the n-th is a function of the seed and n, so that any step can be made again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from ..errors import CapabilityError
from ..models import Model
from .bases import Bases, reverse_complement
from .contexts import ContextCounts


@dataclass(frozen=True)
class Letters:
    """How a tokenizer of one token a base writes a window, and what the network is to predict."""

    table: NDArray[np.int64]
    """Ids of A, C, G, T and N."""
    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    mask: int
    causal: bool

    @classmethod
    def of(cls, model: Model) -> Letters:
        """Those of a model; CapabilityError where a token is not a base."""
        tokenizer, facts = model.tokenizer, model.manifest
        ids = [tokenizer.encode(each, special_tokens=False).ids for each in "ACGTN"]
        causal = facts.direction == "causal"
        single = all(len(each) == 1 for each in ids) and len({each[0] for each in ids[:4]}) == 4
        pair = tokenizer.encode("AC", special_tokens=False).ids
        if not single or pair != [ids[0][0], ids[1][0]]:
            raise CapabilityError(
                f"The tokens of {facts.title or facts.family} are not single bases.",
                hint="`dnallm pretrain` trains networks that read one base a token.",
            )
        if not causal and tokenizer.mask_id is None:
            raise CapabilityError(f"The tokenizer of {facts.family} has no mask.")
        whole = tokenizer.encode("A", special_tokens=True).ids
        at = whole.index(ids[0][0])
        return cls(
            np.array([each[0] for each in ids], np.int64),
            tuple(whole[:at]),
            tuple(whole[at + 1 :]),
            -1 if tokenizer.mask_id is None else tokenizer.mask_id,
            causal,
        )

    def tokens(self, bases: Bases, hidden: NDArray[np.bool_] | None = None) -> NDArray[np.int64]:
        """(…, length) bases to (…, tokens) ids, with [MASK] where ``hidden``."""
        ids = self.table[bases]
        if hidden is not None:
            ids = np.where(hidden, self.mask, ids)
        ends = ((0, 0),) * (ids.ndim - 1)
        ids = np.pad(ids, (*ends, (len(self.prefix), len(self.suffix))))
        ids[..., : len(self.prefix)] = self.prefix
        if self.suffix:
            ids[..., -len(self.suffix) :] = self.suffix
        return ids

    @property
    def first(self) -> int:
        """The base that the first of the answering tokens predicts."""
        return 0 if not self.causal or self.prefix else 1

    def answering(self, logits: Tensor, length: int) -> Tensor:
        """Of (…, tokens, vocabulary) the rows that predict bases ``first`` to ``length``."""
        start = len(self.prefix) + self.first - (1 if self.causal else 0)
        return logits[..., start : start + length - self.first, :]


@dataclass(frozen=True)
class Windows(Dataset[dict[str, Tensor]]):
    """``count`` windows from random places on random strands, with what is to be predicted.

    Of a masked network, bases 4 to 8 apart: each then has the near context that it would have were
    it masked alone, and one in six gives signal. Of a causal one, all of them. A target is a
    distribution: the base itself, mixed with what ``contexts`` say of it, whose share is ``share``
    in the first ``stable`` windows and then falls to 0.
    """

    bases: Bases
    letters: Letters
    window: int
    count: int
    seed: int
    contexts: ContextCounts | None = None
    share: float = 0.0
    stable: int = 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """``input_ids`` (tokens,), ``targets`` (window - first, 4), ``weights`` of the same rows."""
        if not 0 <= index < self.count:
            raise IndexError(index)
        make = np.random.default_rng([self.seed, index])
        start = int(make.integers(0, len(self.bases) - self.window + 1))
        bases = self.bases[start : start + self.window]
        if make.random() < 0.5:
            bases = reverse_complement(bases)
        known = bases < 4
        targets = np.eye(5, 4, dtype=np.float32)[bases]
        falling = max(0, index - self.stable) / max(1, self.count - self.stable)
        share = self.share * (1 - falling)
        if self.contexts is not None and share:
            targets = (1 - share) * targets + share * self.contexts.expectation(bases, own=True)
        hidden = None
        if not self.letters.causal:
            hidden = known & mask(make, self.window)
        weights = known if hidden is None else hidden
        first = self.letters.first
        return {
            "input_ids": torch.from_numpy(self.letters.tokens(bases, hidden)),
            "targets": torch.from_numpy(targets[first:].astype(np.float32)),
            "weights": torch.from_numpy(weights[first:].astype(np.float32)),
        }


def mask(make: np.random.Generator, length: int) -> NDArray[np.bool_]:
    """Positions 4 to 8 apart, from a random start."""
    steps = make.integers(4, 9, size=length // 4 + 2)
    places = np.cumsum(steps) - make.integers(1, 9)
    chosen = np.zeros(length, bool)
    chosen[places[(places >= 0) & (places < length)]] = True
    return chosen
