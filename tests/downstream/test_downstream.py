"""Four plugins that strangers would write, each built by another backend, beside one another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# folder -> (distribution, where its package lies, package, hooks)
PLUGINS = {
    "stock": ("dnallm-downstream-stock", "stock", "stock_gpt", ""),
    "own": ("dnallm-own-wave", "own/src", "dnallm_own_wave", ""),
    "numbers": ("dnallm-downstream-numbers", "numbers", "numbers_model", ""),
    "greeting": (
        "dnallm-downstream-greeting",
        "greeting/src",
        "greeting_plugin",
        "greeting_plugin.hooks",
    ),
}


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory):
    """All four on a path, with the metadata that an editable install leaves."""
    folder = tmp_path_factory.mktemp("downstream")
    for name, (distribution, _, package, hooks) in PLUGINS.items():
        info = folder / f"{distribution.replace('-', '_')}-0.1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 0.1\n"
            "Requires-Dist: dnallm-core>=2,<3\n"
        )
        entries = f"[dnallm.manifests]\n{name} = {package}:dnallm.toml\n"
        (info / "entry_points.txt").write_text(
            entries + (f"\n[dnallm.plugins]\n{name} = {hooks}\n" if hooks else "")
        )
    paths = [str(folder), *(str(HERE / place) for _, place, _, _ in PLUGINS.values())]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DNALLM_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }


def _dnallm(environment, *arguments, python=sys.executable):
    return subprocess.run(
        [str(python), "-m", "dnallm_core", *arguments],
        env=environment, capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["stock", "own", "numbers"])
def test_it_keeps_every_promise_of_the_kit(laid_out, name):
    done = _dnallm(laid_out, "check", PLUGINS[name][0], "--json")
    found = json.loads(done.stdout)
    broken = [each for each in found["records"] if each["status"] == "failed"]
    assert [(each["subject"], each["name"], each["message"]) for each in broken] == []
    assert found["tier"] == "true"


def test_an_added_command_runs_and_a_plugin_without_models_is_no_problem(laid_out):
    assert _dnallm(laid_out, "greet", "world").stdout == "hello world\n"
    found = json.loads(_dnallm(laid_out, "plugins", "--json").stdout)
    names = {each["distribution"] for each in found["plugins"]}
    assert {distribution for distribution, *_ in PLUGINS.values()} <= names
    assert found["problems"] == []


@pytest.mark.environment
def test_four_backends_build_what_one_environment_runs(tmp_path):
    wheels = tmp_path / "wheels"
    for source in (ROOT / "dnallm_core", *(HERE / name for name in PLUGINS)):
        subprocess.run(
            [sys.executable, "-m", "pip", "wheel", "--no-deps", "-q", "-w", str(wheels), str(source)],
            check=True,
        )  # fmt: skip
    home = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    python = home / "bin/python"
    subprocess.run(
        [str(python), "-m", "pip", "install", "-q", "--no-deps", *map(str, wheels.glob("*.whl"))],
        check=True,
    )
    # torch and the like are those of this environment: they are not what is on trial
    (place,) = home.glob("lib/python*/site-packages")
    beside = [each for each in sys.path if each.endswith("site-packages")]
    (place / "beside.pth").write_text("\n".join(beside) + "\n")
    only = ",".join(distribution for distribution, *_ in PLUGINS.values())
    environment = {**os.environ, "DNALLM_ONLY": only, "DNALLM_CACHE": str(tmp_path / "cache")}
    found = json.loads(_dnallm(environment, "plugins", "--json", python=python).stdout)
    assert found["problems"] == []
    assert len(found["plugins"]) == 4
    for name in ("stock", "own", "numbers"):
        done = _dnallm(environment, "check", PLUGINS[name][0], python=python)
        assert done.returncode == 0, done.stdout + done.stderr
    assert _dnallm(environment, "greet", "world", python=python).stdout == "hello world\n"
