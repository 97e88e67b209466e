"""Errors on their way from a worker to whoever waits for it, as JSON and back."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from .. import errors
from ..errors import DnallmError


def as_message(error: BaseException) -> dict[str, Any]:
    """What another process must know of an error to raise it."""
    if isinstance(error, DnallmError):
        return {"kind": type(error).__name__, "sentence": error.sentence, "hint": error.hint}
    if isinstance(error, OSError) and error.errno is not None:
        return {"kind": "OSError", "arguments": [error.errno, error.strerror, error.filename]}
    return {"kind": "", "sentence": "".join(traceback.format_exception(error))}


def as_error(message: Mapping[str, Any]) -> Exception:
    """The error of a message: of its own class where it is one of ours."""
    if message["kind"] == "OSError":
        return OSError(*message["arguments"])
    kind = getattr(errors, message["kind"], None)
    if isinstance(kind, type) and issubclass(kind, DnallmError):
        found: DnallmError = kind.__new__(kind, message["sentence"])
        DnallmError.__init__(found, message["sentence"], hint=message["hint"])
        return found
    return RuntimeError(f"a worker failed:\n{message['sentence']}")
