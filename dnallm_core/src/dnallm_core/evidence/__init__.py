"""Published benchmark results: what they say of a model in a task, how far they can be trusted."""

from __future__ import annotations
