"""List models, installed and known, by what they can do."""

from __future__ import annotations

import argparse
from typing import Any

from ..catalog import Catalog, catalog
from .filters import add_filters, read_filters
from .output import bp, count, print_json, print_table, say

_COLUMNS = (
    "MODEL",
    "DIRECTION",
    "MAX LENGTH",
    "TIME",
    "PARAMETERS",
    "TRAINED ON",
    "TIER",
    "GET IT WITH",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_filters(parser)
    parser.add_argument("--family", help="models of one family")
    parser.add_argument("--installed", action="store_true", help="only models of installed plugins")
    parser.add_argument("--strict", action="store_true", help="exit 3 where a plugin is broken")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the models that keep the filters."""
    zoo = catalog()
    rows = _chosen(zoo, options)
    if options.json:
        print_json(
            {
                "models": [_record(row) for row in rows],
                "problems": [each.to_dict() for each in zoo.problems],
            }
        )
    else:
        print_table(
            _COLUMNS,
            [
                (
                    row["id"],
                    row["direction"],
                    bp(row.get("max_length")),
                    row["scaling"]["time"],
                    count(row.get("parameters")),
                    ", ".join((row.get("trained_on") or {}).get("domains") or ["unknown"]),
                    row.get("tier") or "unlisted",
                    "installed" if row["installed"] else row["install"],
                )
                for row in rows
            ],
        )
        if zoo.problems:
            broken = len({each.distribution for each in zoo.problems})
            say(f"{broken} plugin(s) with problems: `dnallm plugins` says which.")
    return 3 if options.strict and zoo.problems else 0


def _chosen(zoo: Catalog, options: argparse.Namespace) -> list[dict[str, Any]]:
    asked = {**read_filters(options), "family": options.family}
    if options.installed:
        asked["installed"] = True
    return zoo.rows_keeping(asked)


def _record(row: dict[str, Any]) -> dict[str, Any]:
    get = row.get
    weights = get("weights") or {}
    licence = get("licence") or {}
    return {
        "id": row["id"],
        "family": row["family"],
        "title": row["title"],
        "plugin": row["plugin"],
        "installed": row["installed"],
        "install": row["install"] or None,
        "aliases": get("aliases") or [],
        "architecture": row["architecture"],
        "direction": row["direction"],
        "objective": row["objective"],
        "max_length": get("max_length"),
        "max_tokens": get("max_tokens"),
        "length_limit": get("length_limit", "hard"),
        "resolution": get("resolution"),
        "scaling": row["scaling"],
        "tasks": row["tasks"],
        "inputs": row["inputs"],
        "reverse_complement": get("reverse_complement", "none"),
        "parameters": get("parameters"),
        "trained_on": (get("trained_on") or {}).get("domains") or [],
        "licence": licence.get("id"),
        "commercial": licence.get("commercial"),
        "weights": "bundled" if weights.get("bundled") else ("hub" if weights.get("hub") else None),
        "unverified": get("unverified"),
        "tier": get("tier"),
    }
