"""How many rows go through a network at once when it is trained: by prediction, and halved if need be."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from .. import values
from ..errors import ResourceError
from ..footprint import Plan, Training, plan_training
from ..models import Model
from ..resources.memory import host_memory
from ..tasks.memory import is_out_of_memory
from .recomputation import blocks_of

if TYPE_CHECKING:
    from .finetuning import Recipe

CPU_SHARE = 0.5  # glibc keeps freed blocks: peaks of up to twice what is alive were measured
GPU_SHARE = 0.9
Result = TypeVar("Result")


def memory_at_hand(model: Model) -> int:
    """Bytes that training may take on the model's device, its weights included."""
    import torch

    held = sum(each.numel() * each.element_size() for each in model.module.parameters())
    if model.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(model.device)
        idle = torch.cuda.memory_reserved(model.device) - torch.cuda.memory_allocated(model.device)
        return int(GPU_SHARE * (free + idle + held))
    return int(CPU_SHARE * (host_memory()[0] + held))


def plan(model: Model, recipe: Recipe, tokens: int, *, memory: int | None = None) -> Plan:
    """Rows at once for rows of ``tokens`` tokens at most; a step of the optimiser sees what was asked."""
    shape: dict[str, Any] = model.module.config.to_dict()
    facts = replace(
        model.manifest,
        config={**model.manifest.config, **shape},
        parameters=sum(each.numel() for each in model.module.parameters()),
    )
    return plan_training(
        facts,
        max(1, math.ceil(tokens * (facts.resolution or 1.0))),
        recipe.batch * recipe.accumulate,
        memory_at_hand(model) if memory is None else memory,
        training=Training(
            recipe.method, recipe.rank, recipe.recompute, 2 if recipe.both_strands else 1
        ),
        device=model.device.type,
        most=recipe.batch,
        may_recompute=bool(blocks_of(model.module)),
    )


def sentence(planned: Plan) -> str:
    """What was planned, for people."""
    at_once = f"{planned.rows} rows at once" if planned.rows > 1 else "one row at once"
    cut = f", {planned.accumulate} times a step" if planned.accumulate > 1 else ""
    again = ", blocks recomputed" if planned.training.recompute else ""
    room = f"{values.show_memory(planned.needed)} of {values.show_memory(planned.memory)}"
    doubt = "" if planned.fits else ": it may not fit"
    return f"{at_once}{cut}{again}; {room} predicted{doubt}"


def halving(
    work: Callable[[int, int], Result],
    rows: int,
    accumulate: int,
    *,
    before_again: Callable[[], None],
    say: Callable[[str], None],
) -> Result:
    """``work(rows, accumulate)``; after running out of memory again with half the rows, twice as often.

    ``before_again`` undoes what the attempt left. Raises ResourceError where one row is too much.
    """
    while True:
        try:
            return work(rows, accumulate)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if rows == 1:
                raise ResourceError(
                    "Training on a single row needs more memory than there is.",
                    hint="Use --recompute, --method lora or head, or shorter sequences.",
                ) from error
        whole = rows * accumulate
        rows = next(each for each in range(rows // 2, 0, -1) if whole % each == 0)
        accumulate = whole // rows
        gc.collect()
        before_again()
        say(f"memory ran out; going on with {rows} at once, {accumulate} times a step")
