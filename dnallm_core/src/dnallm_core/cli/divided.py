"""Runs that are divided: the flags that every job takes, and how a job is carried out under them."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable

from ..errors import RequirementError

Command = Callable[[argparse.Namespace], int]


def add_division(parser: argparse.ArgumentParser) -> None:
    """Add how a run is divided."""
    group = parser.add_argument_group("dividing the run (docs/many-machines.md)")
    group.add_argument(
        "--shard", metavar="I/N", type=_shard, help="this shard alone; `dnallm merge` joins them"
    )


def divided(run: Command) -> Command:
    """A job's command, carried out whole or as its flags divide it."""

    @functools.wraps(run)
    def carried_out(options: argparse.Namespace) -> int:
        if options.shard is None:
            return run(options)
        from ..tasks.shards import one_shard
        from ..tasks.work import MANNER

        token = MANNER.set(functools.partial(one_shard, shard=options.shard))
        try:
            return run(options)
        finally:
            MANNER.reset(token)

    return carried_out


def _shard(text: str) -> object:
    from ..tasks.shards import which

    try:
        return which(text)
    except RequirementError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
