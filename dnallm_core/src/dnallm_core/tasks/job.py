"""One task over one input, from settings to a whole output: what every task shares."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import DiskFullError
from .outputs import FORMATS, writer_for
from .pipeline import Pipeline
from .progress import Progress
from .run import Run, file_digest, folder_digest, provenance, refuse_what_changed
from .table import Table

if TYPE_CHECKING:
    from ..models import Model

Item = TypeVar("Item")

PART_BASES = 131_072  # bp a part: what an interruption costs at most, and what is held in memory


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
        parts: Callable[[], Iterable[list[Item]]],
        *,
        prepare: Callable[[list[Item]], Any],
        compute: Callable[[Any], Table],
        size: Callable[[list[Item]], int],
        total: int | None = None,
        unit: str = "bp",
    ) -> dict[str, Any]:
        """Compute what is missing, write the output, and return the record of the run.

        ``size`` counts a part in ``unit``s, for the progress that is shown.
        """
        write = writer_for(self.output, self.endings, self.formats)
        began = time.monotonic()
        settings = {
            "task": self.task,
            "input": str(self.source),
            "input_sha256": self._digest(),
            **{key: value for key, value in self.model.provenance.items() if key != "device"},
            **self._weights(),
            **self.settings,
        }
        refuse_what_changed(settings)
        progress = Progress(total, unit=unit, quiet=self.quiet)
        try:
            with Run(self.output, settings, overwrite=self.overwrite) as run:
                Pipeline(
                    run, parts(), prepare=prepare, compute=compute, size=size, progress=progress
                ).go()
                progress.close()
                scratch = run.folder / "whole"
                details = {
                    "name": self.output.name,
                    "settings": settings,
                    "model": self.model.manifest.id,
                    **self.details,
                }
                write(scratch, run.parts(), details)
                record = provenance(
                    {
                        "model": dict(self.model.provenance),
                        "seconds": round(time.monotonic() - began, 3),
                        "resumed_parts": run.resumed_parts,
                        "parts": run.parts_done(),
                        "done": progress.done + progress.skipped,
                    }
                )
                run.finish(scratch, record)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(
                    f"The disk is full: {self.output} could not be finished.",
                    hint="What is done is kept beside it; free some space and run the same "
                    "command again: it goes on from there.",
                ) from error
            raise
        return record

    def _weights(self) -> dict[str, str]:
        """What weights from a user's own folder are; a listed model's are known by their hashes."""
        folder = self.model.provenance.get("weights")
        return {"weights_digest": folder_digest(Path(folder))} if folder else {}

    def _digest(self) -> str | None:
        path = Path(self.source)
        return file_digest(path) if path.is_file() else None
