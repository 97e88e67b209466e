"""Discovery reads files, imports nothing, and isolates each kind of broken plugin."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from dnallm_core.catalog import Catalog, catalog
from dnallm_core.errors import PluginError, RequirementError, UnknownModelError
from dnallm_core.plugins import discover

SABOTAGED = {"__init__.py": "raise RuntimeError('imported at discovery')"}


def _toys(discovery):
    return [each for each in discovery.plugins if each.distribution.startswith("toy")]


def _problem(distribution="toy-plugin"):
    (found,) = [each for each in discover().problems if each.distribution == distribution]
    return found


def test_discovery_imports_no_plugin_code(laboratory):
    laboratory.install(files=SABOTAGED)
    (plugin,) = _toys(discover())
    assert plugin.version == "0.1"
    assert "toy-1" in catalog()
    assert "toy_plugin" not in sys.modules


BROKEN = {
    "bad TOML": ({"manifest": "families = ["}, "manifest", "this is not valid TOML"),
    "binary junk": ({"manifest": b"\xff\x00\x01"}, "manifest", "this is not text"),
    "a hundred megabytes": (
        {"manifest": b"#" * 100_000_000},
        "manifest",
        "a manifest of 100,000,000 bytes is not read",
    ),
    "odd letters in an id": (
        {"manifest": 'schema = 1\napi = ">=1,<2"\n[families."t\u00f6y\u202e"]\ntitle = "x"\n'},
        "manifest",
        "dnallm.toml:3: families",
    ),
    "a missing file": ({"manifest": None}, "manifest", "the file does not exist"),
    "an empty file": ({"manifest": ""}, "manifest", "schema: is missing"),
    "another format": ({"manifest": "schema = 9"}, "manifest", "the file is of format 9"),
    "an interface too new": (
        {"manifest": 'schema = 1\napi = ">=2"'},
        "manifest",
        "works with interface >=2; this core has interface 1",
    ),
    "an interface too old": (
        {"manifest": 'schema = 1\napi = "<1"'},
        "manifest",
        "works with interface <1; this core has interface 1",
    ),
    "a missing package": (
        {"entry": "nowhere:dnallm.toml"},
        "plugin",
        "its package nowhere is not installed",
    ),
    "a path out of the package": (
        {"entry": "toy_plugin:../dnallm.toml"},
        "plugin",
        "does not lie in its package",
    ),
    "no file": ({"entry": "toy_plugin"}, "plugin", "names no file of a top-level package"),
    "a package within a package": (
        {"entry": "toy_plugin.inner:dnallm.toml"},
        "plugin",
        "names no file of a top-level package",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_plugin_is_named_and_the_rest_works(laboratory, kind):
    options, code, sentence = BROKEN[kind]
    laboratory.install("sound-plugin", package="sound_plugin", manifest=_sound("sound_plugin"))
    laboratory.install("toy-plugin", version="1.4", **options)
    problem = _problem()
    assert (problem.version, problem.code) == ("1.4", code)
    assert sentence in problem.message
    assert "sound" in catalog()


def _sound(package, model="sound"):
    return f"""
schema = 1
api = ">=1,<2"
[families.{model}-family]
title = "Sound"
architecture = "convolutional"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "{package}.network:Toy"
scaling = {{ time = "linear", memory = "linear" }}
tasks = ["embedding"]
tokenizer = {{ kind = "byte", vocabulary_size = 512 }}
[models.{model}]
family = "{model}-family"
aliases = ["A/{model}"]
"""


def test_an_unknown_field_is_named_with_distribution_and_line(laboratory):
    laboratory.install(manifest=_sound("toy_plugin") + "colour = 3\n")
    problem = _problem()
    assert "dnallm.toml:16: models.sound.colour: there is no such field." in problem.message


def test_two_plugins_with_one_id_are_both_reachable_and_the_bare_id_is_an_error(laboratory):
    laboratory.install("b-plugin", package="b_plugin", manifest=_sound("b_plugin"))
    laboratory.install("a-plugin", package="a_plugin", manifest=_sound("a_plugin"))
    zoo = catalog()
    assert {"a-plugin/sound", "b-plugin/sound"} <= set(zoo)
    assert "sound" not in zoo.rows
    with pytest.raises(PluginError, match="'sound' is claimed by a-plugin and b-plugin"):
        zoo["sound"]
    with pytest.raises(PluginError, match="is a name of a-plugin/sound and of b-plugin/sound"):
        zoo["a/SOUND"]
    messages = [each.message for each in zoo.problems if each.code == "clash"]
    assert any("the model 'sound' is declared by a-plugin and b-plugin" in m for m in messages)
    with pytest.raises(PluginError, match="The family 'sound-family' is claimed by"):
        zoo.family("sound-family")


def test_the_order_of_installation_changes_nothing(laboratory):
    for name in ("b", "a"):
        laboratory.install(
            f"{name}-plugin", package=f"{name}_plugin", manifest=_sound(f"{name}_plugin")
        )
    once = discover()
    again = discover()
    assert [p.distribution for p in once.plugins] == sorted(p.distribution for p in once.plugins)
    assert list(Catalog(once)) == list(Catalog(again))


def test_environment_variables_allow_and_deny(laboratory, monkeypatch):
    laboratory.install()
    monkeypatch.setenv("DNALLM_DISABLE", "toy_plugin, other")
    assert not _toys(discover())
    monkeypatch.setenv("DNALLM_DISABLE", "")
    monkeypatch.setenv("DNALLM_ONLY", "toy-plugin")
    assert [each.distribution for each in discover().plugins] == ["toy-plugin"]
    monkeypatch.setenv("DNALLM_ONLY", "")
    assert discover().plugins == ()


def test_strict_turns_a_problem_into_an_error(laboratory, monkeypatch):
    laboratory.install(manifest="families = [")
    monkeypatch.setenv("DNALLM_STRICT", "1")
    with pytest.raises(PluginError, match=r"toy-plugin 0\.1: .*not valid TOML"):
        discover()


def test_a_model_is_found_by_alias_in_any_case_and_unknown_names_have_neighbours(laboratory):
    laboratory.install()
    zoo = catalog()
    assert zoo["SOMEONE/toy-1"].id == zoo["toy-plugin/toy-1"].id == "toy-1"
    with pytest.raises(UnknownModelError) as caught:
        zoo["toy-l"]
    assert "toy-1" in caught.value.nearest


def test_a_validated_manifest_is_read_from_the_cache_without_pydantic(laboratory, tmp_path):
    laboratory.install()
    code = (
        "import sys, json; from dnallm_core.catalog import catalog; zoo = catalog();"
        "print(json.dumps(['toy-1' in zoo, 'pydantic' in sys.modules]))"
    )
    environment = {"PYTHONPATH": str(laboratory.folder), "DNALLM_CACHE": str(tmp_path / "cache"),
                   "PATH": "", "DNALLM_ONLY": "toy-plugin"}  # fmt: skip
    answers = [
        json.loads(
            subprocess.run(
                [sys.executable, "-c", code],
                env=environment,
                cwd=tmp_path,
                capture_output=True,
                check=True,
            ).stdout
        )
        for _ in range(2)
    ]
    assert answers == [[True, True], [True, False]]


BROKEN_HOOKS = {
    "raises": "raise ValueError('no')",
    "exits": "raise SystemExit(1)",
    "unknown hook": (
        "from dnallm_core.hooks import hookimpl\n@hookimpl\ndef dnallm_comands(): return {}"
    ),
    "wrong argument": (
        "from dnallm_core.hooks import hookimpl\n@hookimpl\ndef dnallm_loaded(modell): pass"
    ),
}


@pytest.mark.parametrize("kind", BROKEN_HOOKS)
def test_broken_hooks_are_a_problem_and_no_more(laboratory, kind):
    from dnallm_core import hooks

    laboratory.install(
        files={"hooks.py": BROKEN_HOOKS[kind]},
        extra_entries="[dnallm.plugins]\ntoy = toy_plugin.hooks\n",
    )
    hooks.manager.cache_clear()
    try:
        manager, problems = hooks.manager()
        assert [each.distribution for each in problems] == ["toy-plugin"]
        assert manager.get_plugin("toy-plugin:toy") is None
    finally:
        hooks.manager.cache_clear()


def test_a_query_reads_values_as_a_selection_does(laboratory):
    laboratory.install()
    zoo = catalog()
    assert zoo.query(trained_on="Human", length="10bp") == zoo.query(trained_on="human", length=10)
    for name, value, sentence in (
        ("inputs", "alignmnt", 'Did you mean "alignment"'),
        ("length", -5, "must be above zero"),
        ("family", "toi", "family: there is no 'toi'"),
        ("plugin", "toy-plugn", 'Did you mean "toy-plugin"'),
    ):
        with pytest.raises(RequirementError, match=sentence):
            zoo.query(**{name: value})
