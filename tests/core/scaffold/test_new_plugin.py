"""``dnallm new plugin``: what it writes passes its own tests and the kit at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from dnallm_core.cli.main import run


def lay_out(home, site):
    """What an editable install would leave: the sources on the path, and their metadata."""
    from dnallm_core.manifest.reader import tomllib

    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {each}\n" for each in project["dependencies"])
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{needs}"
    )
    groups = project["entry-points"]
    (info / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
            for group, entries in groups.items()
        )
    )
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(home / "src")]),
        "OMP_NUM_THREADS": "1",
        "DNALLM_CACHE": str(site / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def test_a_new_plugin_passes_its_own_tests(tmp_path, capsys):
    assert run(["new", "plugin", "tidal-flat", "--folder", str(tmp_path)]) == 0
    home = tmp_path / "dnallm-tidal-flat"
    environment = lay_out(home, tmp_path / "site")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=home, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout


def test_a_new_plugin_has_the_files_that_people_expect(tmp_path, capsys):
    run(["new", "plugin", "tidal", "--folder", str(tmp_path)])
    home = tmp_path / "dnallm-tidal"
    found = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert found == {
        ".github/workflows/test.yml",
        "README.md",
        "pyproject.toml",
        "src/dnallm_tidal/__init__.py",
        "src/dnallm_tidal/dnallm.toml",
        "src/dnallm_tidal/network.py",
        "tests/test_conformance.py",
        "tests/test_network.py",
    }


@pytest.mark.parametrize("name", ["Größe", "../away", "1st", "a--b", "class", "", "x" * 60])
def test_a_name_that_cannot_be_is_a_sentence(tmp_path, capsys, name):
    assert run(["new", "plugin", name, "--folder", str(tmp_path)]) == 2
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_that_exists_is_left_as_it_is(tmp_path, capsys):
    (tmp_path / "dnallm-tidal").mkdir()
    assert run(["new", "plugin", "tidal", "--folder", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert list((tmp_path / "dnallm-tidal").iterdir()) == []
