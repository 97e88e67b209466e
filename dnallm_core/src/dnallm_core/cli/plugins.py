"""List installed plugins and what is wrong with them. Reads metadata and manifests, runs nothing."""

from __future__ import annotations

import argparse

from ..catalog import catalog
from .output import print_json, print_table, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print plugins and problems."""
    zoo = catalog()
    if options.json:
        print_json(
            {
                "plugins": [
                    {
                        "name": each.name,
                        "distribution": each.distribution,
                        "version": each.version,
                        "manifest": str(each.path),
                        "families": sorted(each.rows["families"]),
                        "models": sorted(each.rows["models"]),
                    }
                    for each in zoo.plugins
                ],
                "problems": [each.to_dict() for each in zoo.problems],
            }
        )
        return 0
    print_table(
        ("PLUGIN", "VERSION", "FAMILIES", "MODELS", "MANIFEST"),
        [
            (
                each.distribution,
                each.version,
                len(each.rows["families"]),
                len(each.rows["models"]),
                str(each.path),
            )
            for each in zoo.plugins
        ],
    )
    for problem in zoo.problems:
        say(f"\n{problem}")
    return 0
