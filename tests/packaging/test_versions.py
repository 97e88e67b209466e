"""Versions and ranges of the distributions agree, without building anything."""

from __future__ import annotations

from pathlib import Path

from dnallm_core.manifest.reader import tomllib
from packaging.requirements import Requirement
from packaging.version import Version

from dnallm_core import __version__

ROOT = Path(__file__).resolve().parents[2]


def _project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


PLUGINS = [_project(folder) for folder in sorted((ROOT / "plugins").iterdir())]
CORE = _project(ROOT / "dnallm_core")
HOUSE = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_core_says_the_version_that_it_is():
    assert CORE["version"] == __version__


def test_every_sibling_range_admits_the_sibling():
    versions = {each["name"]: Version(each["version"]) for each in [CORE, *PLUGINS]}
    hook = HOUSE["tool"]["hatch"]["metadata"]["hooks"]["custom"]
    extras = [each for listed in hook["extras"].values() for each in listed]
    core_extras = [each for listed in CORE["optional-dependencies"].values() for each in listed]
    own = [each for plugin in PLUGINS for each in plugin["dependencies"]]
    checked = 0
    for text in [*hook["dependencies"], *extras, *core_extras, *own]:
        requirement = Requirement(text)
        if requirement.name in versions:
            assert versions[requirement.name] in requirement.specifier, text
            checked += 1
    assert checked >= 3 * len(PLUGINS)


def test_the_house_and_the_core_offer_the_same_extras_for_plugins():
    house = set(HOUSE["tool"]["hatch"]["metadata"]["hooks"]["custom"]["extras"])
    assert house <= set(CORE["optional-dependencies"])
    assert house == {each["name"].removeprefix("dnallm-") for each in PLUGINS} | {"all"}


def test_every_plugin_declares_a_manifest_by_a_top_level_package():
    for plugin in PLUGINS:
        ((name, value),) = plugin["entry-points"]["dnallm.manifests"].items()
        assert plugin["name"] == f"dnallm-{name}"
        assert value == f"dnallm_{name}:dnallm.toml"
