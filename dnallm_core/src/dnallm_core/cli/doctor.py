"""Try every plugin in a process of its own, look at this machine, and say what is broken."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from typing import Any

from .. import __version__
from ..catalog import Catalog, catalog
from ..plugins import PluginProblem
from .output import print_json, say, size

_TRIAL = """
import json, sys, time
started = time.perf_counter()
from dnallm_core.catalog import catalog
from dnallm_core.loading import find_implementation
from dnallm_core.errors import DnallmError
zoo, found = catalog(), []
for family in json.loads(sys.argv[1]):
    try:
        find_implementation(zoo.family(family))
    except DnallmError as error:
        found.append(str(error))
print(json.dumps({"problems": found, "seconds": time.perf_counter() - started}))
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--timeout", type=float, default=120.0, metavar="SECONDS", help="patience for one plugin"
    )


def run(options: argparse.Namespace) -> int:
    """Print the findings; exit 3 where something is broken."""
    zoo = catalog()
    findings = list(zoo.problems)
    tried = []
    for plugin in zoo.plugins:
        problems, seconds = _tried(zoo, plugin.distribution, options.timeout)
        tried.append({"distribution": plugin.distribution, "seconds": seconds})
        findings += [
            PluginProblem(plugin.distribution, plugin.version, "implementation", each)
            for each in problems
        ]
    from ..hooks import manager

    findings += manager()[1]
    machine = _machine()
    if options.json:
        problems_told = [each.to_dict() for each in findings]
        print_json({"machine": machine, "plugins": tried, "problems": problems_told})
    else:
        print(f"dnallm {__version__}, Python {machine['python']}, torch {machine['torch']}")
        for device in machine["devices"]:
            print(f"device: {device}")
        for each in tried:
            took = f"{each['seconds']:.1f} s" if each["seconds"] is not None else "failed"
            print(f"plugin: {each['distribution']} (import {took})")
        for problem in findings:
            say(f"problem: {problem}")
        if not findings:
            print("No problem found.")
    return 3 if findings else 0


def _tried(zoo: Catalog, distribution: str, timeout: float) -> tuple[list[str], float | None]:
    families = [
        key
        for key in zoo.families
        if (facts := zoo.family(key)) is not None and facts.plugin == distribution
    ]
    command = [sys.executable, "-c", _TRIAL, json.dumps(families)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        return [f"importing it took more than {timeout:g} seconds."], None
    try:
        answer = json.loads(done.stdout.splitlines()[-1])
        return answer["problems"], answer["seconds"]
    except (IndexError, ValueError, TypeError):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return [f"importing it ended the process with code {done.returncode}: {last}."], None


def _machine() -> dict[str, Any]:
    import platform
    from importlib import metadata

    from ..resources import this_machine

    try:
        torch: str | None = metadata.version("torch")
    except metadata.PackageNotFoundError:
        torch = None
    return {
        "python": platform.python_version(),
        "torch": torch or "not installed",
        "devices": [
            f"{device.name}, {size(device.memory)} usable of {size(device.total)}"
            for device in this_machine().devices
        ],
    }
