"""Compile the C engine once, with the machine's own compiler, into the user's cache."""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

_FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")


class EngineUnavailableError(RuntimeError):
    """An engine cannot be had here: no C compiler, one that fails, a foreign device."""


def load_library() -> ctypes.CDLL:
    """The compiled engine: from the cache, else compiled now (some seconds, once a machine)."""
    source = files(__package__).joinpath("native.c").read_bytes()
    compiler = _find_compiler()
    identity = hashlib.sha256(source + repr((compiler, _FLAGS, _processor())).encode())
    library = _cache_folder() / f"scan-{identity.hexdigest()[:16]}.so"
    if not library.exists():
        _compile(compiler, source, library)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        raise EngineUnavailableError(f"{library} cannot be loaded: {error}") from error


def _find_compiler() -> list[str]:
    named = os.environ.get("CC")
    if named:
        command = shlex.split(named)
        if shutil.which(command[0]):
            return command
        raise EngineUnavailableError(f"CC names {named!r}, which is not there")
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return [path]
    raise EngineUnavailableError("there is no C compiler (cc, gcc or clang)")


def _compile(compiler: list[str], source: bytes, library: Path) -> None:
    """Into a temporary name first: a second process never loads half a file."""
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            text, made = Path(folder, "native.c"), Path(folder, library.name)
            text.write_bytes(source)
            command = [*compiler, *_FLAGS, str(text), "-o", str(made)]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                raise EngineUnavailableError(f"{compiler[0]} failed: {last}")
            made.replace(library)
    except (OSError, subprocess.SubprocessError) as error:
        raise EngineUnavailableError(f"the engine could not be compiled: {error}") from error


def _cache_folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("dnallm") / "engines"


def _processor() -> tuple[str, str]:
    """What ``-march=native`` depends on: a cache in a shared home must not cross machines."""
    features = ""
    try:
        for line in (
            Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
        ):
            if line.startswith(("flags", "Features")):
                features = line
                break
    except OSError:
        features = platform.processor()
    return platform.machine(), hashlib.sha256(features.encode()).hexdigest()
