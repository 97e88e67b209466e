"""Libraries that only training needs: imported when used, named in a sentence when missing."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import RequirementError


def needs(module: str, what: str, extra: str = "train") -> Any:
    """Import a module of an extra; RequirementError says how to install it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        name = (error.name or module).split(".")[0]
        library = {"sklearn": "scikit-learn"}.get(name, name)
        raise RequirementError(
            f"For {what}, {library} is needed, which is not installed.",
            hint=f"pip install 'dnallm-core[{extra}]' brings it.",
        ) from None
