"""Start a plugin: a package with manifest, network, tests, CI and README that passes `dnallm check`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..scaffold import new_plugin
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("what", choices=["plugin"], help="what to start")
    parser.add_argument("name", help="its name: my-model becomes the distribution dnallm-my-model")
    parser.add_argument("--folder", default=".", help="where to put it (default: here)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Write the files and say what comes next."""
    files = new_plugin(options.name, Path(options.folder))
    home = files[0].parent
    if options.json:
        print_json({"folder": str(home), "files": [str(each) for each in files]})
        return 0
    for each in files:
        print(each)
    say(
        f"\nNext:\n  pip install -e '{home}[test]'\n  dnallm check {home.name}\n"
        f"  pytest {home}\nThen put your own network and facts in their place."
    )
    return 0
