"""The same workers under Ray Data: an embedded Ray on this machine, or a cluster by its address.

Each shard of the plan is a row of a data set that a pool of actors maps to parts; Ray schedules,
moves the parts here through its object store, and starts actors anew where a worker or a node is lost.
Nodes read the input themselves, at the same path as here, and are held to its hash.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import CapabilityError, RequirementError, ResourceError
from .merging import difference
from .messages import as_error, as_message
from .plan import Plan
from .progress import Progress
from .run import part_name
from .table import Table, write_part

CHUNK = 64 << 20  # bytes of a part that travel in one row
PARTS_A_SHARD = 32  # at most: what a lost worker costs
RETRIES = 3
KNOCK = 5.0  # seconds for an address to answer at all
CONNECT = 60.0  # seconds for a Ray to answer there

Open = Callable[[list[str]], Any]
"""From a command line to a worker that answers ``ask`` (``cli.worker.Worker``)."""


@dataclass
class RayCrew:
    """Actors of a Ray. Use as a context manager: it connects, and lets go.

    ``where``: local, auto, or host:port. ``workers``: None for one a GPU of the cluster, or one a
    core where it has none. ``command``: from a device's word to a worker's command line.
    """

    where: str
    open_worker: Open
    command: Callable[[str], list[str]]
    device: str = "auto"
    workers: int | None = None
    _job: dict[str, Any] = field(default_factory=dict)
    _needs: dict[str, float] = field(default_factory=dict)
    _parts: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """How many workers there are."""
        return self.workers or 1

    def __enter__(self) -> RayCrew:
        ray = _imported()
        quiet = {"log_to_driver": False, "logging_level": "error"}
        if self.where != "local":
            refuse_silence(self.where)
        cores = os.cpu_count() or 1
        logical = max(cores, self.workers or 0) + 1
        local = {"include_dashboard": False, "num_cpus": logical} if self.where == "local" else {}
        try:
            ray.init(address=self.where, **local, **quiet)
        except Exception as error:  # of many kinds: no room, no port, a node that starts too slowly
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise ResourceError(
                f"Ray does not start here: {reason}.",
                hint="--devices needs no Ray.",
            ) from error
        spare = cores if self.where == "local" else int(ray.cluster_resources().get("CPU", 2)) - 1
        cards = int(ray.cluster_resources().get("GPU", 0))
        if cards and self.device != "cpu":
            self._needs = {"num_cpus": 1, "num_gpus": 1}
            self.workers = min(self.workers or cards, cards)
        else:
            self.device = "cpu" if self.device == "auto" else self.device
            self.workers = self.workers or max(1, spare)
            threads = max(1, spare // self.workers) if self.where == "local" else 1
            self._needs = {"num_cpus": threads}
        self._job = {"command": self.command(self.device), "folder": str(Path.cwd())}
        return self

    def __exit__(self, *_: object) -> None:
        _imported().shutdown()

    def describe(self) -> tuple[dict[str, Any], Plan]:
        """Facts and plan, from a task that runs where a worker would."""
        ray = _imported()
        remote = ray.remote(**self._needs, max_retries=RETRIES)(_describe)
        try:
            found = json.loads(ray.get(remote.remote(self.open_worker, self._job)))
        except ray.exceptions.RayError as error:
            raise self._lost(error) from error
        if "error" in found:
            raise as_error(found["error"])
        _say(found["warnings"])
        self._job["facts"] = {key: found["facts"][key] for key in ("settings", "identity")}
        facts = {**found["facts"], "warning": found["warning"]}
        return facts, Plan(tuple(found["plan"]), found["unit"])

    def compute(self, shards: Sequence[Sequence[int]], folder: Path) -> Iterator[int]:
        """Map the shards to parts, and put each into ``folder`` as it arrives."""
        if not shards:
            return
        ray = _imported()

        cut = [
            json.dumps(list(shard[at : at + PARTS_A_SHARD]))
            for shard in shards
            for at in range(0, len(shard), PARTS_A_SHARD)
        ]
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        parts = ray.data.from_items(
            [{"shard": each} for each in cut], override_num_blocks=len(cut)
        ).map_batches(
            _Computes,
            batch_size=1,
            batch_format="pyarrow",
            fn_constructor_args=(self.open_worker, self._job),
            compute=ray.data.ActorPoolStrategy(size=self.workers),
            max_restarts=RETRIES,
            max_task_retries=-1,  # until the actor is dead: those of a node that goes are soon spent
            **self._needs,
        )
        arriving: dict[int, dict[int, bytes]] = {}
        done: set[int] = set()
        try:
            for batch in parts.iter_batches(batch_size=None, batch_format="pyarrow"):
                for row in batch.to_pylist():
                    _say(json.loads(row["warnings"]))
                    if row["error"]:
                        raise as_error(json.loads(row["error"]))
                    number = row["number"]
                    if number < 0 or number in done:
                        continue
                    pieces = arriving.setdefault(number, {})
                    pieces[row["place"]] = row["data"]
                    if len(pieces) < row["of"]:
                        continue
                    _put(folder / part_name(number), arriving.pop(number))
                    done.add(number)
                    self._parts[row["worker"]] += 1
                    yield number
        except ray.exceptions.RayError as error:
            raise self._lost(error) from error

    def account(self) -> list[dict[str, Any]]:
        """Each worker, by its node and process, and how many parts came from it."""
        return [{"worker": name, "parts": parts} for name, parts in sorted(self._parts.items())]

    def _lost(self, error: Exception) -> ResourceError:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return ResourceError(
            f"Ray lost a worker {RETRIES + 1} times, or cannot place one: {reason[:200]}",
            hint="What is done is kept, and the same command goes on from there. Where memory ran "
            "out, give fewer --workers or fewer --batch-tokens.",
        )


def _imported() -> Any:
    try:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        import ray
    except ImportError:
        raise CapabilityError(
            "Running on Ray needs Ray, which is not installed.",
            hint='pip install "dnallm-core[ray]"',
        ) from None
    return ray


def refuse_silence(address: str) -> None:
    """Raise RequirementError, within ``KNOCK`` and ``CONNECT`` seconds, where no Ray answers.

    The first attempt is another process's: one that Ray cannot connect is ended by Ray.
    """
    hint = "`ray status --address HOST:PORT` tells whether it runs; --ray local needs no cluster."
    if address != "auto":
        host, colon, port = address.rpartition(":")
        if not colon or not port.isdecimal() or "/" in host:
            raise RequirementError(
                f"{address!r} is no address of a Ray cluster.",
                requirement="ray",
                hint='Write "local", "auto" (the cluster that this node is of), or HOST:PORT of its '
                "head, as 10.0.0.1:6379.",
            )
        try:
            socket.create_connection((host, int(port)), timeout=KNOCK).close()
        except OSError as error:
            raise RequirementError(
                f"The Ray cluster at {address} cannot be reached: {error.strerror or error}.",
                requirement="ray",
                hint=hint,
            ) from None
    attempt = "import ray, sys; ray.init(address=sys.argv[1], log_to_driver=False)"
    try:
        done = subprocess.run(
            [sys.executable, "-c", attempt, address],
            capture_output=True, text=True, timeout=CONNECT, check=False,
        )  # fmt: skip
        reason = (done.stderr.strip().splitlines() or ["it ended at once"])[-1]
    except subprocess.TimeoutExpired:
        done, reason = None, f"nothing that speaks Ray answered within {CONNECT:.0f} s"
    if done is None or done.returncode:
        raise RequirementError(
            f"The Ray cluster at {address} cannot be reached: {reason.rstrip('.')}.",
            requirement="ray",
            hint=hint,
        )


def _say(sentences: Sequence[str]) -> None:
    for each in sentences:
        warnings.warn(each, stacklevel=2)


def _put(path: Path, pieces: Mapping[int, bytes]) -> None:
    temporary = path.with_suffix(".writing")
    with temporary.open("wb") as file:
        for place in sorted(pieces):
            file.write(pieces[place])
    temporary.replace(path)


# --- what runs on the nodes ---------------------------------------------------------------------


def _opened(open_worker: Open, job: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The worker of this process and the facts of its job."""
    node = socket.gethostname()
    if not Path(job["folder"]).is_dir():
        raise RequirementError(
            f"There is no folder {job['folder']} on {node}.",
            hint="Nodes read the input at the path that it has where the command is given.",
        )
    os.chdir(job["folder"])
    worker = open_worker(job["command"])
    facts: dict[str, Any] = worker.ask(lambda work: work.facts())
    wanted = job.get("facts")
    if wanted is not None and (why := difference(wanted, facts)):
        raise RequirementError(f"A worker on {node} does not belong to this run: {why}.")
    return worker, facts


class _Heard:
    """Our warnings in this process, kept to be told by the coordinator; each once."""

    def __init__(self) -> None:
        self._new: list[str] = []
        self._told: set[str] = set()
        warnings.showwarning = self._hear

    def _hear(self, message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        text = str(message)
        if category is UserWarning and text not in self._told:
            self._told.add(text)
            self._new.append(text)

    def taken(self) -> list[str]:
        """What came since it was last asked."""
        new, self._new = self._new, []
        return new


def _describe(open_worker: Open, job: Mapping[str, Any]) -> str:
    heard = _Heard()
    try:
        worker, facts = _opened(open_worker, job)
        plan = worker.ask(lambda work: work.plan())
        warning = worker.ask(lambda work: work.closing())
        worker.close()
    except Exception as error:
        return json.dumps({"error": as_message(error)})
    return json.dumps(
        {
            "facts": facts, "plan": list(plan.sizes), "unit": plan.unit, "warning": warning,
            "warnings": heard.taken(),
        },
        default=str,
    )  # fmt: skip


class _Computes:
    """One actor: its model is loaded with the first shard, and serves all that follow."""

    def __init__(self, open_worker: Open, job: Mapping[str, Any]) -> None:
        self.open_worker = open_worker
        self.job = job
        self.worker: Any = None
        self.heard = _Heard()

    def __call__(self, batch: Any) -> Iterator[Any]:
        try:
            if self.worker is None:
                self.worker, _ = _opened(self.open_worker, self.job)
            for shard in batch["shard"].to_pylist():
                yield from self._parts(json.loads(shard))
        except Exception as error:
            yield self._row(error=json.dumps(as_message(error)))

    def _parts(self, numbers: list[int]) -> Iterator[Any]:
        """The parts of a shard, put on this node's disk first: memory holds one at a time."""
        with tempfile.TemporaryDirectory(prefix="dnallm-") as name:
            folder = Path(name)

            def save(number: int, table: Table) -> None:
                write_part(folder / part_name(number), table)

            self.worker.ask(lambda work: work.compute_some(numbers, save, Progress(quiet=True)))
            for number in numbers:
                path = folder / part_name(number)
                count = max(1, -(-path.stat().st_size // CHUNK))
                with path.open("rb") as file:
                    for place in range(count):
                        yield self._row(number=number, place=place, of=count, data=file.read(CHUNK))
                path.unlink()

    def _row(
        self, *, number: int = -1, place: int = 0, of: int = 0, data: bytes = b"", error: str = ""
    ) -> Any:
        import pyarrow as pa

        return pa.table(
            {
                "number": pa.array([number], pa.int64()),
                "place": pa.array([place], pa.int64()),
                "of": pa.array([of], pa.int64()),
                "data": pa.array([data], pa.large_binary()),
                "error": [error],
                "warnings": [json.dumps(self.heard.taken())],
                "worker": [f"{socket.gethostname()}:{os.getpid()}"],
            }
        )
