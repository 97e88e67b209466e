"""Build backend: hatchling, and one rule about the siblings of a checkout.

A wheel that is built straight from a checkout names the sibling distributions by path, so that
``pip install ".[evo]"`` works before anything is published. Source distributions, editable
installs and wheels built from a source distribution name them by version.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hatchling import build as _hatch
from hatchling.build import *  # noqa: F403  (the PEP 517 hooks that need no change)
from hatchling.metadata.plugin.interface import MetadataHookInterface

SWITCH = "DNALLM_SIBLINGS"  # "path" or "name"; where the caller has set it, it wins


def _naming_siblings_by_path(hook: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        before = os.environ.get(SWITCH)
        os.environ.setdefault(SWITCH, "path")
        try:
            return hook(*args, **kwargs)
        finally:
            if before is None:
                del os.environ[SWITCH]

    return wrapper


build_wheel = _naming_siblings_by_path(_hatch.build_wheel)
if hasattr(_hatch, "prepare_metadata_for_build_wheel"):  # hidden from pip, called by uv
    prepare_metadata_for_build_wheel = _naming_siblings_by_path(
        _hatch.prepare_metadata_for_build_wheel
    )


class SiblingHook(MetadataHookInterface):
    """Fills in the dynamic ``dependencies`` and ``optional-dependencies``."""

    def update(self, metadata: dict[str, Any]) -> None:
        metadata["dependencies"] = [self._place(each) for each in self.config["dependencies"]]
        metadata["optional-dependencies"] = {
            extra: [self._place(each) for each in requirements]
            for extra, requirements in self.config["extras"].items()
        }

    def _place(self, requirement: str) -> str:
        name = re.match(r"[\w.-]+", requirement).group()  # type: ignore[union-attr]
        if os.environ.get(SWITCH) == "path":
            for folder in (
                Path(self.root, "plugins", name),
                Path(self.root, name.replace("-", "_")),
            ):
                if (folder / "pyproject.toml").is_file():
                    # pip keeps the wheel of a folder whose last part reads name-version, as
                    # "dnallm-evo" does, and installs it again however the folder has changed
                    return f"{name} @ {folder.as_uri()}/."
        return requirement
