"""The capability requirements as people type them: one reader a name, for queries and selection alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import values
from .errors import RequirementError, did_you_mean, nearest
from .manifest import words

ORGANISMS = {  # what people ask for -> its domain
    **dict.fromkeys(("homo", "humans", "hg", "grch"), "human"),
    **dict.fromkeys(("mus", "mice", "mm", "murine"), "mouse"),
    **dict.fromkeys(
        ("rat", "drosophila", "fly", "zebrafish", "celegans", "worm", "chicken", "pig", "cow",
         "animal", "mammal", "vertebrate", "insect"), "animal-other"),
    **dict.fromkeys(
        ("arabidopsis", "maize", "zea", "rice", "oryza", "wheat", "tomato", "soybean", "crop"),
        "plant"),
    **dict.fromkeys(("saccharomyces", "cerevisiae", "s cerevisiae"), "yeast"),
    **dict.fromkeys(("fungus", "aspergillus", "candida"), "fungi"),
    **dict.fromkeys(("plasmodium", "trypanosoma", "protozoa"), "protist"),
    **dict.fromkeys(
        ("bacteria", "bacterium", "bacterial", "ecoli", "e coli", "escherichia", "archaea",
         "microbe", "microbial", "metagenome"), "prokaryote"),
    **dict.fromkeys(
        ("phage", "bacteriophage", "viral", "sars", "covid", "hiv", "influenza"), "virus"),
}  # fmt: skip

KNOWN_LICENCES = (
    "Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CC-BY-4.0", "CC-BY-SA-4.0",
    "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "GPL-3.0-only", "GPL-3.0-or-later", "AGPL-3.0-only",
    "LGPL-3.0-only", "MPL-2.0", "PolyForm-Noncommercial-1.0.0", "Unlicense",
)  # fmt: skip


def domain(name: str, options: Iterable[str]) -> Callable[[object], str]:
    """A reader of domains that knows which one an organism belongs to, and says so."""
    known = tuple(options)

    def read(value: object) -> str:
        if (
            str(value).strip().replace("_", "-").lower() in known
        ):  # it may begin as an organism does
            return values.word(value, known, name)
        typed = re.sub(r"[^a-z]+", " ", str(value).lower()).strip()
        found = ORGANISMS.get(typed) or ORGANISMS.get(typed.split(" ")[0])
        if found is not None:
            raise RequirementError(
                f"{name}: {value!r} is no domain.", requirement=name, hint=did_you_mean([found])
            )
        return values.word(value, known, name)

    return read


def _resolution(value: object) -> float:
    if isinstance(value, str):
        value = re.sub(r"\s*bp\s*$", "", value)
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < 10**6 or isinstance(value, bool):
        raise RequirementError(
            f"resolution: {value!r} is no number of bp a token.",
            requirement="resolution",
            hint="Write 1 for single bases.",
        )
    return number


def _inputs(value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise RequirementError(f"inputs: {value!r} is no list of inputs.", requirement="inputs")
    read = {values.word(part, words.INPUTS, "inputs") for part in parts}
    return tuple(each for each in words.INPUTS if each in read | {"sequence"})


def _licence(value: object) -> str:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, Iterable):
        raise RequirementError(f"licence: {value!r} is no licence.", requirement="licence")
    read = []
    for part in parts:
        typed = str(part).strip()
        options = ("any", "commercial", *KNOWN_LICENCES)
        known = next((each for each in options if each.lower() == typed.lower()), None)
        if known is None and not re.fullmatch(r"[A-Za-z][\w.+]*-[\w.+-]*\d[\w.+-]*", typed):
            raise RequirementError(
                f"licence: {typed!r} is neither `any`, `commercial` nor an SPDX id.",
                requirement="licence",
                hint=did_you_mean(nearest(typed, options))
                or "SPDX ids: https://spdx.org/licenses.",
            )
        read.append(known or typed)
    if not read:
        raise RequirementError("licence: the list is empty.", requirement="licence")
    return ",".join(dict.fromkeys(read))


def one_of(name: str, options: Iterable[str]) -> Callable[[object], str]:
    """A reader of one of some words."""
    return lambda value: values.word(value, options, name)


def unknown(name: str, names: Iterable[str]) -> RequirementError:
    """The error for a requirement that is none of ``names``, with the nearest."""
    known = tuple(names)
    near = nearest(name.replace("-", "_"), known)
    return RequirementError(
        f"There is no requirement {name!r}.",
        requirement=name,
        hint=did_you_mean(near) or f"There are: {', '.join(known)}.",
    )


READERS: Mapping[str, Callable[[Any], Any]] = {
    "task": one_of("task", words.TASKS),
    "trained_on": domain("trained_on", words.DOMAINS),
    "length": values.length,
    "direction": one_of("direction", words.DIRECTIONS),
    "architecture": one_of("architecture", words.ARCHITECTURES),
    "scaling": one_of("scaling", words.GROWTHS),
    "resolution": _resolution,
    "inputs": _inputs,
    "licence": _licence,
}
