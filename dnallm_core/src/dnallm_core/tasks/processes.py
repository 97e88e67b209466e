"""A process for each device of this machine, fed by shards; one that dies is started again once."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..errors import RequirementError, ResourceError
from .merging import difference
from .messages import as_error
from .plan import Plan, ranges

Serve = Callable[[Connection, list[str], str, int], None]
"""What a worker's process runs: connection, command, folder, threads."""


def devices_of(text: str) -> list[str]:
    """``all``, ``cuda:0,cuda:1`` or ``cpu:4`` as devices, one a worker. RequirementError otherwise."""
    if text == "all":
        import torch

        found = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        if not found:
            raise RequirementError(
                "There is no GPU here for --devices all.",
                requirement="devices",
                hint="--devices cpu:2 starts two processes on the CPU.",
            )
        return found
    devices: list[str] = []
    for word in text.split(","):
        kind, _, number = word.strip().partition(":")
        if kind == "cpu" and (not number or (number.isdecimal() and int(number))):
            devices += ["cpu"] * int(number or 1)
        elif kind in ("cuda", "mps") and (not number or number.isdecimal()):
            devices.append(word.strip())
        else:
            raise RequirementError(
                f"{word.strip()!r} names no devices.",
                requirement="devices",
                hint='Write "all", "cuda:0,cuda:1", or "cpu:4" for four processes on the CPU.',
            )
    return devices


@dataclass
class _Slot:
    """The place of one worker: its device, its process while it lives, and the shard in hand."""

    number: int
    device: str
    process: Any = None
    connection: Any = None
    shard: list[int] | None = None
    is_ready: bool = False
    deaths: int = 0  # since it last finished a shard
    parts: int = 0
    deaths_in_all: int = 0

    @property
    def name(self) -> str:
        return f"worker {self.number} on {self.device}"


@dataclass
class Processes:
    """Processes of this machine. Use as a context manager: none outlives it."""

    serve: Serve
    command: Callable[[str], list[str]]
    devices: Sequence[str]
    say: Callable[[str], None]
    _slots: list[_Slot] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)
    _losses: Counter[int] = field(default_factory=Counter)  # of a shard, by its last part
    _facts: dict[str, Any] | None = None

    @property
    def size(self) -> int:
        """How many workers there are."""
        return len(self.devices)

    def __enter__(self) -> Processes:
        self._slots = [_Slot(number, device) for number, device in enumerate(self.devices, 1)]
        for slot in self._slots:
            self._start(slot)
        return self

    def __exit__(self, *_: object) -> None:
        for slot in self._slots:
            self._end(slot)

    def describe(self) -> tuple[dict[str, Any], Plan]:
        """Facts and plan, from the first worker that is ready."""
        asked: _Slot | None = None
        while True:
            for slot, message in self._messages():
                if message is None:
                    self._replace(slot)
                    asked = None if asked is slot else asked
                elif "plan" in message:
                    assert self._facts is not None
                    self._facts["warning"] = message["warning"]
                    return self._facts, Plan(tuple(message["plan"]), message["unit"])
            if asked is None:
                asked = next((slot for slot in self._slots if slot.is_ready), None)
                if asked is not None:
                    self._send(asked, {"do": "plan"})

    def compute(self, shards: Sequence[Sequence[int]], folder: Path) -> Iterator[int]:
        """Hand out the shards in order, each to whoever is idle."""
        waiting = deque(list(shard) for shard in shards)
        while waiting or any(slot.shard for slot in self._slots):
            for slot in self._slots:
                if waiting and slot.is_ready and slot.shard is None:
                    slot.shard = waiting.popleft()
                    self._send(
                        slot,
                        {"do": "parts", "numbers": slot.shard, "folder": str(folder.absolute())},
                    )
            for slot, message in self._messages():
                if message is None:
                    rest = slot.shard
                    self._replace(slot)
                    if rest:
                        waiting.appendleft(rest)
                elif "part" in message:
                    assert slot.shard is not None
                    slot.shard.remove(message["part"])
                    slot.parts += 1
                    yield message["part"]
                elif "done" in message:
                    slot.shard, slot.deaths = None, 0

    def account(self) -> list[dict[str, Any]]:
        """Each worker's device and how many parts it computed."""
        return [
            {"device": slot.device, "parts": slot.parts, "restarts": slot.deaths_in_all}
            for slot in self._slots
        ]

    def _start(self, slot: _Slot) -> None:
        context = multiprocessing.get_context("spawn")
        slot.connection, theirs = context.Pipe()
        slot.is_ready, slot.shard = False, None
        slot.process = context.Process(
            target=self.serve,
            args=(theirs, self.command(slot.device), str(Path.cwd()), _threads(self.size)),
            daemon=True,
        )
        slot.process.start()
        theirs.close()

    def _end(self, slot: _Slot) -> None:
        slot.connection.close()
        slot.process.terminate()
        slot.process.join(10)
        if slot.process.is_alive():
            slot.process.kill()
            slot.process.join()

    def _replace(self, slot: _Slot) -> None:
        """Start a dead worker again; ResourceError where it has died twice on the same work."""
        slot.process.join(10)
        how = _ended(slot.process.exitcode)
        where = f" at parts {ranges(slot.shard)}" if slot.shard else ""
        slot.deaths += 1
        slot.deaths_in_all += 1
        if slot.shard:
            self._losses[slot.shard[-1]] += 1
        if slot.deaths > 1 or (slot.shard and self._losses[slot.shard[-1]] > 1):
            raise ResourceError(
                f"A worker died twice{where or ' before it was ready'}: the {slot.name} {how}.",
                hint="What is done is kept, and the same command goes on from there. Where memory "
                "ran out, give fewer --devices or fewer --batch-tokens.",
            )
        self.say(f"The {slot.name} {how}{where}; it is started again.")
        self._end(slot)
        self._start(slot)

    def _send(self, slot: _Slot, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError):  # it has died, which its end of the pipe says next
            slot.connection.send_bytes(json.dumps(message).encode())

    def _messages(self) -> Iterator[tuple[_Slot, dict[str, Any] | None]]:
        """What workers say, waiting for the first to; None for one that has died."""
        by_connection = {slot.connection: slot for slot in self._slots}
        for connection in wait(list(by_connection)):
            slot = by_connection[connection]
            try:
                message = json.loads(connection.recv_bytes())  # type: ignore[union-attr]
            except (EOFError, OSError):
                yield slot, None
                continue
            if "error" in message:
                raise as_error(message["error"])
            if "warning" in message and "plan" not in message:
                self._tell(message["warning"])
            elif "facts" in message:
                self._admit(slot, message["facts"])
            else:
                yield slot, message

    def _tell(self, text: str) -> None:
        """What a library or the model warns of, once a run and not once a worker."""
        if text not in self._told:
            self._told.add(text)
            warnings.warn(text, stacklevel=2)

    def _admit(self, slot: _Slot, facts: dict[str, Any]) -> None:
        if self._facts is None:
            self._facts = facts
        elif why := difference(self._facts, facts):
            raise RequirementError(f"The {slot.name} does not belong to this run: {why}.")
        slot.is_ready = True


def _threads(workers: int) -> int:
    """Threads a worker, so that all together use each core once."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        cores = os.cpu_count() or 1
    return max(1, cores // workers)


def _ended(code: int | None) -> str:
    if code is not None and code < 0:
        reason = ", as the system does when memory runs out" if code == -9 else ""
        return f"was killed by signal {-code}{reason}"
    return f"ended with code {code}"
