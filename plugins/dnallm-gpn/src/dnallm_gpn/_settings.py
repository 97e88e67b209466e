"""From a checkpoint's ``config.json``, or the settings given in its place, to a configuration."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, TypeVar

from dnallm_core.checkpoints import CheckpointFolder
from dnallm_core.errors import CheckpointError
from huggingface_hub.errors import StrictDataclassError
from transformers import PreTrainedConfig

Config = TypeVar("Config", bound=PreTrainedConfig)


def settings(folder: CheckpointFolder | None, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """``config.json`` with ``arguments`` over it; CheckpointError where there is neither."""
    stored = dict(folder.config) if folder is not None else {}
    found = {**stored, **arguments}
    if not found:
        place = f"{folder.path} holds no config.json" if folder is not None else "No settings"
        raise CheckpointError(
            f"{place}, and none were given.",
            hint="Give config={...} under the names of its authors' config.json.",
        )
    return found


def configuration(kind: type[Config], found: Mapping[str, Any]) -> Config:
    """A ``kind`` from the settings that it knows; the others (versions, dtypes) change no number.

    Raises CheckpointError where a value is impossible.
    """
    names = {each.name for each in dataclasses.fields(kind)}
    names -= {"dtype", "transformers_version", "architectures", "return_dict"}
    known = {name: value for name, value in found.items() if name in names}
    try:
        return kind(**known)
    except (TypeError, ValueError, StrictDataclassError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"The configuration cannot be used: {reason}.") from error


def positive(config: PreTrainedConfig, *names: str) -> None:
    """CheckpointError where one of the named settings is no positive integer."""
    for name in names:
        value = getattr(config, name)
        if not isinstance(value, int) or value < 1:
            raise CheckpointError(f"The configuration's {name} is {value!r}; it must be 1 or more.")


def room_for_one_hot(config: PreTrainedConfig) -> None:
    """CheckpointError where the one-hot target and its relatives need more channels than there are."""
    needed = config.vocab_size + config.n_aux_features
    if needed > config.hidden_size:
        raise CheckpointError(
            f"The configuration's hidden_size is {config.hidden_size}, but the one-hot input needs "
            f"{needed} channels (vocab_size {config.vocab_size} and n_aux_features "
            f"{config.n_aux_features})."
        )
