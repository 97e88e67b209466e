"""Which engine runs the scan: the fastest that is at hand, or the one that was asked for."""

from __future__ import annotations

import os
import warnings
from functools import cache
from typing import NamedTuple, Protocol

import torch
from dnallm_core.errors import RequirementError, did_you_mean, nearest
from torch import Tensor

from . import chunked, reference
from .compiler import NoCompilerError

VARIABLE = "DNALLM_SCAN_ENGINE"
ENGINES = ("auto", "reference", "plain", "native")


class Convolve(Protocol):
    """``reference.convolve``."""

    def __call__(
        self,
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        edge: Tensor | None = None,
        reverse: bool = False,
    ) -> Tensor:
        """As the reference."""
        ...


class SelectiveScan(Protocol):
    """``reference.selective_scan``."""

    def __call__(
        self,
        x: Tensor,
        step: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        mask: Tensor | None = None,
        state: Tensor | None = None,
        reverse: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """As the reference."""
        ...


class Engine(NamedTuple):
    """One way to compute the same two functions."""

    name: str
    convolve: Convolve
    selective_scan: SelectiveScan


def engine_for(device: torch.device) -> Engine:
    """The engine that serves tensors on ``device``.

    ``DNALLM_SCAN_ENGINE`` names one (``auto`` where unset). An engine that was named and cannot be
    had is a RequirementError; one that was only preferred gives way to ``plain``, said once.
    """
    return _engine(os.environ.get(VARIABLE) or "auto", device.type)


def engine_name(device: torch.device) -> str:
    """The name of the engine that ``engine_for`` gives, as a run records it."""
    return engine_for(device).name


@cache
def _engine(wanted: str, device_type: str) -> Engine:
    if wanted not in ENGINES:
        raise RequirementError(
            f"{VARIABLE} names no engine of the selective scan: {wanted!r}.",
            requirement=VARIABLE,
            hint=did_you_mean(nearest(wanted, ENGINES)) or f"One of {', '.join(ENGINES)}.",
        )
    if wanted == "reference":
        return Engine("reference", reference.convolve, reference.selective_scan)
    if wanted == "native" or (wanted == "auto" and device_type == "cpu"):
        try:
            return _native(device_type)
        except NoCompilerError as error:
            if wanted == "native":
                raise RequirementError(
                    f"The native engine of the selective scan cannot be had: {error}.",
                    requirement=VARIABLE,
                ) from error
            warnings.warn(
                f"The selective scan runs on its plain engine, several times slower: {error}.",
                stacklevel=2,
            )
    return Engine("plain", chunked.convolve, chunked.selective_scan)


def _native(device_type: str) -> Engine:
    if device_type != "cpu":
        raise NoCompilerError(f"it runs on CPUs, not on {device_type}")
    from . import native

    native.library()
    return Engine("native", native.convolve, native.selective_scan)
