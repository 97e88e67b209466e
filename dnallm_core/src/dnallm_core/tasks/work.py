"""A job laid out: its settings, its parts in order, and what becomes of each.

How it is carried out is another matter: whole in this process, one shard of it, or part by part as
a coordinator asks. Whichever it is, a part is computed by the same code from the same items, so that
the output is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import RequirementError
from ..models.fingerprint import fingerprint
from .figures import Drawing
from .outputs import FORMATS
from .pipeline import Pipeline
from .plan import Plan
from .progress import Progress
from .run import provenance
from .table import Table

if TYPE_CHECKING:
    from ..models import Model


@dataclass
class Work:
    """One job, ready to be computed.

    ``settings``: everything that the result depends on. ``details``: what the writer is told beside
    it. ``closing``: what is to be said of the input once it is read. ``drawing``: made of a whole run.
    The other fields are those of ``Job.carry_out``.
    """

    model: Model
    output: Path
    settings: Mapping[str, Any]
    parts: Callable[[], Iterable[Any]]
    prepare: Callable[[Any], Any]
    compute: Callable[[Any], Table]
    size: Callable[[Any], int]
    total: int | None = None
    unit: str = "bp"
    endings: Iterable[str] | None = None
    formats: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=lambda: FORMATS)
    details: Mapping[str, Any] = field(default_factory=dict)
    closing: Callable[[], str] = str
    drawing: Drawing | None = None
    overwrite: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        self._rest: Iterator[tuple[int, Any]] = iter(())
        self._at = -1  # the part that was read last

    def plan(self) -> Plan:
        """The sizes of all parts: the input is read once, and nothing is computed.

        Raises RequirementError for an input that cannot be read a second time.
        """
        source = str(self.settings["input"])
        if source == "-" or (Path(source).exists() and not Path(source).is_file()):
            raise RequirementError(
                "Standard input and pipes are read once, and a run that is divided reads its input "
                "for each shard.",
                hint="Write the input to a file.",
            )
        return Plan(tuple(self.size(part) for part in self.parts()), self.unit)

    def facts(self) -> dict[str, Any]:
        """What must be known of the job to write its output elsewhere, as JSON.

        ``identity``: hash of the network's tensors, and the versions that computed.
        """
        return {
            "settings": dict(self.settings),
            "identity": {
                "tensors": fingerprint(self.model),
                "versions": versions(self.model),
            },
            "model": dict(self.model.provenance),
            "details": {"model": self.model.manifest.id, **self.details},
            "endings": None if self.endings is None else list(self.endings),
            "formats": dict(self.formats),
        }

    def compute_parts(
        self,
        wanted: Callable[[int], bool],
        save: Callable[[int, Table], None],
        progress: Progress,
    ) -> None:
        """Compute every part that is ``wanted``, in order, and ``save`` each."""
        self._compute(self._chosen(wanted, progress), save, progress)

    def compute_some(
        self, numbers: Iterable[int], save: Callable[[int, Table], None], progress: Progress
    ) -> None:
        """Compute the parts of these ascending ``numbers``; reading goes on from where it stood."""
        self._compute(self._going_on(list(numbers)), save, progress)

    def _compute(
        self,
        parts: Iterable[tuple[int, Any]],
        save: Callable[[int, Table], None],
        progress: Progress,
    ) -> None:
        Pipeline(
            parts,
            prepare=self.prepare,
            compute=self.compute,
            size=self.size,
            save=save,
            progress=progress,
        ).go()

    def _chosen(
        self, wanted: Callable[[int], bool], progress: Progress
    ) -> Iterator[tuple[int, Any]]:
        for number, part in enumerate(self.parts()):
            if wanted(number):
                yield number, part
            else:
                progress.skip(self.size(part))

    def _going_on(self, numbers: list[int]) -> Iterator[tuple[int, Any]]:
        for number in numbers:
            if number <= self._at or self._at < 0:
                self._rest, self._at = iter(enumerate(self.parts())), -1
            while self._at < number:
                try:
                    self._at, part = next(self._rest)
                except StopIteration:
                    raise RequirementError(
                        f"The input held {self._at + 1:,} parts when it was read again, and part "
                        f"{number:,} was planned.",
                        hint="Give a file or a list, not an iterator, which is read once.",
                    ) from None
            yield number, part


def versions(model: Model) -> dict[str, str | None]:
    """Versions of everything that numbers may depend on, the model's plugin included."""
    from importlib import metadata

    found: dict[str, str | None] = dict(provenance({})["versions"])
    plugin = str(model.provenance.get("plugin", ""))
    if plugin:
        try:
            found[plugin] = metadata.version(plugin)
        except metadata.PackageNotFoundError:
            found[plugin] = None
    return found


MANNER: ContextVar[Callable[[Work], dict[str, Any]] | None] = ContextVar("MANNER", default=None)
"""How jobs are carried out, where not whole in this process."""
