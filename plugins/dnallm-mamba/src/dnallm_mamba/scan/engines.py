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
from .compiler import EngineUnavailableError

VARIABLE = "DNALLM_SCAN_ENGINE"
ENGINES = ("auto", "reference", "plain", "native", "triton", "mamba-ssm")
_OLDEST_GPU = (7, 0)  # compute capability below which Triton has no code


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
        gate: Tensor | None = None,
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
    preferred = _PREFERRED.get(device_type, ()) if wanted == "auto" else (wanted,)
    reasons = []
    for name in preferred:
        if name == "plain":
            break
        try:
            return _MAKERS[name](device_type)
        except (EngineUnavailableError, ImportError) as error:
            reasons.append(str(error))
            if wanted != "auto":
                raise RequirementError(
                    f"The {name} engine of the selective scan cannot be had: {error}.",
                    requirement=VARIABLE,
                ) from error
    if reasons:
        warnings.warn(
            f"The selective scan runs on its plain engine, several times slower: {reasons[-1]}.",
            stacklevel=2,
        )
    return Engine("plain", chunked.convolve, chunked.selective_scan)


def _native(device_type: str) -> Engine:
    if device_type != "cpu":
        raise EngineUnavailableError(f"it runs on CPUs, not on {device_type}")
    from . import native

    native.library()
    return Engine("native", native.convolve, native.selective_scan)


def _triton(device_type: str) -> Engine:
    if device_type != "cuda":
        raise EngineUnavailableError(f"it runs on CUDA devices, not on {device_type}")
    found = torch.cuda.get_device_capability()
    if found < _OLDEST_GPU:
        raise EngineUnavailableError(
            f"this GPU is of compute capability {found[0]}.{found[1]}; "
            f"Triton needs {_OLDEST_GPU[0]}.{_OLDEST_GPU[1]}"
        )
    from . import triton_scan

    try:  # it needs a C compiler and a driver that knows its code
        triton_scan.prove(torch.device(device_type))
    except Exception as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise EngineUnavailableError(f"Triton can build no kernel here: {words[0]}") from error
    return Engine("triton", chunked.convolve, triton_scan.selective_scan)


def _mamba_ssm(device_type: str) -> Engine:
    if device_type != "cuda":
        raise EngineUnavailableError(f"it runs on CUDA devices, not on {device_type}")
    from .mamba_ssm_scan import selective_scan

    try:
        other = _triton(device_type).selective_scan
    except (EngineUnavailableError, ImportError):
        other = chunked.selective_scan

    def scan(
        x: Tensor,
        step: Tensor,
        A: Tensor,
        B: Tensor,
        C: Tensor,
        D: Tensor,
        mask: Tensor | None = None,
        state: Tensor | None = None,
        reverse: bool = False,
        gate: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        if mask is None and state is None:
            return selective_scan(x, step, A, B, C, D, reverse, gate)
        return other(x, step, A, B, C, D, mask, state, reverse, gate)

    return Engine("mamba-ssm", chunked.convolve, scan)


_MAKERS = {"native": _native, "triton": _triton, "mamba-ssm": _mamba_ssm}
_PREFERRED = {"cpu": ("native",), "cuda": ("mamba-ssm", "triton")}
