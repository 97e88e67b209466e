"""Read, run and write at the same time: three threads and two bounded queues.

The plan is fixed by the input and the settings alone: items are taken in order into parts of a set
number of bases, and what a part becomes does not depend on timing. So the parts of an interrupted
run are those of an uninterrupted one, and a resumed run skips the parts that it finds.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from ..resources.heap import give_back_freed
from .progress import Progress
from .table import Table

Item = TypeVar("Item")
PartOf = TypeVar("PartOf")

_END = object()
DEPTH = 2  # parts that may wait between two threads


def in_parts(
    items: Iterable[Item], size: Callable[[Item], int], most: int, most_items: int = 65_536
) -> Iterator[list[Item]]:
    """Consecutive items whose sizes sum to ``most`` or a little more."""
    part: list[Item] = []
    total = 0
    for item in items:
        part.append(item)
        total += size(item)
        if total >= most or len(part) >= most_items:
            yield part
            part, total = [], 0
    if part:
        yield part


class Pipeline(Generic[PartOf]):
    """``parts``, by number, go through ``prepare`` (reading thread), ``compute`` (this one), ``save``."""

    def __init__(
        self,
        parts: Iterable[tuple[int, PartOf]],
        *,
        prepare: Callable[[PartOf], Any],
        compute: Callable[[Any], Table],
        size: Callable[[PartOf], int],
        save: Callable[[int, Table], None],
        progress: Progress,
    ) -> None:
        self.parts = parts
        self.prepare = prepare
        self.compute = compute
        self.size = size
        self.save = save
        self.progress = progress

    def go(self) -> None:
        """Compute every part and save it; the first failure anywhere is raised here."""
        ready: queue.Queue[Any] = queue.Queue(maxsize=DEPTH)
        done: queue.Queue[Any] = queue.Queue(maxsize=DEPTH)
        stop = threading.Event()
        failures: list[BaseException] = []
        threads = [
            threading.Thread(target=self._guarded, args=(work, stop, failures, *ends), daemon=True)
            for work, ends in ((self._read, (ready,)), (self._write, (done,)))
        ]
        for thread in threads:
            thread.start()
        try:
            while (item := _get(ready, stop)) is not _END:
                number, amount, prepared = item
                _put(done, (number, amount, self.compute(prepared)), stop)
                give_back_freed()
            _put(done, _END, stop)
            threads[1].join()
        except _Stopped:
            pass
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def _guarded(
        self, work: Any, stop: threading.Event, failures: list[BaseException], *ends: Any
    ) -> None:
        try:
            work(stop, *ends)
        except _Stopped:
            pass
        except BaseException as error:  # handed to the main thread, whatever it is
            failures.append(error)
            stop.set()

    def _read(self, stop: threading.Event, ready: queue.Queue[Any]) -> None:
        for number, part in self.parts:
            _put(ready, (number, self.size(part), self.prepare(part)), stop)
        _put(ready, _END, stop)

    def _write(self, stop: threading.Event, done: queue.Queue[Any]) -> None:
        while (item := _get(done, stop)) is not _END:
            number, amount, table = item
            self.save(number, table)
            self.progress.add(amount)


class _Stopped(Exception):  # noqa: N818  (not an error: another thread's failure ends this one)
    pass


def _get(source: queue.Queue[Any], stop: threading.Event) -> Any:
    while True:
        try:
            return source.get(timeout=0.1)
        except queue.Empty:
            if stop.is_set():
                raise _Stopped from None


def _put(target: queue.Queue[Any], item: Any, stop: threading.Event) -> None:
    while True:
        if stop.is_set():
            raise _Stopped
        try:
            return target.put(item, timeout=0.1)
        except queue.Full:
            continue
