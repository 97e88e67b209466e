"""Runs that are divided: the flags that every job takes, and how a job is carried out under them."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any

from ..errors import RequirementError
from .output import print_json, say

Command = Callable[[argparse.Namespace], int]

_VALUED = ("--devices", "--shard", "--device", "--ray", "--workers")
_BARE = ("--json", "--quiet", "--overwrite")


def add_division(parser: argparse.ArgumentParser) -> None:
    """Add how a run is divided."""
    group = parser.add_argument_group("dividing the run (docs/many-machines.md)")
    group.add_argument(
        "--devices", metavar="WHICH", help="a process each: all, cuda:0,cuda:1 or cpu:4"
    )
    group.add_argument(
        "--ray", metavar="WHERE", help="on Ray: local, auto, or HOST:PORT of a cluster's head"
    )
    group.add_argument("--workers", metavar="N", type=int, help="with --ray: how many")
    group.add_argument(
        "--shard", metavar="I/N", type=_shard, help="this shard alone; `dnallm merge` joins them"
    )


def divided(run: Command) -> Command:
    """A job's command, carried out whole or as its flags divide it."""

    @functools.wraps(run)
    def carried_out(options: argparse.Namespace) -> int:
        is_divided = any(each is not None for each in (options.ray, options.devices, options.shard))
        if getattr(options, "device_map", None) and (options.ray or options.devices):
            raise RequirementError(
                "With --device-map one process holds all devices: leave --devices and --ray out.",
                requirement="device_map",
            )
        if is_divided and getattr(options, "figure", None) is not None:
            raise RequirementError("--figure is drawn of a run in one process, of all of it.")
        if options.ray is not None:
            return _over_ray(options)
        if options.devices is not None:
            return _over_devices(options)
        if options.shard is not None:
            return _one_shard(run, options)
        return run(options)

    return carried_out


def _one_shard(run: Command, options: argparse.Namespace) -> int:
    from ..tasks.shards import one_shard
    from ..tasks.work import MANNER

    token = MANNER.set(functools.partial(one_shard, shard=options.shard))
    try:
        return run(options)
    finally:
        MANNER.reset(token)


def _over_devices(options: argparse.Namespace) -> int:
    from ..tasks.processes import Processes, devices_of
    from .worker import serve

    if options.device != "auto":
        raise RequirementError(
            "Give --device, where one process runs, or --devices, where several do.",
            requirement="devices",
        )
    devices = devices_of(options.devices)
    command = functools.partial(_command, options)
    return _coordinated(options, Processes(serve, command, devices, say))


def _over_ray(options: argparse.Namespace) -> int:
    from ..tasks.on_ray import RayCrew
    from .worker import Worker

    if options.devices is not None:
        raise RequirementError(
            "Give --ray or --devices, one of the two.",
            requirement="ray",
            hint="With --ray, --workers says how many, and --device what they run on.",
        )
    if options.workers is not None and options.workers < 1:
        raise RequirementError("--workers must be at least 1.", requirement="workers")
    command = functools.partial(_command, options)
    crew = RayCrew(options.ray, Worker, command, options.device, options.workers)
    return _coordinated(options, crew)


def _coordinated(options: argparse.Namespace, crew: Any) -> int:
    from ..tasks.coordinating import coordinate
    from ..tasks.run import COMMAND

    COMMAND.set(options.command_line)
    with crew:
        if not options.quiet:
            say(f"{crew.size} workers")
        record = coordinate(
            crew,
            options.output,
            shard=options.shard,
            overwrite=options.overwrite,
            quiet=options.quiet,
        )
    return finish(options, record)


def _command(options: argparse.Namespace, device: str) -> list[str]:
    """What a worker is told: the user's command, on one device, without what the coordinator does."""
    from ..tasks.run import without

    name, *rest = without(options.command_line, valued=_VALUED, bare=_BARE)
    return [name, "--device", device, "--quiet", *rest]


def finish(options: argparse.Namespace, record: dict[str, object]) -> int:
    """Say what was written."""
    written = record.get("output", options.output)
    if options.json:
        print_json({"output": str(written), "run": record})
    elif not options.quiet:
        say(f"wrote {written} in {record['seconds']:.1f} s")
    if record.get("warning"):
        say(str(record["warning"]))
    return 0


def _shard(text: str) -> object:
    from ..tasks.shards import which

    try:
        return which(text)
    except RequirementError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
