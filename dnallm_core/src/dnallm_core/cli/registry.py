"""Validate a registry, or add a plugin's row to a folder of rows (registry.d/).

A row says what a plugin offers to people who have not installed it. Nothing is installed from it.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from .. import index
from ..errors import ManifestError, PluginError
from ..manifest.writing import key, table, value
from .output import print_json, say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="write a plugin's row")
    add.add_argument("plugin", help="a wheel, or the folder of its sources")
    add.add_argument("--output", default="registry.d", help="folder of rows (default: registry.d)")
    add.add_argument("--install", help="the command that installs it (default: pip install NAME)")
    add.add_argument("--json", action="store_true", help="print one JSON object")
    check = actions.add_parser("check", help="validate a registry or a row: a file or a URL")
    check.add_argument("place", help="file or URL; #sha256=HEX behind it holds it to those bytes")
    check.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Do one of the two."""
    return _check(options) if options.action == "check" else _add(options)


def _check(options: argparse.Namespace) -> int:
    from ..index.further import read_registry

    found = read_registry(options.place)
    facts = [
        {
            "distribution": each.distribution,
            "version": each.version,
            "tier": each.tier,
            "families": sorted(each.rows["families"]),
            "models": sorted(each.rows["models"]),
        }
        for each in found
    ]
    if options.json:
        print_json({"plugins": facts})
    for each in facts if not options.json else ():
        print(
            f"{each['distribution']} {each['version']} ({each['tier']}): "
            f"{len(each['families'])} families, {len(each['models'])} models"
        )
    return 0


def _add(options: argparse.Namespace) -> int:
    from ..manifest.reader import read_rows

    with tempfile.TemporaryDirectory() as scratch:
        facts, manifest, package = _described(Path(options.plugin), Path(scratch))
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
        rows = read_rows(manifest, package=package)
    name = facts["name"]
    _refuse_claimed(name, rows)
    row = {
        "distribution": name,
        "version": facts["version"],
        "summary": facts["summary"],
        "install": options.install or f"pip install {name}",
        "tier": _tier(name, digest),
        "digest": digest,
    }
    text = "".join(f"{each} = {value(content)}\n" for each, content in row.items())
    for kind in ("families", "models"):
        if not rows[kind]:
            text += f"\n[{kind}]\n"
        for identifier, content in rows[kind].items():
            text += "\n" + table(f"{kind}.{key(identifier)}", content)
    path = Path(options.output) / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if options.json:
        print_json({"row": str(path), **row})
    else:
        print(path)
        say(f"{name} {row['version']}, tier {row['tier']}: {len(rows['models'])} models.")
    return 0


def _refuse_claimed(name: str, rows: dict[str, dict[str, Any]]) -> None:
    for known in index.read():
        if known.distribution == name:
            continue
        for kind in ("families", "models"):
            taken = sorted(set(rows[kind]) & set(known.rows[kind]))
            if taken:
                raise PluginError(
                    f"{', '.join(taken)} is already known, from {known.distribution}.",
                    distribution=name,
                    hint="Give yours an id of its own.",
                )


def _tier(name: str, digest: str) -> str:
    """The tier that the kit grants, where this very plugin is installed here."""
    from ..plugins import discover

    if not any(p.distribution == name and p.digest == digest for p in discover().plugins):
        say(f"{name} is not installed here as it stands, so that its promises are unchecked.")
        return "unchecked"
    try:
        from ..testing import check_plugin
    except ImportError:  # torch is not installed
        return "unchecked"
    return check_plugin(name).tier() or "unchecked"


def _described(place: Path, scratch: Path) -> tuple[dict[str, str], Path, str]:
    """Name, version and summary; the manifest; the package that holds it."""
    if place.is_dir():
        return _of_sources(place)
    if not zipfile.is_zipfile(place):
        raise PluginError(f"{place} is neither a wheel nor a folder.")
    with zipfile.ZipFile(place) as wheel:
        names = wheel.namelist()
        found = [each for each in names if each.endswith(".dist-info/METADATA")]
        manifests = [
            each for each in names if each.count("/") == 1 and each.endswith("/dnallm.toml")
        ]
        if not found or len(manifests) != 1:
            raise PluginError(f"{place} holds no single package with a dnallm.toml.")
        if wheel.getinfo(manifests[0]).file_size > 8_000_000:
            raise ManifestError([f"{place}: its manifest is too large to be read."], path=place)
        headers = HeaderParser().parsestr(wheel.read(found[0]).decode("utf-8"))
        manifest = scratch / "dnallm.toml"
        manifest.write_bytes(wheel.read(manifests[0]))
    facts = {
        each: str(headers.get(each.capitalize(), "")) for each in ("name", "version", "summary")
    }
    return facts, manifest, manifests[0].split("/")[0]


def _of_sources(folder: Path) -> tuple[dict[str, str], Path, str]:
    from ..manifest.reader import tomllib

    try:
        content = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        project = content["project"]
        facts = {
            "name": str(project["name"]),
            "version": str(project["version"]),
            "summary": str(project.get("description", "")),
        }
    except (OSError, ValueError, KeyError) as error:
        raise PluginError(
            f"{folder} has no pyproject.toml with a name and a version: {error}.",
            hint="Build a wheel and give that.",
        ) from error
    manifests = [*folder.glob("src/*/dnallm.toml"), *folder.glob("*/dnallm.toml")]
    if len(manifests) != 1:
        raise PluginError(f"{folder} holds {len(manifests)} packages with a dnallm.toml, not one.")
    return facts, manifests[0], manifests[0].parent.name
