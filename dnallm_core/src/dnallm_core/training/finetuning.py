"""Fine-tune a model on labelled sequences: in full, by low-rank adapters, or its head alone."""

from __future__ import annotations

import json
import logging
import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import RequirementError
from ..models import Embeds, Model
from ..models.batching import require
from .extra import needs
from .metrics import FIRST
from .objectives import Objective
from .tokens import flat, label_tokens
from .trial import Trial

if TYPE_CHECKING:
    from ..models.heads import HeadedNetwork

METHODS = ("full", "lora", "head")
_RATES = {"full": 3e-5, "lora": 5e-4, "head": 1e-3}


@dataclass(frozen=True)
class Recipe:
    """How a model is fine-tuned; ``rate`` None means the method's own default.

    A step of the optimiser sees ``batch`` x ``accumulate`` rows, of which at most ``batch`` go through
    the network at once: fewer where the memory at hand asks for it.
    """

    method: str = "full"
    epochs: int = 10
    batch: int = 16
    accumulate: int = 1
    rate: float | None = None
    patience: int = 3
    seeds: tuple[int, ...] = (0,)
    rank: int = 8
    layer: int = -1
    both_strands: bool = False
    balanced: bool = False
    recompute: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RequirementError(
                f"There is no method {self.method!r}.", hint=f"One of {', '.join(METHODS)}."
            )
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise RequirementError(
                f"A learning rate is above 0, not {self.learning_rate:g}.",
                hint=f"Of {self.method} the default is {_RATES[self.method]:g}.",
            )

    @property
    def learning_rate(self) -> float:
        """The rate in force."""
        return _RATES[self.method] if self.rate is None else self.rate


def fine_tune(
    model: Model,
    trial: Trial,
    recipe: Recipe,
    folder: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    memory: int | None = None,
    tensorboard: bool = False,
    callbacks: Sequence[Any] = (),
    say: Callable[[str], None] = lambda _: None,
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Train once a seed, keep the run whose validation loss is least, and write it into ``folder``.

    A fifth of the training rows, near-duplicates together, is validation: it stops the training and
    chooses the run; the test rows are predicted once. ``folder/work`` holds checkpoints until all is
    done, so that a run that was interrupted goes on. ``memory``: bytes to plan for; what is free on
    the model's device unless said.
    Returns the report's entry and the predictions of the test rows.
    """
    from .trained import load_parameters, save_parameters

    require(model, Embeds, "has no token states to put a head on", "embedding")
    if trial.labelled.kind == "token-classification" and recipe.both_strands:
        raise RequirementError(
            "Labels of single bases are learned from one strand.", hint="Leave out --both-strands."
        )
    needs("accelerate", "fine-tuning")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    ((training, test),) = trial.pairs
    (learned, held), *_ = trial.inner_folds(training, 5, recipe.seeds[0])
    parent = folder / "work" / "parent.safetensors"
    if recipe.method != "head" and not parent.exists():  # on disk: memory is for training
        parent.parent.mkdir(parents=True, exist_ok=True)
        save_parameters(model.module, parent)
    runs, predicted = [], []
    for number, seed in enumerate(recipe.seeds):
        work = folder / "work" / f"seed-{seed}"
        finished = work / "finished.json"
        logs = folder / "tensorboard" / f"seed-{seed}" if tensorboard else None
        if not finished.exists():
            if len(recipe.seeds) > 1:
                say(f"seed {seed}, {number + 1} of {len(recipe.seeds)}")
            _one_run(
                model, trial, (training[learned], training[held], test), recipe, seed, work,
                facts or {}, memory, logs, callbacks, say,
            )  # fmt: skip
            if recipe.method != "head":
                load_parameters(model.module, parent)
        runs.append(json.loads(finished.read_text()))
        predicted.append(np.load(work / "predicted.npy", allow_pickle=False))
    best = int(np.argmin([run["loss"] for run in runs]))
    name = f"fine-tuned, {recipe.method}"
    entry = trial.judged(name, "model", predicted[best], {**asdict(recipe), **runs[best]["counts"]})
    entry["settings"]["rate"] = recipe.learning_rate
    entry["settings"]["memory"] = runs[best]["memory"]
    trial.notes.append(f"Trained with {runs[best]['memory']['sentence']}.")
    entry["histories"] = [run["history"] for run in runs]
    if len(runs) > 1:
        figure = FIRST[trial.labelled.kind]
        values = [trial.judged(name, "model", each, {})["figures"][figure][0] for each in predicted]
        entry["seeds"] = {str(s): value for s, value in zip(recipe.seeds, values, strict=True)}
        known = [value for value in values if value is not None]
        trial.notes.append(
            f"{figure} over {len(runs)} seeds: {np.mean(known):.3f} ± {np.std(known):.3f}; the "
            f"model that is kept is that of seed {recipe.seeds[best]}, chosen on validation rows."
        )
    _keep(folder, folder / "work" / f"seed-{recipe.seeds[best]}", entry)
    return entry, predicted[best]


def _one_run(
    model: Model,
    trial: Trial,
    parts: tuple[NDArray[np.int64], ...],
    recipe: Recipe,
    seed: int,
    work: Path,
    facts: Mapping[str, Any],
    memory: int | None,
    logs: Path | None,
    callbacks: Sequence[Any],
    say: Callable[[str], None],
) -> None:
    """Train with one seed and leave the trained model, its predictions and losses in ``work``."""
    import torch

    from ..models.heads import Head, HeadedNetwork, width_of
    from . import adapters, batches
    from .recomputation import recompute
    from .trained import load_parameters, predict_bases, save_parameters, save_trained
    from .trainer import Losses, learn

    data = trial.labelled
    training, validation, test = (data.rows(each) for each in parts)
    objective = Objective.of(training, balanced=recipe.balanced)
    torch.manual_seed(seed)
    head = Head(width_of(model, recipe.layer), data.outputs).to(model.device)
    network = HeadedNetwork(
        model,
        head,
        layer=recipe.layer,
        both_strands=recipe.both_strands,
        frozen=recipe.method == "head",
        each_token=data.kind == "token-classification",
    )
    for parameter in model.module.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(recipe.method == "full")
    inserted = 0
    if recipe.method == "lora":
        inserted = adapters.insert(model, rank=recipe.rank, layer=recipe.layer)
    trained = sum(each.numel() for each in network.parameters() if each.requires_grad)
    say(f"training {trained:,} of {sum(each.numel() for each in network.parameters()):,} numbers")
    rows = [_with_targets(network, objective, each) for each in (training, validation)]
    lengths = {len(row["input_ids"]) for part in rows for row in part}
    unpadded = not model.pads and len(lengths) > 1
    planned = batches.plan(
        model, replace(recipe, batch=1, accumulate=recipe.batch * recipe.accumulate)
        if unpadded else recipe, max(lengths), memory=memory,
    )  # fmt: skip
    say(batches.sentence(planned))
    undo = recompute(model.module) if planned.training.recompute else lambda: None
    start = work / "start.safetensors"
    work.mkdir(parents=True, exist_ok=True)
    save_parameters(network, start, trained_alone=True)
    used: dict[str, int] = {}

    def attempt(at_once: int, accumulate: int) -> dict[str, Any]:
        used.update(rows_at_once=at_once, accumulated=accumulate)
        return learn(
            network,
            objective,
            *rows,
            work=work,
            seed=seed,
            epochs=recipe.epochs,
            batch=at_once,
            accumulate=accumulate,
            rate=recipe.learning_rate,
            patience=recipe.patience,
            logs=logs,
            callbacks=[Losses(say), *callbacks],
        )

    try:
        found = batches.halving(
            attempt,
            planned.rows,
            planned.accumulate,
            before_again=lambda: load_parameters(network, start),
            say=say,
        )
    finally:
        undo()
    start.unlink()
    found["memory"] = {
        **used, "recomputed": planned.training.recompute, "predicted_bytes": planned.needed,
        "memory_bytes": planned.memory, "sentence": batches.sentence(planned),
    }  # fmt: skip
    counts = {"trained_parameters": trained, "training_rows": len(training)}
    if recipe.method == "lora":
        counts["adapters"] = inserted
        adapters.merge(model.module)
    encoded = network.rows(test.sequences, test.names)
    if network.each_token:
        answers = flat(predict_bases(network, objective, encoded, test.sequences))
    else:
        answers = objective.predictions(network.outputs(encoded))
    np.save(work / "predicted.npy", answers)
    details = {
        **facts, "kind": data.kind, "classes": list(data.classes), "recipe": asdict(recipe),
        "seed": seed,
    }  # fmt: skip
    save_trained(work / "trained", network, objective, details)
    (work / "finished.json").write_text(json.dumps({**found, "counts": counts}))


def _with_targets(network: HeadedNetwork, objective: Objective, data: Any) -> list[dict[str, Any]]:
    rows = network.rows(data.sequences, data.names)
    if network.each_token:
        for row, labels in zip(rows, data.targets, strict=True):
            row["labels"] = label_tokens(row["offsets"], labels, data.outputs)
        return rows
    for row, target in zip(rows, objective.encoded(data.targets), strict=True):
        row["labels"] = target
    return rows


def _keep(folder: Path, work: Path, entry: Mapping[str, Any]) -> None:
    """Move a seed's trained model into the folder, with its figures."""
    path = work / "trained" / "model.json"
    facts = json.loads(path.read_text())
    facts["figures"] = entry["figures"]
    path.write_text(json.dumps(facts, indent=1) + "\n")
    for each in (work / "trained").iterdir():
        target = folder / each.name
        if target.is_dir():
            shutil.rmtree(target)
        each.replace(target)
