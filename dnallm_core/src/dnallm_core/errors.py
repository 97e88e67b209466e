"""Every error that dnallm raises on purpose: one tree, each with fields, a sentence and a hint.

The sentence says what was wrong and where; the hint says what to do. ``str(error)`` joins the two.
Each class also is the builtin exception that it specialises, so that code which knows nothing of
dnallm can catch it, and each has the exit code that the command ends with.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class DnallmError(Exception):
    """Base of the tree. ``sentence`` says what was wrong, ``hint`` what to do about it."""

    exit_code = 2

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class UnknownModelError(DnallmError, LookupError):
    """A name that no installed or registered model, alias or family carries."""

    def __init__(self, name: str, known: Iterable[str] = (), *, hint: str = "") -> None:
        self.name = name
        self.nearest = nearest(name, known)
        super().__init__(
            f"No model is called {name!r}.",
            hint=hint or did_you_mean(self.nearest) or "`dnallm models` lists what there is.",
        )


class RequirementError(DnallmError, ValueError):
    """A requirement with an unknown name, an unreadable value, or one that contradicts another."""

    def __init__(self, sentence: str, *, requirement: str = "", hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.requirement = requirement


class ManifestError(DnallmError, ValueError):
    """A manifest that cannot be used. ``problems`` holds one ``path:line: where: what`` each."""

    def __init__(self, problems: Sequence[str], *, path: Path | str = "", hint: str = "") -> None:
        self.problems = tuple(problems)
        self.path = str(path)
        super().__init__("\n".join(self.problems), hint=hint)


class PluginError(DnallmError, ImportError):
    """A plugin that is broken, too old, too new, or missing."""

    def __init__(
        self, sentence: str, *, distribution: str = "", version: str = "", hint: str = ""
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.distribution = distribution
        self.version = version


class WeightsUnavailableError(DnallmError, OSError):
    """Weights that cannot be had: offline, gated, not found, interrupted, no space, bundled only."""

    exit_code = 3

    def __init__(self, sentence: str, *, model: str = "", file: str = "", hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.model = model
        self.file = file


class IntegrityError(DnallmError, ValueError):
    """Bytes or numbers that are not the ones that were promised."""

    exit_code = 3

    def __init__(self, sentence: str, *, file: str = "", model: str = "", hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.file = file
        self.model = model


class CheckpointError(DnallmError, ValueError):
    """A checkpoint that does not fit the network; every offending key is listed."""

    def __init__(
        self,
        sentence: str,
        *,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        misshapen: Sequence[str] = (),
        hint: str = "",
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.missing = tuple(missing)
        self.unexpected = tuple(unexpected)
        self.misshapen = tuple(misshapen)


class SequenceError(DnallmError, ValueError):
    """Input that is no usable sequence: which record, which position (1-based), which character."""

    def __init__(
        self,
        sentence: str,
        *,
        record: str = "",
        position: int | None = None,
        character: str = "",
        hint: str = "",
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.record = record
        self.position = position
        self.character = character


class LabelError(DnallmError, ValueError):
    """Labels that nothing sound can be learned from: which record, which column."""

    def __init__(
        self, sentence: str, *, record: str = "", column: str = "", hint: str = ""
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.record = record
        self.column = column


class CapabilityError(DnallmError, TypeError):
    """A model was asked for what it cannot do; ``models`` names some that can."""

    def __init__(self, sentence: str, *, models: Sequence[str] = (), hint: str = "") -> None:
        self.models = tuple(models)
        some = ", ".join(self.models[:5])
        super().__init__(sentence, hint=hint or (f"Models that can: {some}." if some else ""))


class ResourceError(DnallmError, RuntimeError):
    """The hardware is too small: ``needed`` and ``available`` in bytes, ``fits_at`` in bp."""

    exit_code = 4

    def __init__(
        self,
        sentence: str,
        *,
        needed: int | None = None,
        available: int | None = None,
        fits_at: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(sentence, hint=hint)
        self.needed = needed
        self.available = available
        self.fits_at = fits_at


class OutputError(DnallmError, OSError):
    """An output that exists already, is being written by another run, or cannot be written."""


class DiskFullError(OutputError):
    """No space, or no quota, is left where an output goes."""

    exit_code = 3


def nearest(name: str, known: Iterable[str], limit: int = 3) -> tuple[str, ...]:
    """The known names that look most like ``name``, best first, compared without case."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=limit, cutoff=0.6)
    return tuple(by_lower[each] for each in close)


def did_you_mean(names: Sequence[str]) -> str:
    """``Did you mean "a" or "b"?``, or nothing where no name is near."""
    if not names:
        return ""
    quoted = [f'"{each}"' for each in names]
    listed = quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + " or " + quoted[-1]
    return f"Did you mean {listed}?"
