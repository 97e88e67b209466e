"""Which models fit what a task needs and what hardware there is: requirements in, decisions out."""

from __future__ import annotations

from .decisions import Decision, Refusal, Rejection, Selection
from .requirements import Requirements
from .selector import decide

__all__ = ["Decision", "Refusal", "Rejection", "Requirements", "Selection", "decide"]
