"""Measured records -> a plugin's facts (in a checkout), or the user's own folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..footprint.records import forget, overlay_path, plugin_folder
from ..manifest.model import ModelManifest

FACTS = "facts/footprints.json"


def write_overlay(model: str, record: dict[str, Any], path: Path | None = None) -> Path:
    """Put a record into the user's own file (a record of the same device, dtype and mode goes)."""
    path = path or overlay_path()
    _write(path, model, record)
    return path


def write_plugin_facts(manifest: ModelManifest, record: dict[str, Any]) -> Path:
    """Put a record into the facts of a plugin that is being developed.

    Raises OutputError where the plugin is an installed package: nothing installed is written to.
    """
    folder = plugin_folder(manifest)
    if folder is None:
        raise OutputError(f"{manifest.plugin} is not installed: there are no facts to write.")
    path = folder / (manifest.footprint or FACTS)
    if {"site-packages", "dist-packages"} & set(path.parts) or not os.access(folder, os.W_OK):
        raise OutputError(
            f"{manifest.plugin} is an installed package, which is not written to.",
            hint="Leave --write-facts out: the record then goes to your own folder.",
        )
    _write(path, manifest.id, record)
    return path


def _write(path: Path, model: str, record: dict[str, Any]) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        content = {"schema": 1, "models": {}}
    except ValueError:
        raise OutputError(f"{path} is no JSON file of measurements.") from None
    kept = [
        each
        for each in content["models"].get(model, [])
        if any(each.get(key) != record[key] for key in ("device", "dtype", "mode"))
    ]
    content["models"][model] = [*kept, record]
    content["models"] = dict(sorted(content["models"].items()))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(_text(content), encoding="utf-8")
    partial.replace(path)
    forget()


def _text(content: dict[str, Any]) -> str:
    """JSON with one record a line, so that a change of one shows as one."""
    models = []
    for name, records in content["models"].items():
        lines = ",\n".join(f"    {json.dumps(record)}" for record in records)
        models.append(f"  {json.dumps(name)}: [\n{lines}\n  ]")
    return '{"schema": 1, "models": {\n' + ",\n".join(models) + "\n}}\n"
