"""Measured footprints: a plugin's own file, and over it what a user has measured.

A file is JSON: ``{"schema": 1, "models": {MODEL: [record, ...]}}``. A record holds ``device`` (its
kind), ``dtype``, ``mode``; ``family``, ``implementation`` and ``shape`` (for relatives, which run the
same code); ``terms`` (bytes: ``weights``, ``fixed``, ``per_row``, ``per_length`` (a token of the
length, whatever the rows), ``per_token``, ``per_length_squared``, ``per_token_squared``); ``steps``
(each with the ``part`` of the network, body or head, and its own ``terms`` above ``weights`` and
``fixed``: the largest of them is the peak); ``beyond`` (terms for inputs longer than each of the
shape's bends, null where none was run); ``attention_layers`` (of the network as it was built);
``seconds`` (``fixed``, ``per_token``, ``per_token_squared``); and ``measured`` (device name,
versions, date, the points as rows, tokens, bytes and seconds, the worst deviations on lengths that
were not fitted).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from ..manifest.model import ModelManifest
from .shape import Bend, Shape, shape_of

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
    implementation: str = ""
    family: str = ""
    shape: Shape | None = None
    attention_layers: int | None = None
    beyond: tuple[Mapping[str, float] | None, ...] = ()
    steps: tuple[tuple[str, Mapping[str, float]], ...] = ()  # part of the network, terms
    relative: str | None = None  # the model that was measured, where it is not the one asked about

    @property
    def basis(self) -> str:
        """Where a number from this record comes from, in a phrase."""
        where = self.measured.get("device_name") or self.device
        whose = f", of {self.relative}, scaled by shape" if self.relative else ""
        said = f" ({self.origin})" if self.origin else ""
        how = "measured"
        if self.steps:
            how = "counted step by step, and measured"
            if not self.measured.get("points"):
                how = f"counted step by step; workspace as of {self.measured.get('workspace_of')}"
                return f"{how}, measured on {where}, in {self.dtype}{whose}{said}"
        return f"{how} on {where} in {self.dtype}{whose}{said}"


class Records:
    """Measured footprints by model, read when first asked for; the user's come before the plugin's."""

    def __init__(self, overlay: Path | None = None, given: Mapping[str, Any] | None = None) -> None:
        self.overlay = overlay
        self._given = _read_table(given or {}, "")

    def of(self, manifest: ModelManifest) -> tuple[Record, ...]:
        """The records of a model, the most to be trusted first; none where nobody measured."""
        return tuple(
            each for table in self._tables(manifest) for each in table.models.get(manifest.id, ())
        )

    def relative_of(self, manifest: ModelManifest, own: Shape | None = None) -> tuple[Record, ...]:
        """Records of the measured model that is nearest to this one in size and runs the same code.

        ``own``: the model's shape, where it is known already.
        """
        found: dict[str, tuple[Record, ...]] = {}
        for table in self._tables(manifest):
            for name, kept in table.relatives.get(manifest.implementation, {}).items():
                if name != manifest.id:
                    found.setdefault(name, kept)
        if not found:
            return ()
        own = own or shape_of(manifest)

        def distance(name: str) -> tuple[bool, float, str]:
            record = found[name][0]
            assert record.shape is not None
            other = abs(math.log(own.width / record.shape.width))
            return (
                record.family != manifest.family,
                other + (own.strands != record.shape.strands),
                name,
            )

        nearest = min(found, key=distance)
        return found[nearest]

    def _tables(self, manifest: ModelManifest) -> list[_Table]:
        tables = [self._given]
        if self.overlay is not None:
            tables.append(_read(self.overlay, "yours"))
        if manifest.footprint and manifest.installed:
            path = _inside_plugin(manifest)
            if path is not None:
                tables.append(_read(path, ""))
        return tables


class _Table(NamedTuple):
    """Records by model; and those with a shape, as relatives' ones, by the code that ran."""

    models: Mapping[str, tuple[Record, ...]]
    relatives: Mapping[str, Mapping[str, tuple[Record, ...]]]


def _read_table(content: Mapping[str, Any], origin: str) -> _Table:
    models = {name: _read_rows(rows, origin) for name, rows in content.items()}
    relatives: dict[str, dict[str, tuple[Record, ...]]] = {}
    for name, records in models.items():
        for code in {each.implementation for each in records}:
            kept = tuple(
                dataclasses.replace(each, relative=name)
                for each in records
                if each.shape and each.implementation == code
            )
            if kept:
                relatives.setdefault(code, {})[name] = kept
    return _Table(models, relatives)


@lru_cache(maxsize=64)
def _read(path: Path, origin: str) -> _Table:
    return _read_table(_table(path), origin)


def overlay_path() -> Path:
    """The user's own file, in the user's own folder; nothing installed is ever written to."""
    import platformdirs

    return Path(platformdirs.user_data_dir("dnallm", appauthor=False)) / FILE


def plugin_folder(manifest: ModelManifest) -> Path | None:
    """Where the package that implements a model lies, found without importing it."""
    return _folder(manifest.implementation.partition(":")[0].partition(".")[0])


def _inside_plugin(manifest: ModelManifest) -> Path | None:
    return _placed(plugin_folder(manifest), str(manifest.footprint))


@lru_cache(maxsize=256)
def _placed(folder: Path | None, name: str) -> Path | None:
    return folder / name if folder is not None else None


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
    _read.cache_clear()


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
                    implementation=str(row.get("implementation", "")),
                    family=str(row.get("family", "")),
                    shape=_read_shape(row.get("shape")),
                    attention_layers=row.get("attention_layers"),
                    beyond=tuple(row.get("beyond", ())),
                    steps=tuple(
                        (str(each["part"]), {str(k): float(v) for k, v in each["terms"].items()})
                        for each in row.get("steps", ())
                    ),
                )
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return tuple(made)


_SHAPE_FIELDS = frozenset(each.name for each in dataclasses.fields(Shape))


def _read_shape(said: Any) -> Shape | None:
    """The shape of the model that was measured; None where the record has none that is whole."""
    if not isinstance(said, Mapping):
        return None
    try:
        known = {name: value for name, value in said.items() if name in _SHAPE_FIELDS}
        bends = tuple(Bend(*each) for each in said.get("bends", ()))
        return Shape(**{**known, "guessed": tuple(said.get("guessed", ())), "bends": bends})
    except TypeError:
        return None
