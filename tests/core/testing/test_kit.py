"""The kit on a sound plugin: what it says, in every form."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from dnallm_core.errors import PluginError
from dnallm_core.testing import CHECKS, Conformance, check_plugin


def test_a_sound_plugin_keeps_every_promise(site):
    report = check_plugin("sound", with_weights=True)
    assert [(each.key, each.message) for each in report.failures] == []
    assert report.tier() == "reproduces"


def test_every_check_has_a_code_of_its_own_and_a_promise():
    assert len({each.code for each in CHECKS}) == len(CHECKS)
    assert all(each.promise.endswith(".") or "." in each.promise for each in CHECKS)


def test_without_the_published_weights_reproduces_is_not_granted(site):
    assert check_plugin("sound", only=["pond", "pond-1"]).tier() == "true"


def test_a_plugin_that_is_not_installed_is_a_sentence(site):
    with pytest.raises(PluginError, match=r"No plugin called 'soun' is installed\. Did you mean"):
        Conformance("soun")


def test_a_known_failure_is_excused_and_a_stale_one_fails(site):
    manifest = site / "sound/dnallm.toml"
    manifest.write_text(manifest.read_text().replace("parameters = 1_992", "parameters = 99"))
    excuse = {"brook-1::parameters_are_as_declared": "a misprint"}
    report = check_plugin("sound", only=["brook-1"], known_failures=excuse)
    assert report.passed
    assert [each.status for each in report.records if each.code == "C205"] == ["excused"]
    stale = {**excuse, "brook-1::states_its_sources": "long mended"}
    report = check_plugin("sound", only=["brook-1"], known_failures=stale)
    assert [(each.key, each.status) for each in report.failures] == [
        ("brook-1::states_its_sources", "stale")
    ]


def test_reports_are_json_and_junit(site):
    report = check_plugin("sound", only=["brook-1"])
    facts = json.loads(json.dumps(report.to_dict()))
    assert facts["plugin"] == "sound-plugin"
    assert {"subject", "code", "name", "tier", "status", "message"} <= set(facts["records"][0])
    suite = ElementTree.fromstring(report.to_junit())
    assert int(suite.get("tests")) == len(report.records)
