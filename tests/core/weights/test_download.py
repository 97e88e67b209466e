"""What comes from a hub: verified, only what is named, resumed, and not asked for twice."""

from __future__ import annotations

import hashlib
import io
import json

import pytest
from dnallm_core.errors import IntegrityError, WeightsUnavailableError
from dnallm_core.weights import Progress, is_local, locate, pins

QUIET = Progress(quiet=True)


def test_the_named_files_come_whole_and_nothing_else_does(hub, cache, manifest, noise, state):
    files = {"config.json": b"{}", "model.safetensors": noise(50_000)}
    hub.publish({**files, "tf_model.h5": noise(90_000)})
    found = locate(manifest(files), progress=QUIET)
    assert state() == (files, {})
    assert {path.name for path in found.folder.iterdir()} == {*files, ".verified"}
    assert found.provenance == {
        "hub": "lab/model",
        "revision": hub.repositories["lab/model"].commit,
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    assert "tf_model.h5" not in hub.sent


def test_what_is_here_needs_no_network(hub, cache, manifest, noise):
    files = {"config.json": b"{}", "model.safetensors": noise(50_000)}
    hub.publish(files)
    first = locate(manifest(files), progress=QUIET)
    hub.requests.clear()
    assert locate(manifest(files), progress=QUIET) == first
    assert locate(manifest(files), offline=True, progress=QUIET) == first
    assert hub.requests == []


def test_a_token_goes_to_the_hub_and_not_to_the_storage_it_redirects_to(
    hub, cache, manifest, noise
):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    locate(manifest(files), progress=QUIET)
    tokens = {
        path.startswith("/cdn/"): "authorization" in {key.lower() for key in headers}
        for _, path, headers in hub.requests
    }
    assert tokens == {False: True, True: False}


def test_a_renamed_repository_is_followed(hub, cache, manifest, noise, state):
    files = {"config.json": b"{}", "model.safetensors": noise(50_000)}
    hub.publish(files, "newlab/model")
    hub.publish({}, "lab/model", moved_to="newlab/model")
    locate(manifest(files), progress=QUIET)
    assert state() == (files, {})


def test_files_in_a_folder_of_the_repository_are_found_in_that_folder(hub, cache, manifest, noise):
    files = {"large/model.safetensors": noise(5_000), "large/config.json": b"{}"}
    hub.publish(files)
    found = locate(manifest(files), progress=QUIET)
    assert (found.folder / "model.safetensors").read_bytes() == files["large/model.safetensors"]


def test_an_unpinned_model_is_recorded_told_of_and_held_to(hub, cache, manifest, noise, state):
    content, told = noise(50_000), io.StringIO()
    hub.publish({"model.safetensors": content})
    asked = manifest({"model.safetensors": None}, revision=None)
    found = locate(asked, progress=Progress(told, live=False))
    commit = hub.repositories["lab/model"].commit
    assert found.provenance["revision"] == commit
    assert f"main is {commit} today, which is recorded in {pins.lock_file()}" in told.getvalue()
    newer = "f" * 40
    hub.publish({"model.safetensors": noise(50_000, 1)}, commit=newer, branches={"main": newer})
    assert locate(asked, progress=QUIET) == found
    (found.folder / "model.safetensors").unlink()
    with pytest.raises(
        WeightsUnavailableError, match=f"no revision '{commit}'.*cache remove toy-1"
    ):
        locate(asked, progress=QUIET)
    assert state() == ({}, {})


def test_a_file_without_a_published_hash_is_held_to_the_one_first_seen(
    hub, cache, manifest, noise, state
):
    told = io.StringIO()
    hub.publish({"model.bin": noise(5_000)})  # small: the hub names it by git's hash alone
    asked = manifest({"model.bin": None})
    found = locate(asked, progress=Progress(told, live=False))
    sha256 = hashlib.sha256(noise(5_000)).hexdigest()
    assert f"nobody has published a hash of it; SHA-256 {sha256} is recorded in" in told.getvalue()
    recorded = json.loads(pins.lock_file().read_text())["repositories"]["lab/model"]["files"]
    assert list(recorded.values()) == [sha256]
    (found.folder / "model.bin").unlink()
    hub.publish({"model.bin": noise(5_000, 1)})
    with pytest.raises(IntegrityError, match=f"not the file that was promised.*expected {sha256}"):
        locate(asked, progress=QUIET)
    assert state() == ({}, {})


def test_forgetting_a_record_makes_the_next_download_a_first_one(hub, cache, manifest, noise):
    hub.publish({"model.bin": noise(5_000)})
    asked = manifest({"model.bin": None}, revision=None)
    (locate(asked, progress=QUIET).folder / "model.bin").unlink()
    hub.publish({"model.bin": noise(5_000, 1)})
    assert pins.forget("lab/model")
    assert locate(asked, progress=QUIET).provenance["files"] == {
        "model.bin": hashlib.sha256(noise(5_000, 1)).hexdigest()
    }


def test_an_unreadable_record_is_refused_and_not_replaced(hub, cache, manifest, noise):
    hub.publish({"model.bin": noise(5_000)})
    pins.lock_file().parent.mkdir(parents=True)
    pins.lock_file().write_text("{")
    with pytest.raises(IntegrityError, match=r"weights\.lock\.json, cannot be read.*or delete it"):
        locate(manifest({"model.bin": None}), progress=QUIET)
    assert pins.lock_file().read_text() == "{"


def test_a_touched_file_is_hashed_again_and_a_damaged_one_fetched_again(
    hub, cache, manifest, noise, state
):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    path = locate(manifest(files), progress=QUIET).folder / "model.safetensors"
    path.touch()
    hub.requests.clear()
    locate(manifest(files), offline=True, progress=QUIET)
    path.write_bytes(b"x" + files["model.safetensors"][1:])
    assert is_local(manifest(files))  # names and sizes alone
    told = io.StringIO()
    locate(manifest(files), progress=Progress(told, live=False))
    assert "was damaged in the cache; it was removed" in told.getvalue()
    assert state() == (files, {})


def test_a_shared_cache_is_read_first_and_never_written(
    hub, cache, manifest, noise, tmp_path, monkeypatch
):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    shared = tmp_path / "shared"
    monkeypatch.setenv("DNALLM_CACHE", str(shared))
    locate(manifest(files), progress=QUIET)
    before = {path: path.stat().st_mtime_ns for path in shared.rglob("*")}
    monkeypatch.setenv("DNALLM_CACHE", str(cache))
    monkeypatch.setenv("DNALLM_SHARED_CACHE", f"{tmp_path / 'absent'}:{shared}")
    hub.requests.clear()
    found = locate(manifest(files), progress=QUIET)
    assert found.folder.is_relative_to(shared)
    assert is_local(manifest(files))
    assert hub.requests == []
    assert not (cache / "weights").exists()
    assert {path: path.stat().st_mtime_ns for path in shared.rglob("*")} == before


def test_an_unpinned_model_of_a_shared_cache_is_taken_as_it_lies_there(
    hub, cache, manifest, noise, tmp_path, monkeypatch
):
    hub.publish({"model.bin": noise(5_000)})
    asked = manifest({"model.bin": None}, revision=None)
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "shared"))
    locate(asked, progress=QUIET)
    pins.lock_file().unlink()
    monkeypatch.setenv("DNALLM_CACHE", str(cache))
    monkeypatch.setenv("DNALLM_SHARED_CACHE", str(tmp_path / "shared"))
    found = locate(asked, offline=True, progress=QUIET)
    assert found.folder.is_relative_to(tmp_path / "shared")
    assert pins.recorded_commit("lab/model", "main") == found.provenance["revision"]


def test_a_damaged_shared_cache_is_passed_over(
    hub, cache, manifest, noise, tmp_path, monkeypatch, state
):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "shared"))
    folder = locate(manifest(files), progress=QUIET).folder
    (folder / "model.safetensors").write_bytes(b"short")
    monkeypatch.setenv("DNALLM_CACHE", str(cache))
    monkeypatch.setenv("DNALLM_SHARED_CACHE", str(tmp_path / "shared"))
    told = io.StringIO()
    assert locate(manifest(files), progress=Progress(told, live=False)).folder.is_relative_to(cache)
    assert "in the shared cache" in told.getvalue()
    assert (folder / "model.safetensors").read_bytes() == b"short"
    assert state() == (files, {})


def test_offline_says_what_is_missing_and_how_to_get_it(hub, cache, manifest, monkeypatch):
    asked = manifest({"model.bin": None})
    with pytest.raises(WeightsUnavailableError, match=r"offline was asked.*dnallm pull toy-1"):
        locate(asked, offline=True, progress=QUIET)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsUnavailableError, match="HF_HUB_OFFLINE is set") as caught:
        locate(asked, progress=QUIET)
    assert (caught.value.model, caught.value.file) == ("toy-1", "model.bin")
    assert hub.requests == []
    assert not is_local(asked)


def test_a_bar_shows_rate_and_estimate_and_a_log_has_plain_lines(monkeypatch):
    clock = iter(range(0, 10_000, 40))
    monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))
    for live in (True, False):
        told = io.StringIO()
        progress = Progress(told, live=live)
        progress.begin("model.bin", 4_000_000)
        progress.advance(1_000_000)
        text = told.getvalue()
        assert " 25 %, 1.0 MB of 4.0 MB, " in text
        assert "kB/s, " in text
        assert " left" in text
        assert ("\r" in text) == live
        progress.end()
        assert told.getvalue().endswith("/s)\n")
