"""Measured footprints: a plugin's own file, and over it what a user has measured.

A file is JSON: ``{"schema": 1, "models": {MODEL: [record, ...]}}``. A record holds ``device`` (its
kind), ``dtype``, ``mode``, ``terms`` (bytes: ``weights``, ``fixed``, ``per_row``, ``per_length`` (a
token of the length, whatever the rows), ``per_token``, ``per_token_squared``), ``seconds``
(``fixed``, ``per_token``, ``per_token_squared``), and ``measured`` (device name, versions, date, the
points as rows, tokens, bytes and seconds, the worst deviations on lengths that were not fitted).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..manifest.model import ModelManifest

FILE = "footprints.json"


@dataclass(frozen=True, slots=True)
class Record:
    """One fit: bytes by term, seconds by term, and where and how they were measured."""

    device: str
    dtype: str
    mode: str
    terms: Mapping[str, float]
    seconds: Mapping[str, float]
    measured: Mapping[str, Any]
    origin: str

    @property
    def basis(self) -> str:
        """Where a number from this record comes from, in a phrase."""
        where = self.measured.get("device_name") or self.device
        return f"measured on {where} in {self.dtype}" + (f" ({self.origin})" if self.origin else "")


class Records:
    """Measured footprints by model, read when first asked for; the user's come before the plugin's."""

    def __init__(self, overlay: Path | None = None, given: Mapping[str, Any] | None = None) -> None:
        self.overlay = overlay
        self._given = dict(given or {})

    def of(self, manifest: ModelManifest) -> tuple[Record, ...]:
        """The records of a model, the most to be trusted first; none where nobody measured."""
        found = _read_rows(self._given.get(manifest.id, ()), "")
        if self.overlay is not None:
            found += _read_rows(_table(self.overlay).get(manifest.id, ()), "yours")
        if manifest.footprint and manifest.installed:
            path = _inside_plugin(manifest)
            if path is not None:
                found += _read_rows(_table(path).get(manifest.id, ()), "")
        return found


def overlay_path() -> Path:
    """The user's own file, in the user's own folder; nothing installed is ever written to."""
    import platformdirs

    return Path(platformdirs.user_data_dir("dnallm", appauthor=False)) / FILE


def plugin_folder(manifest: ModelManifest) -> Path | None:
    """Where the package that implements a model lies, found without importing it."""
    return _folder(manifest.implementation.partition(":")[0].partition(".")[0])


def _inside_plugin(manifest: ModelManifest) -> Path | None:
    folder = plugin_folder(manifest)
    return folder / str(manifest.footprint) if folder is not None else None


@lru_cache(maxsize=256)
def _folder(package: str) -> Path | None:
    from importlib.util import find_spec

    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return None
    places = list(spec.submodule_search_locations or ()) if spec else []
    return Path(places[0]) if places else None


@lru_cache(maxsize=64)
def _table(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        models = content["models"] if content.get("schema") == 1 else {}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}  # `dnallm doctor` and the conformance kit say what is wrong with a file
    return models if isinstance(models, dict) else {}


def forget() -> None:
    """Read the files anew next time (after measuring)."""
    _table.cache_clear()


def _read_rows(rows: Any, origin: str) -> tuple[Record, ...]:
    made = []
    for row in rows if isinstance(rows, (list, tuple)) else ():
        try:
            made.append(
                Record(
                    device=str(row["device"]),
                    dtype=str(row["dtype"]),
                    mode=str(row.get("mode", "inference")),
                    terms={str(key): float(value) for key, value in row["terms"].items()},
                    seconds={
                        str(key): float(value) for key, value in (row.get("seconds") or {}).items()
                    },
                    measured=row.get("measured") or {},
                    origin=origin,
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return tuple(made)
