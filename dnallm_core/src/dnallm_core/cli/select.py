"""Rank the models that fit a task and this machine, and say why."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..choosing import select
from ..manifest import words
from ..selection.decisions import Selection
from ..selection.requirements import EVIDENCE_DOMAINS, MODES, SETTINGS, WEIGHTS
from .filters import add_filters, read_filters
from .output import say

NOTHING_FITS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--requirements", metavar="FILE", help="TOML file of requirements, which flags overrule"
    )
    add_filters(parser)
    add_evidence(parser)
    add_hardware(parser)
    parser.add_argument("--why", metavar="MODEL", help="one model's decision in full")
    parser.add_argument("--top", metavar="N", type=int, default=10, help="how many to print")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_evidence(parser: argparse.ArgumentParser) -> None:
    """The flags that choose the evidence."""
    group = parser.add_argument_group("which published evidence counts")
    group.add_argument("--subtask", metavar="WORD", help="splice-site, missense, promoter ...")
    group.add_argument("--setting", metavar="WORD", help=f"one of {', '.join(SETTINGS)}")
    group.add_argument("--domain", metavar="WORD", help=f"one of {', '.join(EVIDENCE_DOMAINS)}")
    group.add_argument(
        "--evidence", metavar="GRADE", help=f"the least grade: {', '.join(words.GRADES)}"
    )


def add_hardware(parser: argparse.ArgumentParser) -> None:
    """The flags that describe a machine and a job."""
    group = parser.add_argument_group("what it must run on (this machine, unless said)")
    group.add_argument("--memory", metavar="SIZE", help='usable memory a device: "24GB", "24GiB"')
    group.add_argument("--gpu", metavar="NAME", help='a card by name: "RTX 4090", "A100 80GB"')
    group.add_argument("--devices", metavar="N", help="how many such devices")
    group.add_argument("--dtype", metavar="WORD", help=f"one of {', '.join(words.DTYPES)}")
    group.add_argument("--weights", metavar="WORD", help=f"one of {', '.join(WEIGHTS)}")
    group.add_argument("--batch", metavar="N", help="sequences at a time")
    group.add_argument("--mode", metavar="WORD", help=f"one of {', '.join(MODES)}")
    group.add_argument("--sequences", metavar="N", help="how many sequences there are")
    group.add_argument("--time", metavar="DURATION", help='for all of them: "15min", "2h"')
    group.add_argument(
        "--lengths-from", metavar="FILE", help="BED or FASTA whose longest entry is the length"
    )


_MORE = (
    "subtask", "setting", "domain", "evidence", "memory", "gpu", "devices", "dtype", "weights",
    "batch", "mode", "sequences", "time", "lengths_from",
)  # fmt: skip


def read_flags(options: argparse.Namespace) -> dict[str, Any]:
    """The requirements that were given as flags, by name."""
    given = read_filters(options)
    given.update({name: getattr(options, name) for name in _MORE})
    return {name: value for name, value in given.items() if value is not None}


def run(options: argparse.Namespace) -> int:
    """Print the selection; 4 where nothing fits, with the whole of it all the same."""
    selection = select(options.requirements, **read_flags(options))
    if options.json:
        sys.stdout.write(json.dumps(selection.to_dict(), ensure_ascii=False) + "\n")
    elif options.why:
        sys.stdout.write(selection.why(_resolved(options.why, selection)) + "\n")
    else:
        sys.stdout.write(selection.explain(max(1, options.top)) + "\n")
    if selection.best is None:
        say(_nothing(selection))
        return NOTHING_FITS
    return 0


def _resolved(name: str, selection: Selection) -> str:
    """An id as it stands in the selection, also from an alias."""
    if name in selection.ids:
        return name
    from ..catalog import catalog

    return str(catalog().row(name)["id"])


def _nothing(selection: Selection) -> str:
    if not selection.rejected:
        return (
            "dnallm: there is no model to choose from: no plugin is installed and no registry read."
        )
    nearest = selection.rejected[0]
    reason = nearest.reasons[0]
    fix = f" ({reason.fix})" if reason.fix else ""
    return f"dnallm: nothing fits. The nearest is {nearest.id}: {reason.message}{fix}."
