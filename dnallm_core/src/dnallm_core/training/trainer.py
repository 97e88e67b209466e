"""``transformers.Trainer`` over a network with a head: what it trains, saves and stops at."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import EarlyStoppingCallback, TrainerCallback
from transformers.trainer_utils import get_last_checkpoint

from ..models.heads import HeadedNetwork, Row
from .base_trainer import BaseTrainer, arguments_for
from .objectives import Objective


class Learner(nn.Module):
    """A network with its loss, called as ``Trainer`` calls models."""

    def __init__(self, network: HeadedNetwork, objective: Objective) -> None:
        super().__init__()
        self.network = network
        self.objective = objective

    def forward(self, labels: Tensor, **inputs: Tensor) -> dict[str, Tensor]:
        """``loss`` and ``logits`` of a collated batch."""
        logits = self.network(**inputs)
        return {"loss": self.objective.loss(logits, labels), "logits": logits}


class LearningTrainer(BaseTrainer):
    """A Trainer whose checkpoints hold what is trained."""

    def parameters_to_save(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Those that learn."""
        named = super().parameters_to_save()
        return ((name, each) for name, each in named if each.requires_grad)


class Losses(TrainerCallback):
    """Tells each epoch's losses."""

    def __init__(self, say: Any) -> None:
        self.say = say

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Say the losses of the epoch."""
        training = next((row["loss"] for row in reversed(state.log_history) if "loss" in row), None)
        now = next(row["eval_loss"] for row in reversed(state.log_history) if "eval_loss" in row)
        before = "" if training is None else f"training loss {training:.4f}, "
        self.say(f"epoch {state.epoch:.0f}: {before}validation loss {now:.4f}")


def learn(
    network: HeadedNetwork,
    objective: Objective,
    training: Sequence[Row],
    validation: Sequence[Row],
    *,
    work: Path,
    seed: int,
    epochs: int,
    batch: int,
    accumulate: int,
    rate: float,
    patience: int,
    logs: Path | None = None,
    callbacks: Sequence[Any] = (),
) -> dict[str, Any]:
    """Train in place, from the last checkpoint in ``work`` if there is one.

    The network ends with the parameters of the epoch whose validation loss is least. ``logs``: a
    folder for TensorBoard's. Returns ``loss`` (that one) and ``history``: lines of [epoch, loss].
    """
    device = network.model.device
    steps = max(1, math.ceil(len(training) / (batch * accumulate)) * epochs)
    arguments = arguments_for(
        work,
        device,
        seed=seed,
        batch=batch,
        targets="labels",
        num_train_epochs=epochs,
        gradient_accumulation_steps=accumulate,
        learning_rate=rate,
        weight_decay=0.01,
        warmup_steps=round(0.06 * steps),
        lr_scheduler_type="linear",
        eval_strategy="epoch",
        save_strategy="epoch",
        logging_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        bf16=device.type == "cuda" and torch.cuda.is_bf16_supported(),
    )
    trainer = LearningTrainer(
        model=Learner(network, objective),
        args=arguments,
        train_dataset=list(training),
        eval_dataset=list(validation),
        data_collator=network.collated,
        callbacks=[EarlyStoppingCallback(early_stopping_patience=patience), *callbacks],
    )
    # its forward takes any input, and Trainer would leave the mean over accumulated parts to it
    trainer.model_accepts_loss_kwargs = False
    if logs is not None:
        from torch.utils.tensorboard import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        trainer.add_callback(TensorBoardCallback(SummaryWriter(log_dir=str(logs))))
    last = get_last_checkpoint(str(work)) if work.is_dir() else None
    trainer.train(resume_from_checkpoint=last)
    network.eval()
    lines: dict[str, list[list[float]]] = {"training": [], "validation": []}
    for row in trainer.state.log_history:
        for key, name in (("loss", "training"), ("eval_loss", "validation")):
            if key in row:
                lines[name].append([row["epoch"], row[key]])
    return {"loss": trainer.state.best_metric, "history": lines}
