"""Repeat the run that made an output, as its record beside it says.

The input, the genome, the weights and the settings must be those of the record; what is not is said
and nothing is run. Without -o the output is replaced, in the end and at once.

  dnallm rerun scores.tsv
  dnallm rerun scores.tsv -o again.tsv
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import OutputError
from .output import say

_OF_THE_OUTPUT = {"valued": ("-o", "--output"), "bare": ("--overwrite", "--quiet")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument("made", metavar="OUTPUT", type=Path, help="what a run has written")
    parser.add_argument("-o", "--output", metavar="FILE", type=Path, help="write it here instead")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(options: argparse.Namespace) -> int:
    """Repeat the run."""
    from ..tasks.run import REPEATED, without
    from .main import dispatch

    record = read_record(options.made)
    command, here = without(record["command"], **_OF_THE_OUTPUT), Path.cwd()
    command = [word for word in command if not word.startswith("-o")]
    target = here / (options.output or options.made)
    _say_other_versions(record)
    token = REPEATED.set(record["settings"])
    try:
        if Path(record["folder"]).is_dir():
            os.chdir(record["folder"])  # relative paths are those of the run
        more = ["--overwrite"] * (options.output is None) + ["--quiet"] * options.quiet
        return dispatch([*command, "-o", str(target), *more])
    finally:
        os.chdir(here)
        REPEATED.reset(token)


def read_record(output: Path) -> dict[str, Any]:
    """The record beside an output; OutputError where there is none that can be repeated."""
    path = output.with_name(output.name + ".run.json")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise OutputError(f"There is no {path}, so nothing says how {output} was made.") from None
    except ValueError:
        record = None
    if not isinstance(record, dict) or "settings" not in record:
        raise OutputError(f"{path} is no record of a run.")
    if "command" not in record:
        raise OutputError(
            f"{output} was written from Python, and its record names no command.",
            hint=f"Its settings stand in {path}.",
        )
    if record["settings"].get("input") == "-":
        raise OutputError(f"{output} was made from standard input, which cannot be read again.")
    return record


def _say_other_versions(record: dict[str, Any]) -> None:
    changed = []
    for name, before in (record.get("versions") or {}).items():
        try:
            now = metadata.version(name)
        except metadata.PackageNotFoundError:
            now = None
        if now != before:
            changed.append(f"{name} {before} then, {now} now")
    if changed:
        say(f"Other versions ({'; '.join(changed)}): roundings may differ.")
