"""Probe a model: how much of a question its frozen embeddings answer, beside the baselines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RequirementError
from ..models import Embeds, Model
from ..models.batching import TOKENS_A_BATCH, require
from ..models.embedding import check_pooling
from .baselines import convolution_baseline, kmer_baseline
from .embedding_cache import cached_embeddings
from .estimators import estimators_for, fit_and_predict
from .trial import Trial

Predicted = dict[str, NDArray[Any]]


def probe(
    model: Model,
    trial: Trial,
    *,
    pooling: str = "mean",
    layer: int = -1,
    both_strands: bool = False,
    baselines: bool = True,
    seed: int = 0,
    batch_tokens: int = TOKENS_A_BATCH,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[list[dict[str, Any]], Predicted]:
    """Judge logistic or ridge regression and nearest neighbours on frozen embeddings.

    Settings are chosen by cross-validation within each training part alone (nested). Returns an
    entry a method (see ``Trial.judged``), and the predictions of the test rows by method.
    """
    require(model, Embeds, "has no token states to embed with", "embedding")
    check_pooling(pooling)
    if trial.labelled.kind == "token-classification":
        raise RequirementError(
            "A probe answers for a sequence as a whole; these labels are of single bases.",
            hint="dnallm train learns them (--method head leaves the network frozen).",
        )
    data = trial.labelled
    methods: list[dict[str, Any]] = []
    predicted: Predicted = {}
    began = time.monotonic()
    features, computed = cached_embeddings(
        model,
        data.sequences,
        pooling=pooling,
        layer=layer,
        both_strands=both_strands,
        tokens=batch_tokens,
    )
    say(
        f"embedded {computed:,} sequences in {time.monotonic() - began:.1f} s"
        + (f", {len(data) - computed:,} were known" if computed < len(data) else "")
    )
    for estimator in estimators_for(data.kind):
        name = f"embeddings, {estimator}"
        parts, chosen = [], []
        for training, test in trial.pairs:
            found, setting = fit_and_predict(
                estimator,
                data.rows(training),
                features[training],
                features[test],
                trial.inner_folds(training, 3, seed),
            )
            parts.append(found)
            chosen.append(setting)
        predicted[name] = np.concatenate(parts)
        settings = {
            "pooling": pooling, "layer": layer, "both_strands": both_strands, "chosen": chosen,
        }  # fmt: skip
        methods.append(trial.judged(name, "model", predicted[name], settings))
    if baselines:
        add_baselines(trial, methods, predicted, seed=seed, say=say)
    return methods, predicted


def add_baselines(
    trial: Trial,
    methods: list[dict[str, Any]],
    predicted: Predicted,
    *,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Judge both baselines on the same rows, and add them."""
    runs: dict[str, Any] = {"k-mer counts": kmer_baseline, "small CNN": convolution_baseline}
    if trial.labelled.kind == "token-classification":
        from .token_baselines import convolution_token_baseline, window_baseline

        runs = {"bases nearby": window_baseline, "small CNN": convolution_token_baseline}
    for name, run in runs.items():
        began = time.monotonic()
        predicted[name], settings = run(trial, seed=seed)
        methods.append(trial.judged(name, "baseline", predicted[name], settings))
        say(f"{name} in {time.monotonic() - began:.1f} s")
