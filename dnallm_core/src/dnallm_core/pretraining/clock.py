"""How long a run took, over all its pieces: noted with every checkpoint."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from transformers import TrainerCallback


class Clock(TrainerCallback):
    """Minutes, and minutes of processors, that the checkpoints so far have cost."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.before = (0.0, 0.0)
        if path.exists():
            noted = json.loads(path.read_text())
            self.before = (noted["minutes"], noted["cpu_minutes"])
        self.begun = time.monotonic(), time.process_time()

    def minutes(self) -> dict[str, float]:
        """Until now, earlier pieces included."""
        now = time.monotonic(), time.process_time()
        spent = [
            before + (each - begun) / 60
            for before, begun, each in zip(self.before, self.begun, now, strict=True)
        ]
        return {"minutes": spent[0], "cpu_minutes": spent[1]}

    def on_save(self, args: Any, state: Any, control: Any, **more: Any) -> None:
        """Note it beside the checkpoints."""
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.minutes()))
        new.replace(self.path)
