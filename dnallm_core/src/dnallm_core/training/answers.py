"""What a trained model answers, as a question that bases can be given shares in."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import CapabilityError, RequirementError, did_you_mean, nearest
from ..models.attribution import Question
from ..sequences.tokenizers import Encoding
from .trained import TrainedModel


def output_named(trained: TrainedModel, name: str | None) -> int | None:
    """The number of the output that is asked for; None: of each sequence the class that it is given.

    Raises RequirementError for a name that none has, or where one must be named, CapabilityError
    where the model reads both strands.
    """
    if trained.network.both_strands:
        raise CapabilityError(
            "This model was trained on both strands (--both-strands): it reads every base twice, and "
            "attributions follow one reading.",
            hint="`dnallm classify` of changed sequences asks it base by base.",
        )
    if name is None:
        if len(trained.classes) == 1:
            return 0
        if trained.objective.kind == "classification":
            return None
        raise RequirementError(
            f"Which of its outputs ({', '.join(trained.classes)})?", hint="Say it with --target."
        )
    if name not in trained.classes:
        raise RequirementError(
            f"The model has no output {name!r}.",
            hint=did_you_mean(nearest(name, trained.classes))
            or f"It has {', '.join(trained.classes)}.",
        )
    return trained.classes.index(name)


def output(trained: TrainedModel, encoding: Encoding, target: int | None) -> Question:
    """One output of the head, before softmax or sigmoid, in the units that it learned."""
    network: Any = trained.network
    (row,) = [network._row("", encoding)]
    counted = torch.tensor(row["counted"], device=trained.model.device)[None]

    def outputs(ids: Tensor) -> Tensor:
        found: Tensor = network(input_ids=ids, counted=counted.expand(len(ids), -1))
        return found

    if target is None:
        with torch.no_grad():
            target = int(
                outputs(torch.tensor([encoding.ids], device=trained.model.device)).argmax()
            )
    chosen = target
    return Question(encoding.ids, encoding.offsets, lambda ids: outputs(ids)[:, chosen])
