"""One task over one input, from settings to a whole output: what every task shares."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DiskFullError
from .figures import Drawing
from .outputs import FORMATS, writer_for
from .progress import Progress
from .run import Run, file_digest, folder_digest, provenance, refuse_what_changed
from .table import Table
from .work import MANNER, Work

if TYPE_CHECKING:
    from ..models import Model

PartOf = TypeVar("PartOf")  # consecutive items of the input, in whatever a task holds them

PART_BASES = 131_072  # bp a part: what an interruption costs at most, and what is held in memory
WHERE = ("device", "engine")  # recorded, but a run may go on elsewhere


def whole(work: Work) -> dict[str, Any]:
    """Carry out all of it in this process."""
    write = writer_for(work.output, work.endings, work.formats)
    began = time.monotonic()
    refuse_what_changed(work.settings)
    progress = Progress(work.total, unit=work.unit, quiet=work.quiet)
    with (
        explaining_a_full_disk(work.output),
        Run(work.output, work.settings, overwrite=work.overwrite) as run,
    ):
        work.compute_parts(lambda number: not run.has(number), run.save, progress)
        progress.close()
        scratch = run.folder / "whole"
        details = {
            "name": work.output.name,
            "settings": work.settings,
            "model": work.model.manifest.id,
            **work.details,
        }
        write(scratch, run.parts(), details)
        if work.drawing is not None:
            work.drawing.draw(run.parts())
        record = provenance(
            {
                "model": dict(work.model.provenance),
                "seconds": round(time.monotonic() - began, 3),
                "resumed_parts": run.resumed_parts,
                "parts": run.parts_done(),
                "done": progress.done + progress.skipped,
            }
        )
        run.finish(scratch, record)
    if warning := work.closing():
        record["warning"] = warning
    return record


@contextmanager
def explaining_a_full_disk(output: Path) -> Iterator[None]:
    """A full disk becomes a DiskFullError that says what is kept."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"The disk is full: {output} could not be finished.",
                hint="What is done is kept beside it; free some space and run the same command "
                "again: it goes on from there.",
            ) from error
        raise


@dataclass
class Job:
    """What is run, on what, and where it goes.

    ``settings`` are everything that the result depends on; together with the input's hash and the
    model's provenance they are recorded beside the output, and ``dnallm rerun`` repeats them.
    """

    task: str
    model: Model
    source: Path | str
    output: Path
    settings: Mapping[str, Any]
    overwrite: bool = False
    quiet: bool = False
    endings: Iterable[str] | None = None
    formats: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=lambda: FORMATS)
    details: dict[str, Any] = field(default_factory=dict)

    def carry_out(
        self,
        parts: Callable[[], Iterable[PartOf]],
        *,
        prepare: Callable[[PartOf], Any],
        compute: Callable[[Any], Table],
        size: Callable[[PartOf], int],
        total: int | None = None,
        unit: str = "bp",
        closing: Callable[[], str] = str,
        drawing: Drawing | None = None,
    ) -> dict[str, Any]:
        """Compute what is missing, write the output, and return the record of the run.

        ``parts`` gives the items in order, from the first, whenever it is called. ``size`` counts a
        part in ``unit``s, for the progress that is shown and for a fair division. ``closing``: what
        is to be said of the input once it is read, or "". ``drawing``: a picture of all rows.
        """
        work = Work(
            self.model,
            self.output,
            {
                "task": self.task,
                "input": str(self.source),
                "input_sha256": self._digest(),
                **{key: value for key, value in self.model.provenance.items() if key not in WHERE},
                **self._weights(),
                **self.settings,
            },
            parts,
            prepare,
            compute,
            size,
            total=total,
            unit=unit,
            endings=self.endings,
            formats=self.formats,
            details=self.details,
            closing=closing,
            drawing=drawing,
            overwrite=self.overwrite,
            quiet=self.quiet,
        )
        return (MANNER.get() or whole)(work)

    def _weights(self) -> dict[str, str]:
        """What weights from a user's own folder are; a listed model's are known by their hashes."""
        folder = self.model.provenance.get("weights")
        return {"weights_digest": folder_digest(Path(folder))} if folder else {}

    def _digest(self) -> str | None:
        path = Path(self.source)
        return file_digest(path) if path.is_file() else None
