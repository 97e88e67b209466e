"""``transformers.Trainer`` over a network that predicts bases: what it learns, saves and stops at.

All that decides a step is a function of the step's number, or is in the checkpoint: the windows (of
the seed and their number), the learning rate, the targets' mixture, the optimizer's moments, the
moving average. So a run that was killed and goes on gives the weights of one that was not.
"""

from __future__ import annotations

import copy
import json
import logging
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback

from ..errors import DiskFullError, IntegrityError, OutputError, RequirementError
from ..training.base_trainer import BaseTrainer, arguments_for
from .windows import Letters, Windows

AVERAGED = 0.997
"""Of the moving average of the weights, what is kept a step once it has warmed up."""
WARMUP = 50  # steps, whatever their number
FALLING = 0.3  # of the steps: the last ones, in which the learning rate falls (Hu et al. 2024, WSD)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: all of it in steps."""

    steps: int
    rows: int = 8
    rate: float = 4e-3
    decay: float = 0.01
    every: int = 100
    """Steps between two checkpoints, and between two looks at held-out windows."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.rate) and self.rate > 0):
            raise RequirementError(f"A learning rate is above 0, not {self.rate:g}.")

    @property
    def warmup(self) -> int:
        """Steps in which the learning rate rises."""
        return min(WARMUP, max(1, self.steps // 4))

    @property
    def stable(self) -> int:
        """Steps before the learning rate, and the share of counts in the targets, begin to fall.

        Until then nothing depends on how many steps there will be.
        """
        return max(self.warmup, round((1 - FALLING) * self.steps))


class Learner(nn.Module):
    """A network, its moving average, and the cross-entropy of bases under them.

    In training the network is asked, in evaluation its average.
    """

    def __init__(self, network: PreTrainedModel, letters: Letters) -> None:
        super().__init__()
        self.network = network
        self.average = copy.deepcopy(network).requires_grad_(False).eval()
        self.letters = letters

    def forward(self, input_ids: Tensor, targets: Tensor, weights: Tensor) -> dict[str, Tensor]:
        """``loss``: nats a predicted base, over the whole vocabulary."""
        network = self.network if self.training else self.average
        logits = network(input_ids=input_ids).logits
        length = targets.shape[1] + self.letters.first
        logs = self.letters.answering(logits, length).float().log_softmax(-1)
        logs = logs[..., self.letters.table[:4].tolist()]
        losses = -(targets * logs).sum(-1)
        return {"loss": (losses * weights).sum() / weights.sum().clamp(min=1)}

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """Move the average towards the weights that ``step`` steps gave."""
        kept = min(AVERAGED, 1 - 1 / (1 + step / 3))
        for average, now in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.lerp_(now, 1 - kept)


class PretrainingTrainer(BaseTrainer):
    """A Trainer that stops at a loss that is no number."""

    model: Learner

    def training_step(self, model: nn.Module, inputs: Any, *more: Any, **named: Any) -> Tensor:
        """One step's loss, with gradients left in the parameters."""
        loss = super().training_step(model, inputs, *more, **named)
        if not bool(loss.isfinite()):
            self._stop(loss)
        return loss

    def _stop(self, loss: Tensor) -> None:
        step = self.state.global_step + 1
        rate = self._get_learning_rate()
        raise IntegrityError(
            f"The loss is {loss.item()} at step {step:,} (learning rate {rate:.2g}).",
            hint=f"Try --learning-rate {self.args.learning_rate / 4:.2g} and --overwrite; or "
            "--precision float32, if it was not that.",
        )

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW; biases, norms, decays of states and convolutions do not shrink."""
        parameters = [each for each in self.model.parameters() if each.requires_grad]
        matrices = [each for each in parameters if each.ndim == 2 and each.shape[1] > 32]
        chosen = {id(each) for each in matrices}
        rest = [each for each in parameters if id(each) not in chosen]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": self.args.weight_decay},
                {"params": rest, "weight_decay": 0.0},
            ],
            lr=self.args.learning_rate,
            betas=(0.9, 0.98),
            fused=self.args.device.type in ("cpu", "cuda"),
        )
        return self.optimizer


class Following(TrainerCallback):
    """Keeps the moving average, and tells how it goes."""

    def __init__(self, learner: Learner, say: Callable[[str], None]) -> None:
        self.learner = learner
        self.say = say

    def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Follow the step."""
        self.learner.follow(state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Say the losses so far, in bits a base."""
        losses = [row["loss"] for row in state.log_history if "loss" in row]
        now = next(row["eval_loss"] for row in reversed(state.log_history) if "eval_loss" in row)
        self.say(
            f"step {state.global_step:,} of {state.max_steps:,}: training "
            f"{losses[-1] / math.log(2):.4f}, held out {now / math.log(2):.4f} bits a base"
        )


def learn(
    network: PreTrainedModel,
    letters: Letters,
    training: Windows,
    held_out: Windows,
    schedule: Schedule,
    *,
    work: Path,
    seed: int,
    bfloat16: bool,
    callbacks: Sequence[TrainerCallback] = (),
    say: Callable[[str], None] = lambda _: None,
) -> tuple[PreTrainedModel, list[dict[str, Any]]]:
    """Train, from the last whole checkpoint in ``work`` if there is one.

    Returns the moving average of the weights, and the curves: one row of step, learning rate and
    loss (nats a base) each time that one was noted.

    Raises IntegrityError where the loss is no number, DiskFullError where a checkpoint has no space.
    """
    logging.getLogger("transformers").setLevel(logging.ERROR)
    device = network.device
    learner = Learner(network, letters)
    arguments = arguments_for(
        work,
        device,
        seed=seed,
        batch=schedule.rows,
        targets="targets",
        max_steps=schedule.steps,
        learning_rate=schedule.rate,
        weight_decay=schedule.decay,
        lr_scheduler_type="warmup_stable_decay",
        lr_scheduler_kwargs={
            "num_decay_steps": schedule.steps - schedule.stable,
            "decay_type": "cosine",
            "min_lr_ratio": 0.02,
        },
        warmup_steps=schedule.warmup,
        max_grad_norm=1.0,
        train_sampling_strategy="sequential",
        eval_strategy="steps",
        save_strategy="steps",
        logging_strategy="steps",
        eval_steps=schedule.every,
        save_steps=schedule.every,
        logging_steps=max(1, schedule.every // 4),
        logging_nan_inf_filter=False,
        bf16=bfloat16,
    )
    trainer = PretrainingTrainer(
        model=learner,
        args=arguments,
        train_dataset=training,
        eval_dataset=held_out,
        callbacks=[Following(learner, say), *callbacks],
    )
    last = last_whole_checkpoint(work)
    if last is not None:
        _refuse_fallen(last, schedule)
        say(f"going on from {last.name}")
    try:
        trainer.train(resume_from_checkpoint=None if last is None else str(last))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise _unwritable(error, work) or error from None
    rows = [
        {key: row[key] for key in ("step", "learning_rate", "loss", "eval_loss") if key in row}
        for row in trainer.state.log_history
        if "loss" in row or "eval_loss" in row
    ]
    return learner.average, rows


def last_whole_checkpoint(work: Path) -> Path | None:
    """The newest checkpoint that was written to its end; those that were not are removed.

    The Trainer writes its own state last.
    """
    found: list[tuple[int, Path]] = []
    for folder in work.glob("checkpoint-*") if work.is_dir() else ():
        number = folder.name.rpartition("-")[2]
        try:
            state = json.loads((folder / "trainer_state.json").read_text())
            found.append((int(state["global_step"]), folder))
        except (OSError, ValueError, KeyError):
            if number.isdigit():
                shutil.rmtree(folder, ignore_errors=True)
    return max(found)[1] if found else None


def _refuse_fallen(checkpoint: Path, schedule: Schedule) -> None:
    """OutputError where a checkpoint depends on a number of steps that is not this one's."""
    state = json.loads((checkpoint / "trainer_state.json").read_text())
    before = replace(schedule, steps=int(state["max_steps"]))
    if before.steps == schedule.steps:
        return
    reached = int(state["global_step"])
    if reached <= min(before.stable, schedule.stable) and before.warmup == schedule.warmup:
        return
    least = max(4 * before.warmup, math.ceil(reached / (1 - FALLING)))
    raise OutputError(
        f"The run was one of {before.steps:,} steps and has taken {reached:,}; in one of "
        f"{schedule.steps:,} the learning rate rises for {schedule.warmup:,} and falls from step "
        f"{schedule.stable + 1:,}.",
        hint=f"Give --steps {before.steps}"
        + (f", or at least {least}." if reached <= before.stable else "."),
    )


def _unwritable(error: Exception, work: Path) -> OutputError | None:
    """The error in a sentence, where a disk is full; None for any other."""
    text = str(error)
    full = getattr(error, "errno", None) in (28, 122) or "No space left" in text
    full = full or "inline_container" in text  # torch.save: the file is shorter than what it wrote
    if not full:
        return None
    free = shutil.disk_usage(work).free if work.exists() else 0
    return DiskFullError(
        f"A checkpoint could not be written to {work}: no space is left ({free / 1e6:,.0f} MB).",
        hint="Make room and give the same command again: it goes on from the checkpoint before.",
    )
