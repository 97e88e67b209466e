"""``dnallm check``, and the page that says what it checks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dnallm_core.cli.main import run

ROOT = Path(__file__).resolve().parents[3]


def test_check_prints_one_json_object_and_writes_junit(site, tmp_path, capsys):
    path = tmp_path / "junit.xml"
    assert run(["check", "sound", "--model", "brook-1", "--json", "--junit", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["plugin"] == "sound-plugin"
    assert found["passed"] is True
    assert path.read_text().startswith("<?xml")


def test_check_ends_with_2_and_names_the_broken_promise(site, capsys):
    manifest = site / "sound/dnallm.toml"
    manifest.write_text(manifest.read_text().replace("parameters = 1_992", "parameters = 7"))
    assert run(["check", "sound", "--model", "brook-1"]) == 2
    told = capsys.readouterr()
    assert "C205" in told.out
    assert "declared 7; the network has 1,992" in told.out


def test_check_of_an_unknown_model_says_which_is_near(site, capsys):
    assert run(["check", "sound", "--model", "brok-1"]) == 2
    assert (
        "declares no family or model 'brok-1'. Did you mean \"brook-1\"" in capsys.readouterr().err
    )


def test_the_page_is_what_the_checks_say():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/conformance_page.py"), "--check"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
