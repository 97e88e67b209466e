"""``load`` as users know it: a model of the zoo, or a folder that ``dnallm train`` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import loading
from .catalog import Catalog, catalog
from .errors import RequirementError

if TYPE_CHECKING:
    from .models import Model


def load(name: str, *, zoo: Catalog | None = None, **settings: Any) -> Model:
    """Load a model; ``name`` may also be a folder that ``dnallm train`` wrote.

    Settings and errors are those of ``loading.load``.
    """
    zoo = zoo if zoo is not None else catalog()
    is_trained = (Path(name) / "model.json").is_file() and name not in zoo
    if is_trained and settings.get("weights") is None:
        from .training.trained import load_trained

        if settings.get("quantisation") is not None:
            raise RequirementError(
                "quantisation= goes with models of the zoo; a folder that `dnallm train` wrote is "
                "loaded as it was trained.",
                requirement="quantisation",
            )
        if settings.get("device_map") is not None:
            raise RequirementError(
                "device_map= goes with models of the zoo; a folder that `dnallm train` wrote is "
                "loaded onto one device.",
                requirement="device_map",
            )
        device, dtype = settings.get("device", "auto"), settings.get("dtype", "auto")
        return load_trained(name, device=device, dtype=dtype, zoo=zoo).model
    return loading.load(name, zoo=zoo, **settings)
