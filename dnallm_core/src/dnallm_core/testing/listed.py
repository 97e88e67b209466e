"""Tier *listed*: the manifest can be trusted without running anything."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from ..errors import DnallmError
from .promise import NotApplicable, check, require
from .subject import FamilySubject, ModelSubject, PluginSubject

_CODE = (".py", ".pyc", ".so", ".dll", ".dylib", ".pkl", ".pickle", ".sh", ".exe", ".js")
_HEAVY = ("torch", "transformers", "numpy", "tensorflow", "jax")


@check("C001", "listed", "plugin")
def check_manifest_is_valid(subject: PluginSubject) -> None:
    """The manifest is found, is read, is of this core's interface, and holds no impossible value."""
    require(not subject.problems, " ".join(each.message for each in subject.problems))
    require(subject.plugin is not None, "no manifest was found")


@check("C002", "listed", "plugin")
def check_is_found_without_being_imported(subject: PluginSubject) -> None:
    """Discovery reads the manifest and imports nothing of the plugin, nor anything heavy."""
    loaded = _loaded_by("from dnallm_core.plugins import discover; discover()")
    own = sorted(name for name in loaded if name.split(".")[0] == subject.package)
    require(not own, f"discovery imported {', '.join(own[:3])}")
    heavy = sorted(loaded & set(_HEAVY))
    require(not heavy, f"discovery imported {', '.join(heavy)}")


@check("C003", "listed", "plugin")
def check_package_imports_light(subject: PluginSubject) -> None:
    """Importing the bare package brings no torch: networks are imported when a model is loaded."""
    heavy = sorted(_loaded_by(f"import {subject.package}") & set(_HEAVY[:2]))
    require(not heavy, f"`import {subject.package}` imports {', '.join(heavy)}")


@check("C004", "listed", "plugin")
def check_hooks_load(subject: PluginSubject) -> None:
    """A module of hooks loads, is light, and implements only hooks that exist."""
    entries = [
        entry
        for entry in metadata.entry_points(group="dnallm.plugins")
        if entry.dist is not None and entry.dist.name == subject.distribution
    ]
    if not entries:
        raise NotApplicable("it has no hooks")
    from .. import hooks

    for entry in entries:
        module = entry.value.partition(":")[0]
        heavy = sorted(_loaded_by(f"import {module}") & set(_HEAVY[:2]))
        require(not heavy, f"its hooks' module {module} imports {', '.join(heavy)}")
    _, problems = hooks.manager()
    own = [each.message for each in problems if each.distribution == subject.distribution]
    require(not own, " ".join(own))


@check("C005", "listed", "plugin")
def check_names_are_its_own(subject: PluginSubject) -> None:
    """No model or family carries a name that another installed plugin has claimed."""
    rows = subject.installed.rows
    own = [f"'{key}'" for kind in rows.values() for key in kind]
    clashes = [
        each.message
        for each in subject.zoo.problems
        if each.code == "clash" and any(key in each.message for key in own)
    ]
    require(not clashes, " ".join(clashes))


@check("C006", "listed", "plugin")
def check_files_that_it_names_exist(subject: PluginSubject) -> None:
    """Check vectors, measured costs and bundled weights that the manifest names are in the package."""
    folder = subject.installed.path.parent
    named: dict[str, set[str]] = {}
    for key, row in subject.installed.rows.get("models", {}).items():
        for field in ("check", "footprint"):
            if row.get(field):
                named.setdefault(row[field], set()).add(key)
        bundled = (row.get("weights") or {}).get("bundled")
        if bundled:
            require((folder / bundled).is_dir(), f"{key}: there is no folder {bundled}")
    for file, keys in named.items():
        content = _json(folder / file, ", ".join(sorted(keys)[:2]))
        models = content.get("models", content) if isinstance(content, dict) else {}
        require(bool(keys & set(models)), f"{file} speaks of none of the models that name it")
        known = set(subject.installed.rows["models"])
        strangers = sorted(set(models) - known - {"schema"})
        require(
            not strangers, f"{file} speaks of {', '.join(strangers[:3])}, which nobody declares"
        )


@check("C007", "listed", "plugin")
def check_depends_on_the_core(subject: PluginSubject) -> None:
    """The distribution requires ``dnallm-core`` with a ceiling, and nothing called ``dnallm``."""
    from packaging.requirements import Requirement

    needs = [Requirement(each) for each in subject.metadata.get_all("Requires-Dist") or ()]
    names = {re.sub(r"[-_.]+", "-", each.name).lower(): each for each in needs}
    require("dnallm" not in names, "it requires `dnallm`, which is another project on the index")
    require("dnallm-core" in names, "it does not require dnallm-core")
    text = str(names["dnallm-core"].specifier)
    require("<" in text or "~=" in text or "==" in text, "its dnallm-core has no ceiling (>=2,<3)")


@check("C008", "listed", "family")
def check_implementation_is_a_model(subject: FamilySubject) -> None:
    """The class that the manifest names can be imported and is a ``dnallm_core.models.Model``."""
    try:
        _ = subject.implementation
    except DnallmError as error:
        require(False, str(error))


@check("C009", "listed", "model")
def check_pins_its_weights(subject: ModelSubject) -> None:
    """Weights on a hub are of a stated commit, so that they are the same for everyone."""
    weights = subject.facts.weights
    if weights.hub is None:
        raise NotApplicable("its weights are on no hub")
    require(bool(weights.revision), f"{weights.hub} is given without a revision")
    require(
        re.fullmatch(r"[0-9a-f]{7,40}", weights.revision or "") is not None,
        f"{weights.revision!r} is no commit: a branch or tag can move",
    )


@check("C010", "listed", "model")
def check_states_a_licence(subject: ModelSubject) -> None:
    """The terms of the weights are stated, or a note says that their authors state none."""
    said = any("licen" in note.lower() for note in subject.facts.notes)
    require(
        subject.facts.licence.id is not None or said,
        "there is neither a licence nor a note that there is none",
    )


@check("C011", "listed", "model")
def check_states_its_sources(subject: ModelSubject) -> None:
    """Where the facts stand is said."""
    require(bool(subject.facts.sources), "it names no source")


@check("C012", "listed", "model")
def check_ships_no_code(subject: ModelSubject) -> None:
    """What is downloaded or bundled as weights is tensors and text, nothing that could be run."""
    names = [each.name for each in subject.facts.weights.files]
    if subject.facts.weights.bundled:
        home = subject.folder / subject.facts.weights.bundled
        names += [path.name for path in home.rglob("*") if path.is_file()]
    found = [name for name in names if name.lower().endswith(_CODE)]
    require(not found, f"among its weights there is {', '.join(found)}")


@check("C013", "listed", "model")
def check_lengths_agree(subject: ModelSubject) -> None:
    """The longest input in bp is what the longest input in tokens stands for."""
    facts = subject.facts
    if facts.max_length is None or facts.max_tokens is None or facts.resolution is None:
        raise NotApplicable("it does not state both lengths and the resolution")
    stands_for = facts.max_tokens * facts.resolution
    require(
        facts.max_length <= 1.02 * stands_for + 16,
        f"{facts.max_length:,} bp do not fit into {facts.max_tokens:,} tokens of "
        f"{facts.resolution:g} bp",
    )


def _loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter has after ``code``."""
    script = (
        f"import sys; sys.path[:] = {sys.path!r}\n{code}\n"
        "print('\\n'.join(['--modules--', *sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd="/",
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(each for each in sys.path if each)},
    )
    require(done.returncode == 0, f"in a fresh interpreter: {done.stderr.strip()[-300:]}")
    return set(done.stdout.partition("--modules--")[2].split())


def _json(path: Path, what: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        require(False, f"{what}: there is no file {path.name}")
    except ValueError as error:
        require(False, f"{what}: {path.name} is no JSON: {error}")
