"""The registry as it ships: every known plugin and its models, read without pydantic.

``registry.json`` is compiled from ``registry.toml`` by ``tools/registry.py``, one plugin or model a
line. A plugin's rows are keyed by the SHA-256 of the manifest they were read from, so that an
installed manifest that is that very file needs no validation at start-up.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("registry.json")


@dataclass(frozen=True, slots=True)
class KnownPlugin:
    """A plugin of the registry, installed or not."""

    distribution: str
    version: str
    install: str
    summary: str
    digest: str
    tier: str
    rows: dict[str, dict[str, dict[str, Any]]]


@lru_cache(maxsize=4)
def read(path: Path = PATH) -> tuple[KnownPlugin, ...]:
    """The plugins of an index file; an absent file is an empty index."""
    if not path.exists():
        return ()
    return tuple(KnownPlugin(**entry) for entry in json.loads(path.read_bytes())["plugins"])
