"""How a step of training is cut up for the memory at hand: rows at once, and steps added up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..manifest.model import ModelManifest
from .predict import largest_batch, predict
from .records import Records
from .training import Training

_NO_RECORDS = Records()


@dataclass(frozen=True, slots=True)
class Plan:
    """``rows`` at once, ``accumulate`` times; ``needed`` of ``memory`` bytes, as predicted.

    ``fits`` is false where even one row, with recomputation, is predicted to need more.
    """

    rows: int
    accumulate: int
    training: Training
    needed: int
    memory: int

    @property
    def fits(self) -> bool:
        """Whether the prediction lies within the memory."""
        return self.needed <= self.memory


def plan_training(
    manifest: ModelManifest,
    length: int,
    batch: int,
    memory: int,
    *,
    training: Training | None = None,
    dtype: str = "float32",
    device: str = "cpu",
    most: int | None = None,
    may_recompute: bool = True,
    records: Records = _NO_RECORDS,
) -> Plan:
    """The largest part of ``batch`` sequences of ``length`` bp that fits into ``memory`` bytes.

    ``batch`` is what a step of the optimiser sees, and stays so: the rows at once divide it. ``most``
    bounds them. Where one row does not fit, blocks are recomputed, if they may be.
    """
    how = training if training is not None else Training()
    ways = [how]
    if may_recompute and not how.recompute and how.method != "head":
        ways.append(replace(how, recompute=True))
    room, chosen = 0, ways[-1]
    for way in ways:
        room = largest_batch(
            manifest, length, memory, dtype, "training",
            device=device, records=records, training=way,
        )  # fmt: skip
        if room:
            chosen = way
            break
    bound = max(1, min(room, batch, most or batch))
    rows = next(each for each in range(bound, 0, -1) if batch % each == 0)
    needed = predict(
        manifest, length, rows, dtype, "training",
        device=device, records=records, training=chosen,
    ).total  # fmt: skip
    return Plan(rows, batch // rows, chosen, needed, memory)
