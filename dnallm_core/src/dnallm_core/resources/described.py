"""A machine that its owner describes: an amount of memory, a card by name, how many of them."""

from __future__ import annotations

from ..errors import RequirementError
from .gpus import find
from .machine import GENERIC_DTYPES, Device, Resources


def described(
    memory: int | None = None, gpu: str | None = None, devices: int | None = None
) -> Resources:
    """Resources as said: ``memory`` in usable bytes a device, ``gpu`` a card of the table.

    With ``memory`` alone it is a generic device with bfloat16 and without FP8. With both, the card
    has that much memory to use.
    """
    if memory is None and gpu is None:
        raise RequirementError(
            "devices needs memory or gpu: what each of them is.",
            requirement="devices",
            hint='Say `gpu="RTX 4090"` or `memory="24GB"` too.',
        )
    problems: tuple[str, ...] = ()
    if gpu is not None:
        card = find(gpu)
        made = [
            Device(
                kind="gpu",
                name=card.name,
                label=f"GPU {index}",
                memory=memory or card.memory,
                total=card.memory,
                dtypes=card.dtypes,
                bandwidth=card.bandwidth,
                flops=card.flops,
                basis=card.basis,
            )
            for index in range(devices or 1)
        ]
        source = f"{devices or 1} x {card.name}, as described"
        problems = (card.doubt,) if card.doubt else ()
    else:
        assert memory is not None
        made = [
            Device(
                kind="gpu",
                name="a device with bfloat16 and without FP8",
                label=f"GPU {index}" if (devices or 1) > 1 else "the device",
                memory=memory,
                total=memory,
                dtypes=GENERIC_DTYPES,
                basis="as described",
            )
            for index in range(devices or 1)
        ]
        source = f"{devices or 1} x {memory:,} bytes, as described"
    return Resources(devices=tuple(made), source=source, problems=problems)
