"""The sound plugin, laid out as an installer would, and lies told in it one at a time."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from dnallm_core import hooks

SOUND = Path(__file__).parent / "sound"
METADATA = """\
Metadata-Version: 2.1
Name: sound-plugin
Version: 0.1
Requires-Dist: dnallm-core>=2,<3
Requires-Dist: torch>=2.6
"""
ENTRIES = "[dnallm.manifests]\nsound = sound:dnallm.toml\n\n[dnallm.plugins]\nsound = sound.hooks\n"


def lay_out(folder: Path) -> Path:
    """Package and metadata; the bundled weights are made by ``furnish``."""
    home = folder / "sound"
    shutil.copytree(SOUND, home, ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / "sound_plugin-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRIES)
    return home


def furnish(home: Path) -> None:
    """Weights by chance for the bundled model, its check vector and its costs."""
    import torch
    from dnallm_core.testing.counting import count
    from safetensors.torch import save_file

    import dnallm_core

    (home / "weights").mkdir()
    (home / "facts").mkdir()
    (home / "facts/checks.json").write_text('{"pond-1": []}')
    (home / "facts/footprints.json").write_text('{"schema": 1, "models": {"pond-1": []}}')
    implementation = __import__("sound.pond", fromlist=["Pond"])
    config = implementation.PondConfig()
    torch.manual_seed(0)
    module = implementation.PondNetwork(config).eval()
    save_file(module.state_dict(), home / "weights/model.safetensors")
    settings = {"vocab_size": 8, "width": 16, "layers": 2, "positions": 520}
    (home / "weights/config.json").write_text(json.dumps(settings))
    model = dnallm_core.load("pond-1", device="cpu", dtype="float32")
    values = [float(each) for each in model.embed("ACGTTGCA")[0]]
    vector = {"sequence": "ACGTTGCA", "pooling": "mean", "values": values, "source": "this test"}
    (home / "facts/checks.json").write_text(json.dumps({"pond-1": [vector]}))
    peak = count(lambda: module(torch.full((1, 512), 3))).peak
    terms = {
        "weights": 4 * sum(each.numel() for each in module.parameters()),
        "fixed": 10_000.0,
        "per_row": 0.0,
        "per_token": peak / 512,
        "per_token_squared": 0.0,
    }
    record = {"device": "cpu", "dtype": "float32", "mode": "inference", "terms": terms}
    (home / "facts/footprints.json").write_text(
        json.dumps({"schema": 1, "models": {"pond-1": [record]}})
    )


def forget() -> None:
    """Let nothing of the plugin be remembered by this process."""
    for name in [each for each in sys.modules if each.split(".")[0] == "sound"]:
        del sys.modules[name]
    hooks.manager.cache_clear()
    import importlib

    importlib.invalidate_caches()


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sound plugin, complete."""
    folder = tmp_path_factory.mktemp("sound")
    home = lay_out(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        patch.setenv("DNALLM_CACHE", str(folder / "cache"))
        patch.setenv("DNALLM_ONLY", "sound")
        furnish(home)
        shutil.rmtree(folder / "cache", ignore_errors=True)
        forget()
    return folder


@pytest.fixture
def site(furnished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sound plugin on the path, to be spoilt."""
    folder = tmp_path / "site"
    shutil.copytree(furnished, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DNALLM_ONLY", "sound,sound-plugin,other-plugin")
    forget()
    yield folder
    forget()
