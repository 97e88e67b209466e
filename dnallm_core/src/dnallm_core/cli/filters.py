"""The capability requirements as flags: one spelling for every command that filters models."""

from __future__ import annotations

import argparse
from typing import Any

from ..manifest import words


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add the flags that hardware has no part in."""
    group = parser.add_argument_group("what the model must be able to do")
    group.add_argument("--task", metavar="TASK", help=f"one of {', '.join(words.TASKS)}")
    group.add_argument("--length", metavar="BP", help='input length: 12000, "12kb", "1Mb"')
    group.add_argument("--direction", metavar="WORD", help=" or ".join(words.DIRECTIONS))
    group.add_argument(
        "--architecture", metavar="WORD", help=f"one of {', '.join(words.ARCHITECTURES)}"
    )
    group.add_argument(
        "--scaling", metavar="WORD", help=f"time grows at most so: {', '.join(words.GROWTHS)}"
    )
    group.add_argument("--resolution", metavar="BP", help="bp a token at most")
    group.add_argument(
        "--inputs",
        metavar="WORDS",
        help=f"what you have beside sequence: {', '.join(words.INPUTS)}",
    )
    group.add_argument("--licence", metavar="TERMS", help="any, commercial, or SPDX ids by commas")
    group.add_argument("--trained-on", metavar="DOMAIN", help=f"one of {', '.join(words.DOMAINS)}")


def read_filters(options: argparse.Namespace) -> dict[str, Any]:
    """The filters that were given, by requirement name."""
    names = (
        "task", "length", "direction", "architecture", "scaling", "resolution", "inputs",
        "licence", "trained_on",
    )  # fmt: skip
    found = {name: getattr(options, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}
