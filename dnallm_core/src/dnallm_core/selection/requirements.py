"""What a task needs: one name a requirement, in Python, as a flag, and in a TOML file."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .. import criteria, values
from ..errors import RequirementError
from ..manifest import words
from ..manifest.lines import line_of

SETTINGS = ("zero-shot", "probe", "fine-tuned", "LoRA")
EVIDENCE_DOMAINS = (*words.DOMAINS, "multi")
WEIGHTS = ("bundled", "local", "any")
MODES = ("inference", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirements:
    """What a model must keep (hard), and what chooses the evidence by which the rest are ranked.

    Everything is optional; None means that it was not asked. ``length`` in bp, ``memory`` in bytes
    a device, ``resolution`` in bp a token, ``time`` in seconds for ``sequences`` sequences.
    """

    task: str | None = None
    subtask: str | None = None
    setting: str | None = None
    domain: str | None = None
    trained_on: str | None = None
    length: int | None = None
    direction: str | None = None
    architecture: str | None = None
    scaling: str | None = None
    resolution: float | None = None
    inputs: tuple[str, ...] | None = None
    licence: str | None = None
    weights: str | None = None
    memory: int | None = None
    gpu: str | None = None
    devices: int | None = None
    dtype: str | None = None
    evidence: str | None = None
    batch: int | None = None
    mode: str | None = None
    sequences: int | None = None
    time: float | None = None
    lengths_from: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Requirements:
        """Requirements from names and values as people write them; None is "not asked".

        Raises RequirementError for an unknown name (with the nearest), an unreadable value, or two
        that contradict each other (naming both).
        """
        read: dict[str, Any] = {}
        for typed, value in given.items():
            name = typed.replace("-", "_")
            if name not in _READERS:
                raise criteria.unknown(typed, NAMES)
            if value is not None and value != ():
                read[name] = _READERS[name](value)
        made = cls(**read)
        _refuse_contradictions(made)
        return made

    def asked(self) -> dict[str, Any]:
        """What was asked, by name, in the order of the table."""
        given = ((each.name, getattr(self, each.name)) for each in dataclasses.fields(self))
        return {name: value for name, value in given if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Every requirement, null where it was not asked; JSON types."""
        return {
            each.name: list(value) if isinstance(value, tuple) else value
            for each in dataclasses.fields(self)
            for value in (getattr(self, each.name),)
        }


def read_file(path: str | Path) -> dict[str, Any]:
    """The requirements of a TOML file, checked one by one; errors begin with ``path:line:``."""
    path = Path(path)
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RequirementError(f"There is no requirements file {path}.") from None
    except (IsADirectoryError, UnicodeDecodeError, PermissionError):
        raise RequirementError(f"{path} is no readable TOML file.") from None
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        at = re.search(r"line (\d+)", str(error))
        line = int(at[1]) if at else text.count("\n") + 1
        what = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise RequirementError(f"{path}:{line}: this is no TOML: {what}.") from None
    where: tuple[str, ...] = ()
    if set(table) == {"requirements"} and isinstance(table["requirements"], dict):
        table, where = table["requirements"], ("requirements",)
    for name, value in table.items():
        try:
            Requirements.of({name: value})
        except RequirementError as error:
            line = line_of(text, (*where, name))
            raise RequirementError(
                f"{path}:{line}: {error.sentence}", requirement=error.requirement, hint=error.hint
            ) from None
    return table


def _subtask(value: object) -> str:
    from ..evidence import subtasks  # the vocabulary is the evidence's own

    return values.word(value, subtasks(), "subtask")


def _gpu(value: object) -> str:
    from ..resources.gpus import find  # raises for a card that the table lacks

    return find(str(value)).name


def _path(value: object) -> str:
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    **criteria.READERS,
    "subtask": _subtask,
    "setting": criteria.one_of("setting", SETTINGS),
    "domain": criteria.domain("domain", EVIDENCE_DOMAINS),
    "weights": criteria.one_of("weights", WEIGHTS),
    "memory": values.memory,
    "gpu": _gpu,
    "devices": lambda value: values.count(value, "devices"),
    "dtype": criteria.one_of("dtype", words.DTYPES),
    "evidence": criteria.one_of("evidence", words.GRADES),
    "batch": lambda value: values.count(value, "batch"),
    "mode": criteria.one_of("mode", MODES),
    "sequences": lambda value: values.count(value, "sequences"),
    "time": values.duration,
    "lengths_from": _path,
}
NAMES = tuple(each.name for each in dataclasses.fields(Requirements))

# What two requirements can say that no model keeps, whatever its maker does: (name, value) pairs.
_IMPOSSIBLE = (
    (("task", "generation"), ("direction", "bidirectional"), "generation goes from left to right"),
    (("task", "masked-prediction"), ("direction", "causal"), "a masked base is read from both sides"),
    (("task", "generation"), ("architecture", "encoder-transformer"), "an encoder generates nothing"),
    (("task", "masked-prediction"), ("architecture", "decoder-transformer"), "a decoder masks nothing"),
    (("direction", "causal"), ("architecture", "encoder-transformer"), "an encoder reads both sides"),
    (("direction", "bidirectional"), ("architecture", "decoder-transformer"), "a decoder is causal"),
)  # fmt: skip


def _refuse_contradictions(asked: Requirements) -> None:
    for (first, one), (second, other), why in _IMPOSSIBLE:
        if getattr(asked, first) == one and getattr(asked, second) == other:
            raise RequirementError(
                f"{first} = {one!r} and {second} = {other!r} contradict each other: {why}.",
                requirement=second,
                hint="Leave one of the two out.",
            )
    if asked.gpu is not None and asked.memory is not None:
        from ..resources.gpus import find

        card = find(asked.gpu)
        if asked.memory > card.memory * 1.1:  # data sheets round, and GB may be GiB
            raise RequirementError(
                f"memory = {values.show_memory(asked.memory)} and gpu = {asked.gpu!r} contradict each "
                f"other: that card has {values.show_memory(card.memory)}.",
                requirement="memory",
                hint="Leave one of the two out.",
            )
    if asked.time is not None and asked.sequences is None:
        raise RequirementError(
            "time needs sequences: how many there are to do in it.",
            requirement="time",
            hint="Say `sequences` too.",
        )
