"""What each kind of labels asks of a network: its loss, and how its outputs become predictions."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .labelled import Labelled
from .tokens import flat

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Objective:
    """Loss and predictions of a kind.

    ``weights``: of each class (classification) or of the positives of each label (multi-label).
    ``mean`` and ``spread``: of the training targets; regression learns standardised ones.
    """

    kind: str
    weights: tuple[float, ...] | None = None
    mean: tuple[float, ...] = ()
    spread: tuple[float, ...] = ()

    @classmethod
    def of(cls, training: Labelled, *, balanced: bool = False) -> Objective:
        """The objective for training rows; ``balanced`` gives rare classes the weight of common ones."""
        targets: Any = training.targets
        if training.kind == "regression":
            spread = np.maximum(targets.std(0), 1e-8)
            return cls("regression", None, tuple(targets.mean(0).tolist()), tuple(spread.tolist()))
        weights = None
        if balanced and training.kind == "classification":
            weights = _balancing(targets, training.outputs)
        elif balanced and training.kind == "token-classification":
            labels = flat(targets)
            weights = _balancing(labels[labels >= 0], training.outputs)
        elif balanced:
            positive = targets.sum(0)
            weights = (len(targets) - positive) / np.maximum(positive, 1)
        return cls(training.kind, None if weights is None else tuple(weights.tolist()))

    def encoded(self, targets: NDArray[Any]) -> Tensor:
        """Targets as the loss takes them."""
        import torch

        if self.kind == "regression":
            return torch.from_numpy(
                ((targets - np.array(self.mean)) / np.array(self.spread)).astype(np.float32)
            )
        return torch.from_numpy(np.ascontiguousarray(targets))

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of (batch, outputs) logits: cross-entropy, binary cross-entropy or squares."""
        import torch
        from torch.nn import functional

        logits = logits.float()
        weights = None if self.weights is None else torch.tensor(self.weights).to(logits)
        if self.kind == "classification":
            return functional.cross_entropy(logits, targets, weight=weights)
        if self.kind == "token-classification":  # (batch, tokens, outputs)
            return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), weight=weights)
        if self.kind == "multi-label":
            return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)
        return functional.mse_loss(logits, targets)

    def predictions(self, logits: Tensor) -> NDArray[np.float64]:
        """Probabilities, or values in the targets' own units (n, outputs)."""
        found = logits.float().cpu()
        if self.kind in ("classification", "token-classification"):
            found = found.softmax(-1)
        elif self.kind == "multi-label":
            found = found.sigmoid()
        numbers: NDArray[np.float64] = found.double().numpy()
        if self.kind == "regression":
            return numbers * np.array(self.spread) + np.array(self.mean)
        return numbers

    def to_json(self) -> dict[str, Any]:
        """Plain data, from which ``Objective(**data)`` is made again."""
        return asdict(self)


def _balancing(labels: NDArray[Any], classes: int) -> NDArray[np.float64]:
    counts = np.bincount(labels, minlength=classes)
    return np.asarray(len(labels) / (classes * np.maximum(counts, 1)))
