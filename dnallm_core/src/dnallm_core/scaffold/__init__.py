"""A plugin from nothing: files filled from templates, which pass the conformance kit as they are."""

from __future__ import annotations

import keyword
import re
from importlib import resources
from pathlib import Path
from string import Template

from ..errors import OutputError, RequirementError

# where each template goes; $package and the like are filled in paths too
FILES = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    "ci.yml": ".github/workflows/test.yml",
    "manifest.toml": "src/$package/dnallm.toml",
    "package.py": "src/$package/__init__.py",
    "network.py": "src/$package/network.py",
    "test_conformance.py": "tests/test_conformance.py",
    "test_network.py": "tests/test_network.py",
}


def new_plugin(name: str, parent: Path) -> list[Path]:
    """Write a plugin called ``dnallm-NAME`` into ``parent`` and return its files.

    Raises RequirementError for a name that cannot be a distribution's and a family's, OutputError
    where the folder exists already.
    """
    short = name.removeprefix("dnallm-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", short) or len(short) > 40:
        raise RequirementError(
            f"A plugin cannot be called {name!r}.",
            requirement="name",
            hint="Use small ASCII letters, digits and single hyphens, a letter first: my-model.",
        )
    if keyword.iskeyword(short):
        raise RequirementError(f"{short!r} is a word of Python's.", requirement="name")
    words = {
        "name": short,
        "distribution": f"dnallm-{short}",
        "package": f"dnallm_{short.replace('-', '_')}",
        "Class": "".join(part.capitalize() for part in short.split("-")),
        "title": " ".join(part.capitalize() for part in short.split("-")),
    }
    home = parent / words["distribution"]
    if home.exists():
        raise OutputError(f"{home} exists already.", hint="Choose another name or folder.")
    written = []
    for template, place in FILES.items():
        path = home / Template(place).substitute(words)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(filled(template, words), encoding="utf-8")
        written.append(path)
    return written


def filled(template: str, words: dict[str, str]) -> str:
    """A template's text with its words in place."""
    source = resources.files(__package__).joinpath("templates").joinpath(f"{template}.txt")
    return Template(source.read_text(encoding="utf-8")).substitute(words)
