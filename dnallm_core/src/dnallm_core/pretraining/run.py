"""``pretrain``: a genome, a family and a configuration become a folder that ``load`` reads."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from ..errors import RequirementError
from ..loading import find_implementation, placement
from ..manifest.model import ModelManifest
from ..models import Model, PredictsBases
from ..models.batching import require
from ..sequences.tokenizers import tokenizer_for
from ..training.extra import needs
from ..training.run_folder import run_folder
from .bases import SplitGenome, split_genome
from .clock import Clock
from .contexts import ONE_SIDED, TWO_SIDED, ContextCounts
from .learning import Schedule, learn
from .windows import Letters, Windows

LOOKED_AT = 48  # held-out windows at each look


@dataclass(frozen=True)
class Plan:
    """How a network is trained from nothing; it decides, with the genome, every weight."""

    schedule: Schedule = field(default_factory=lambda: Schedule(steps=2_000))
    window: int = 1_024
    share: float = 0.8
    """Of the contexts' counts in the targets, at the first step; 0 leaves them out."""
    held_out: float = 0.1
    seed: int = 0
    precision: str = "auto"


@dataclass(frozen=True)
class Trained:
    """What ``pretrain`` leaves: the model, the genome it saw and did not see, how it went."""

    model: Model
    genome: SplitGenome
    record: Mapping[str, Any]


def untrained(facts: ModelManifest, config: Mapping[str, Any], *, device: str, seed: int) -> Model:
    """A family's network of a configuration with the values that its authors begin from."""
    implementation = find_implementation(facts)
    settings = implementation.read_config(None, config, None)
    torch.manual_seed(seed)
    module = implementation.build(settings)
    target, _ = placement(facts, device, "float32")
    specs = facts.tokenizer if isinstance(facts.tokenizer, tuple) else (facts.tokenizer,)
    vocabulary_size = getattr(settings, "vocab_size", None)
    tokenizer = tokenizer_for(specs, folder=None, vocabulary_size=vocabulary_size)
    model = implementation(facts, module.to(target), tokenizer)
    require(model, PredictsBases, "has no head that predicts tokens", "scoring")
    return model


def pretrain(
    path: Path,
    facts: ModelManifest,
    config: Mapping[str, Any],
    folder: Path,
    plan: Plan,
    *,
    device: str = "auto",
    overwrite: bool = False,
    callbacks: Sequence[TrainerCallback] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Trained:
    """Train on all but the last part of a genome, and leave weights and curves in ``folder``.

    A run that was interrupted goes on where the same settings are given; the number of steps may be
    another as long as the learning rate has not begun to fall. ``folder`` gets
    ``config.json`` and ``model.safetensors`` (the moving average of the weights), ``curves.tsv``,
    and ``run.json``: what was asked, and what it took.
    """
    needs("accelerate", "pretraining")
    genome = split_genome(path, plan.window, plan.held_out)
    model = untrained(facts, config, device=device, seed=plan.seed)
    letters = Letters.of(model)
    bfloat16 = in_bfloat16(plan.precision, model.device)
    settings = {
        "family": facts.family, "config": dict(config), "genome": genome.name,
        "sha256": genome.digest, **asdict(plan), "bfloat16": bfloat16,
        "device": model.device.type,
    }  # fmt: skip
    compared = {**settings, "schedule": {**settings["schedule"], "steps": "any"}}
    with run_folder(folder, compared, overwrite=overwrite) as goes_on:
        if goes_on:
            say(f"going on with the run in {folder}")
        parameters = sum(each.numel() for each in model.module.parameters())
        schedule = plan.schedule
        say(
            f"{parameters:,} parameters; {schedule.steps:,} steps of {schedule.rows} windows of "
            f"{plan.window:,} bp, from {genome.edge:,} of {genome.length:,} bases"
        )
        contexts = None
        if plan.share:
            ladder = ONE_SIDED if letters.causal else TWO_SIDED
            contexts = ContextCounts.of(genome.training, ladder)
        training = Windows(
            genome.training, letters, plan.window, schedule.steps * schedule.rows, plan.seed,
            contexts, plan.share, schedule.stable * schedule.rows,
        )  # fmt: skip
        looked_at = Windows(genome.held_out, letters, plan.window, LOOKED_AT, plan.seed + 1)
        clock = Clock(folder / "work" / "spent.json")
        network, curves = learn(
            model.module, letters, training, looked_at, schedule,
            work=folder / "work", seed=plan.seed, bfloat16=bfloat16,
            callbacks=[clock, *callbacks], say=say,
        )  # fmt: skip
        record = {
            "parameters": parameters,
            "family_direction": facts.direction,
            "looked_at": LOOKED_AT,
            "bases": schedule.steps * schedule.rows * plan.window,
            **clock.minutes(),
        }
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # one bar for one small file
        network.save_pretrained(folder)
        write_curves(folder / "curves.tsv", curves)
        content = json.loads((folder / "run.json").read_text())
        (folder / "run.json").write_text(json.dumps({**content, "took": record}, indent=1) + "\n")
    model.module = network
    model.folder = folder
    return Trained(model, genome, {**settings, **record})


def in_bfloat16(precision: str, device: torch.device) -> bool:
    """Whether products are computed in bfloat16: "auto" means where the device does so itself."""
    if precision not in ("auto", "float32", "bfloat16"):
        raise RequirementError(
            f"There is no precision {precision!r}.", hint="One of auto, float32, bfloat16."
        )
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    instructions = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return device.type == "cpu" and instructions is not None and bool(instructions())


def write_curves(path: Path, curves: Sequence[Mapping[str, Any]]) -> None:
    """Step, learning rate, and the training's and held-out loss in nats a base, tab-separated."""
    names = ("step", "learning_rate", "loss", "eval_loss")
    lines = ["\t".join(names)]
    lines += ["\t".join(str(row.get(name, "")) for name in names) for row in curves]
    path.write_text("\n".join(lines) + "\n")
