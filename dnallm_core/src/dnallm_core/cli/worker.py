"""A worker: a command's job, opened once in this process and held ready, its parts computed as asked.

``Worker`` is that job; ``serve`` is what the process of a device runs. The command is the user's own,
so that every job is divided by the same means.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import queue
import signal
import threading
import warnings
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from ..tasks.messages import as_message

Answer = TypeVar("Answer")


class Worker:
    """The job of a command line, whose model is loaded once.

    The command runs in a thread of its own up to the point where it would compute, and waits there.
    """

    def __init__(self, command: list[str]) -> None:
        self._asked: queue.Queue[Callable[[Any], Any] | None] = queue.Queue()
        self._answers: queue.Queue[tuple[Any, BaseException | None]] = queue.Queue()
        self._thread = threading.Thread(target=self._live, args=(command,), daemon=True)
        self._thread.start()
        self._answer()

    def ask(self, question: Callable[[Any], Answer]) -> Answer:
        """``question(work)``, answered in the thread where the model lives; its error is raised."""
        self._asked.put(question)
        answer: Answer = self._answer()
        return answer

    def close(self) -> None:
        """Let the command end."""
        self._asked.put(None)
        self._thread.join()

    def _answer(self) -> Any:
        found, error = self._answers.get()
        if error is not None:
            raise error
        return found

    def _live(self, command: list[str]) -> None:
        from ..tasks.work import MANNER
        from .main import dispatch

        MANNER.set(self._serve)
        try:
            dispatch(command)
            self._answers.put((None, RuntimeError(f"{command[0]} is no job that is divided")))
        except BaseException as error:  # handed to whoever asked, whatever it is
            self._answers.put((None, error))

    def _serve(self, work: Any) -> dict[str, Any]:
        self._answers.put((None, None))
        while (question := self._asked.get()) is not None:
            try:
                self._answers.put((question(work), None))
            except BaseException as error:  # likewise
                self._answers.put((None, error))
        return {}


def planned(work: Any) -> dict[str, Any]:
    """The plan of a job as a message."""
    plan = work.plan()
    return {"plan": list(plan.sizes), "unit": plan.unit, "warning": work.closing()}


def serve(connection: Connection, command: list[str], folder: str, threads: int) -> None:
    """Answer the coordinator at the other end of ``connection`` until it hangs up."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's, which ends us
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # before torch is imported
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.chdir(folder)
    lock = threading.Lock()

    def tell(message: dict[str, Any]) -> None:
        with lock:
            connection.send_bytes(json.dumps(message, default=str).encode())

    def warned(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if category is UserWarning:
            tell({"warning": str(message)})

    warnings.showwarning = warned
    try:
        try:
            worker = Worker(command)
            tell({"facts": worker.ask(lambda work: work.facts())})
            while True:
                asked = json.loads(connection.recv_bytes())
                if asked["do"] == "plan":
                    tell(worker.ask(planned))
                else:
                    _compute(worker, asked["numbers"], Path(asked["folder"]), tell)
        except Exception as error:
            if isinstance(error, (EOFError, BrokenPipeError)):
                raise
            tell({"error": as_message(error)})
    except (EOFError, BrokenPipeError, ConnectionError):
        return  # the coordinator is gone


def _compute(
    worker: Worker, numbers: list[int], folder: Path, tell: Callable[[dict[str, Any]], None]
) -> None:
    from ..tasks.progress import Progress
    from ..tasks.run import part_name
    from ..tasks.table import Table, write_part

    parent = multiprocessing.parent_process()

    def save(number: int, table: Table) -> None:
        if parent is not None and not parent.is_alive():
            raise BrokenPipeError  # the folder may be another run's by now
        write_part(folder / part_name(number), table)
        tell({"part": number})

    worker.ask(lambda work: work.compute_some(numbers, save, Progress(quiet=True)))
    tell({"done": True})
