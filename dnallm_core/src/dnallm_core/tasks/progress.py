"""How far a run is: a bar with rate and estimate on a terminal, plain lines in a log, or silence."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """Counts ``unit``s. ``total`` None where the input's length is not known beforehand."""

    def __init__(
        self,
        total: int | None = None,
        *,
        unit: str = "bp",
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.total = total
        self.unit = unit
        self.quiet = quiet
        self.stream = stream or sys.stderr
        self.done = 0
        self.skipped = 0
        self._began = time.monotonic()
        self._shown = 0.0
        self._told = 0
        self._is_terminal = self.stream.isatty()

    def add(self, amount: int) -> None:
        """Note that ``amount`` more are done."""
        self.done += amount
        self._show()

    def skip(self, amount: int) -> None:
        """Note that ``amount`` were done by an earlier run."""
        self.skipped += amount

    def close(self) -> None:
        """Print the last state and end the line."""
        self._show(last=True)
        if self._is_terminal and not self.quiet:
            self.stream.write("\n")

    def _show(self, *, last: bool = False) -> None:
        now = time.monotonic()
        pause = 0.2 if self._is_terminal else 30.0
        if self.quiet or (not last and now - self._shown < pause):
            return
        if last and self._shown and not self._is_terminal and self.done == self._told:
            return  # the last line of the log says it already
        self._told = self.done
        self._shown = now
        line = self.line(now - self._began)
        self.stream.write(f"\r\x1b[K{line}" if self._is_terminal else f"{line}\n")
        self.stream.flush()

    def line(self, seconds: float) -> str:
        """``1,234,567 of 4,938,920 bp (25 %), 51.2 kb/s, 1:12 left``."""
        reached = self.done + self.skipped
        rate = self.done / seconds if seconds > 0 else 0.0
        text = f"{reached:,}"
        if self.total:
            text += f" of {self.total:,} {self.unit} ({100 * reached // self.total} %)"
        else:
            text += f" {self.unit}"
        text += f", {_rate(rate)}" if self.unit == "bp" else f", {rate:.1f}/s"
        if self.total and rate and reached < self.total:
            text += f", {_clock((self.total - reached) / rate)} left"
        return text


def _rate(rate: float) -> str:
    for limit, unit in ((1e6, "Mb/s"), (1e3, "kb/s")):
        if rate >= limit:
            return f"{rate / limit:.1f} {unit}"
    return f"{rate:.0f} bp/s"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
