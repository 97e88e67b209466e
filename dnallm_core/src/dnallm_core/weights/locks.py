"""One process at a time: locks that the system takes back when their holder dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout


@contextmanager
def locked(
    path: Path, *, on_wait: Callable[[], None] | None = None, patient: bool = True
) -> Iterator[None]:
    """Hold the lock at ``path``; ``on_wait`` is called once where another process has it.

    With ``patient=False`` a lock that is held raises BlockingIOError at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock: BaseFileLock = FileLock(path)
    try:
        _acquire(lock, on_wait, patient)
    except NotImplementedError:  # a network file system without flock
        lock = SoftFileLock(path.with_name(f"{path.name}.soft"))
        _acquire(lock, on_wait, patient)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: BaseFileLock, on_wait: Callable[[], None] | None, patient: bool) -> None:
    try:
        lock.acquire(timeout=0.5 if patient else 0)
    except Timeout:
        if not patient:
            raise BlockingIOError(f"{lock.lock_file} is held by another process") from None
        if on_wait is not None:
            on_wait()
        lock.acquire(poll_interval=0.1)
