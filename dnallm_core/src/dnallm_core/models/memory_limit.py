"""A sequence that the machine's memory cannot hold, refused before the kernel ends the process."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from ..errors import ResourceError

if TYPE_CHECKING:
    from .model import Model


def check_memory(model: Model, length: int, record: str) -> None:
    """Refuse ``length`` bp whose predicted peak in one pass is above all of the machine's memory.

    For a CPU: a GPU says itself when its memory runs out, a process on a CPU is killed without a
    word. What is free just now is not asked, so that only what can never work is refused. Raises
    ResourceError.
    """
    facts = model.manifest
    if model.device.type != "cpu":
        return
    if facts.length_limit == "hard":  # that limit has its own sentence
        return
    from ..footprint import Records, prediction
    from ..footprint.records import overlay_path
    from ..resources.memory import host_memory

    if not facts.config:  # weights of a user's own: their configuration tells the network's size
        facts = dataclasses.replace(
            facts,
            config=model.module.config.to_dict(),
            parameters=sum(each.numel() for each in model.module.parameters()),
        )
    dtype = str(model.dtype).removeprefix("torch.")
    cost = prediction(facts, dtype=dtype, records=Records(overlay_path()))
    needed, available = cost.most(length), host_memory()[1]
    if needed <= available:
        return
    fits = cost.longest(available)
    raise ResourceError(
        f"{record} has {length:,} bp, for which {facts.id} needs about {needed / 1e9:,.0f} GB; this "
        f"machine has {available / 1e9:.0f} GB.",
        needed=needed,
        available=available,
        fits_at=fits,
        hint=f"Cut it into windows (--window {min(facts.max_length or 1024, fits or 1024)}).",
    )
