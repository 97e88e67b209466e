"""The distributions as users install them: from wheels, from a checkout, the core alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = [ROOT, ROOT / "dnallm_core", *sorted((ROOT / "plugins").iterdir())]
CONSTRAINTS = ROOT / "constraints.txt"

pytestmark = pytest.mark.environment


def _run(*command, **options):
    done = subprocess.run(
        [str(each) for each in command], capture_output=True, text=True, check=False, **options
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _environment(path):
    _run(sys.executable, "-m", "venv", path)
    return path / "bin"


def _clone(folder):
    ignored = shutil.ignore_patterns(".git", ".venv", ".demo", "golden", "__pycache__")
    return Path(shutil.copytree(ROOT, folder / "clone", ignore=ignored))


@pytest.fixture(scope="session")
def wheelhouse(tmp_path_factory):
    """Every distribution, as an sdist and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("wheelhouse")
    for each in FOLDERS:
        _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, each)
    return folder


def _metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        name = next(each for each in archive.namelist() if each.endswith(".dist-info/METADATA"))
        return archive.read(name).decode()


def test_what_would_be_published_names_its_siblings_by_version(wheelhouse):
    wheels = sorted(wheelhouse.glob("*.whl"))
    assert len(wheels) == len(FOLDERS)
    for wheel in wheels:
        assert "file:" not in _metadata(wheel), wheel.name
    for archive in wheelhouse.glob("*.tar.gz"):
        with tarfile.open(archive) as opened:
            member = next(each for each in opened.getnames() if each.endswith("/PKG-INFO"))
            assert "file:" not in opened.extractfile(member).read().decode(), archive.name


def test_the_metapackage_has_no_code_and_every_extra(wheelhouse):
    (wheel,) = wheelhouse.glob("dnallm-2*.whl")
    facts = _metadata(wheel)
    for extra in ("bert", "gpt", "mamba", "hyena", "evo", "gpn", "all"):
        assert f"Provides-Extra: {extra}" in facts
    assert "Requires-Dist: dnallm-evo<3,>=2; extra == 'evo'" in facts
    with zipfile.ZipFile(wheel) as archive:
        assert all(".dist-info/" in name for name in archive.namelist())


def test_plugins_depend_on_the_core_and_never_on_the_metapackage(wheelhouse):
    for wheel in wheelhouse.glob("dnallm_*.whl"):
        requirements = [
            line.removeprefix("Requires-Dist: ")
            for line in _metadata(wheel).splitlines()
            if line.startswith("Requires-Dist: ") and "extra ==" not in line
        ]
        names = [each.split("<")[0].split(">")[0].split("[")[0].strip() for each in requirements]
        assert "dnallm" not in names
        if not wheel.name.startswith("dnallm_core"):
            assert "dnallm-core<3,>=2" in requirements


def test_a_wheel_from_the_checkout_names_its_siblings_by_path(tmp_path):
    _run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path,
         ROOT)  # fmt: skip
    (wheel,) = tmp_path.glob("dnallm-2*.whl")
    facts = _metadata(wheel)
    for folder in FOLDERS[1:]:
        assert folder.as_uri() in facts


def test_what_changed_in_a_checkout_is_installed_as_it_is_now(tmp_path):
    """``git pull``, then the same command: not the wheel that pip built the last time."""
    clone = _clone(tmp_path)
    environment = {**os.environ, "PIP_CACHE_DIR": str(tmp_path / "cache")}
    manifest = clone / "plugins/dnallm-evo/src/dnallm_evo/dnallm.toml"
    for change in ("", "# as pulled\n"):
        manifest.write_text(manifest.read_text() + change)
        wheels = tmp_path / f"wheels-{len(change)}"
        build = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation")
        _run(*build, "-w", wheels, clone, env=environment)
        (root,) = wheels.glob("dnallm-2*.whl")
        (named,) = {
            line.removeprefix("Requires-Dist: ").partition(";")[0].strip()
            for line in _metadata(root).splitlines()
            if line.startswith("Requires-Dist: dnallm-evo")
        }
        _run(*build, "-w", wheels, named, env=environment)
        with zipfile.ZipFile(next(wheels.glob("dnallm_evo-*.whl"))) as archive:
            assert archive.read("dnallm_evo/dnallm.toml").decode() == manifest.read_text()


def test_pip_install_from_a_folder_of_wheels(wheelhouse, tmp_path):
    """The literal command; third-party packages come from the index first."""
    binaries = _environment(tmp_path / "environment")
    third_party = [
        line.removeprefix("Requires-Dist: ").split(";")[0].strip()
        for name in ("dnallm_core", "dnallm_mamba")
        for line in _metadata(next(wheelhouse.glob(f"{name}-*.whl"))).splitlines()
        if line.startswith("Requires-Dist: ") and "dnallm" not in line and "extra ==" not in line
        and "python_version < '3.11'" not in line and 'python_version < "3.11"' not in line
    ]  # fmt: skip
    _run(binaries / "pip", "install", "-q", "-c", CONSTRAINTS, *third_party)
    _run(binaries / "pip", "install", "-q", "--no-index", "--find-links", wheelhouse,
         "dnallm[mamba]", cwd=tmp_path)  # fmt: skip
    answer = json.loads(_run(binaries / "dnallm", "models", "--json", cwd=tmp_path))
    assert {each["plugin"] for each in answer["models"] if each["installed"]} == {"dnallm-mamba"}
    assert answer["problems"] == []
    chosen = json.loads(
        _run(
            binaries / "dnallm",
            "select",
            "--task",
            "variant-effect",
            "--weights",
            "bundled",
            "--json",
            cwd=tmp_path,
        )
    )
    assert chosen["ranked"][0]["installed"]
    assert _run(binaries / "dnallm", "doctor", cwd=tmp_path).endswith("No problem found.\n")


def test_the_core_alone_lists_and_selects_without_torch(wheelhouse, tmp_path):
    binaries = _environment(tmp_path / "environment")
    (core,) = wheelhouse.glob("dnallm_core-*.whl")
    _run(binaries / "pip", "install", "-q", core)
    installed = _run(binaries / "pip", "list")
    assert "torch" not in installed
    assert "numpy" not in installed
    answer = json.loads(_run(binaries / "dnallm", "models", "--json", cwd=tmp_path))
    assert len(answer["models"]) > 100
    assert not any(each["installed"] for each in answer["models"])
    chosen = json.loads(
        _run(
            binaries / "dnallm",
            "select",
            "--task",
            "embedding",
            "--length",
            "12kb",
            "--memory",
            "24GB",
            "--json",
            cwd=tmp_path,
        )
    )
    assert chosen["ranked"][0]["install"].startswith("pip install")


def test_pip_install_with_an_extra_from_a_checkout(tmp_path):
    """``pip install ".[evo]"`` in a clone, nothing published, nothing compiled."""
    clone = _clone(tmp_path)
    binaries = _environment(tmp_path / "environment")
    environment = {**os.environ, "CC": "/nonexistent", "CXX": "/nonexistent"}
    _run(binaries / "pip", "install", "-q", "-c", CONSTRAINTS, ".[evo]", cwd=clone, env=environment)
    answer = json.loads(_run(binaries / "dnallm", "plugins", "--json", cwd=tmp_path))
    assert [each["distribution"] for each in answer["plugins"]] == ["dnallm-evo"]
    assert _run(binaries / "dnallm", "doctor", cwd=tmp_path).endswith("No problem found.\n")
