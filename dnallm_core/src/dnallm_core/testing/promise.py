"""What a check is: a promise in its docstring, a stable code, a tier, and what it is asked about."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Tier = Literal["listed", "runs", "true", "reproduces"]
About = Literal["plugin", "family", "model"]
TIERS: tuple[Tier, ...] = ("listed", "runs", "true", "reproduces")


class Broken(AssertionError):  # noqa: N818
    """A promise that is not kept; the sentence says how."""


class NotApplicable(Exception):  # noqa: N818
    """A promise that has nothing to be held against here; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: ``run`` takes the subject and raises ``Broken`` or ``NotApplicable``."""

    code: str
    name: str
    tier: Tier
    about: About
    promise: str
    run: Callable[[Any], None]


CHECKS: list[Check] = []
"""Every check, in the order in which they are run."""

_Run = TypeVar("_Run", bound=Callable[..., None])


def check(code: str, tier: Tier, about: About) -> Callable[[_Run], _Run]:
    """Register a function ``check_NAME(subject)`` as a promise; codes never change their meaning."""

    def register(run: _Run) -> _Run:
        if any(each.code == code for each in CHECKS):
            raise ValueError(f"two checks are called {code}")
        promise = inspect.cleandoc(run.__doc__ or "")
        CHECKS.append(Check(code, run.__name__.removeprefix("check_"), tier, about, promise, run))
        return run

    return register


def require(kept: bool, sentence: str) -> None:
    """Raise ``Broken`` with ``sentence`` unless ``kept``."""
    if not kept:
        raise Broken(sentence)
