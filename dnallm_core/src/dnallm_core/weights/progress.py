"""What a download tells the user: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TextIO

_EVERY_SECONDS = 30.0  # between two lines in a log


class Progress:
    """Tells of one file at a time: how much, how fast, how long still.

    ``stream``: stderr unless said; ``quiet`` tells nothing. ``live``: whether a line may be drawn over;
    unless said, where the stream is a terminal (and ``HF_HUB_DISABLE_PROGRESS_BARS`` is not set).
    """

    def __init__(
        self, stream: TextIO | None = None, *, quiet: bool = False, live: bool | None = None
    ) -> None:
        stream = None if quiet else stream or sys.stderr
        self.stream = stream
        if live is None:
            live = (
                stream is not None
                and stream.isatty()
                and os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS", "") in ("", "0")
            )
        self.live = live
        self._label = ""
        self._total: int | None = None
        self._have = self._start = 0
        self._started = self._drawn = time.monotonic()
        self._bar_stands = False

    def say(self, text: str) -> None:
        """One line."""
        if self.stream is None:
            return
        self._wipe()
        self.stream.write(text + "\n")
        self.stream.flush()

    def begin(self, label: str, total: int | None, have: int = 0) -> None:
        """A file of ``total`` bytes, of which ``have`` are there."""
        self._label, self._total, self._have, self._start = label, total, have, have
        self._started = self._drawn = time.monotonic()
        if not self.live:
            resumed = f", of which {amount(have)} are here" if have else ""
            self.say(f"{label}: {amount(total)}{resumed}")

    def advance(self, count: int) -> None:
        """``count`` more bytes; a negative number where some were thrown away."""
        self._have += count
        if count < 0:
            self._start, self._started = self._have, time.monotonic()
        now = time.monotonic()
        if self.stream is None or now - self._drawn < (0.1 if self.live else _EVERY_SECONDS):
            return
        self._drawn = now
        if self.live:
            self._draw()
        else:
            self.say(self._line())

    def end(self) -> None:
        """The file is there."""
        seconds = time.monotonic() - self._started
        self.say(
            f"{self._label}: {amount(self._have)} in {duration(seconds)} ({amount(self._rate())}/s)"
        )

    def _rate(self) -> float:
        return (self._have - self._start) / max(time.monotonic() - self._started, 1e-3)

    def _line(self) -> str:
        rate = self._rate()
        done = f"{amount(self._have)} of {amount(self._total)}"
        if not self._total:
            return f"{self._label}: {done}, {amount(rate)}/s"
        left = duration((self._total - self._have) / rate) if rate > 0 else "unknown time"
        share = 100 * self._have / self._total
        return f"{self._label}: {share:3.0f} %, {done}, {amount(rate)}/s, {left} left"

    def _draw(self) -> None:
        if self.stream is None:
            return
        columns = shutil.get_terminal_size().columns
        line = self._line()
        room = columns - len(line) - 4
        if self._total and room >= 10:
            width = min(room, 30)
            full = int(width * min(self._have / self._total, 1))
            line += f" [{'#' * full}{'.' * (width - full)}]"
        self.stream.write("\r\x1b[K" + line[: columns - 1])
        self.stream.flush()
        self._bar_stands = True

    def _wipe(self) -> None:
        if self._bar_stands and self.stream is not None:
            self.stream.write("\r\x1b[K")
            self._bar_stands = False


def amount(count: float | None) -> str:
    """Bytes in decimal units: ``1.24 GB``."""
    if count is None:
        return "unknown size"
    value = float(count)
    for unit in ("bytes", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "bytes" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.2f} GB"


def duration(seconds: float) -> str:
    """``0:07``, ``12:30``, ``3:05:00``."""
    whole = int(seconds + 0.5)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
