"""The core of dnallm: what a DNA language model can do, which one fits, and how to run it.

``catalog()``, ``select(...)`` and ``load(...)`` are the three doors; what stands behind each is
imported when it is first opened, so that asking costs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Not on demand as the others: the function has the name of its module, which an import of that
# module alone would leave standing here in its place.
from .catalog import Catalog, catalog

if TYPE_CHECKING:
    from .choosing import select
    from .manifest.model import ModelManifest
    from .models import Model
    from .opening import load

__version__ = "2.0.0"
__all__ = ["Catalog", "Model", "ModelManifest", "catalog", "load", "select"]

_HOMES = {
    "Model": ".models",
    "ModelManifest": ".manifest.model",
    "load": ".opening",
    "select": ".choosing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
