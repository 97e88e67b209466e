"""Tables of plain values as TOML, for what the command drafts: a manifest, a registry's row."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any


def value(content: Any) -> str:
    """One TOML value; nested tables inline."""
    if isinstance(content, bool):
        return "true" if content else "false"
    if isinstance(content, (int, float)):
        return repr(content)
    if isinstance(content, str):
        return json.dumps(content, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(content, Mapping):
        inner = ", ".join(f"{key(k)} = {value(v)}" for k, v in content.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(content, (list, tuple)):
        return f"[{', '.join(value(each) for each in content)}]"
    raise TypeError(f"TOML holds no {type(content).__name__}")


def key(name: str) -> str:
    """A key, quoted where it must be."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)


def table(path: str, content: Mapping[str, Any]) -> str:
    """``[path]`` and its keys, a line each; what is None is left out."""
    lines = [f"{key(name)} = {value(each)}" for name, each in content.items() if each is not None]
    return "\n".join([f"[{path}]", *lines]) + "\n"
