"""Names that lead elsewhere, folders that cannot be written, places that hold nothing."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal

import pytest
from dnallm_core.errors import PluginError, WeightsUnavailableError
from dnallm_core.manifest.model import Weights
from dnallm_core.weights import Progress, is_local, locate

QUIET = Progress(quiet=True)


@pytest.mark.parametrize(
    "name",
    ["../model.bin", "/etc/passwd", "a/../../b", "..", "a//b", "a\\b", "C:model", "", "a\0b"],
)
def test_a_name_that_could_lead_out_of_the_cache_is_refused(name, hub, cache, manifest):
    with pytest.raises(WeightsUnavailableError, match="no plain path below its repository"):
        locate(manifest({name: None}), progress=QUIET)
    assert not is_local(manifest({name: None}))
    assert hub.requests == []
    assert not cache.exists()


@pytest.mark.parametrize("revision", ["..", ".", ".hidden"])
def test_a_revision_that_could_lead_out_of_the_cache_is_refused(revision, hub, cache, manifest):
    hub.publish({"model.bin": b"x"}, commit=revision)
    with pytest.raises(WeightsUnavailableError, match=r"names the revision .* refused"):
        locate(manifest({"model.bin": None}, revision=revision), progress=QUIET)


def test_a_model_whose_id_is_no_folder_name_is_refused(hub, cache, manifest):
    with pytest.raises(WeightsUnavailableError, match="cannot be the name of a folder"):
        locate(manifest({"model.bin": None}, model="../toy"), progress=QUIET)


@pytest.mark.parametrize("area", ["weights", "incoming"])
def test_a_link_that_leads_out_of_the_cache_is_not_followed(
    area, hub, cache, manifest, noise, tmp_path
):
    outside = tmp_path / "outside"
    outside.mkdir()
    (cache / area).mkdir(parents=True)
    (cache / area / "toy-1").symlink_to(outside, target_is_directory=True)
    hub.publish({"model.safetensors": noise(50_000)})
    with pytest.raises(WeightsUnavailableError, match="a link that leads out of the cache, to"):
        locate(manifest({"model.safetensors": noise(50_000)}), progress=QUIET)
    assert list(outside.iterdir()) == []


def test_a_file_that_is_a_link_out_of_the_cache_is_not_read(hub, cache, manifest, noise, tmp_path):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    path = locate(manifest(files), progress=QUIET).folder / "model.safetensors"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WeightsUnavailableError, match="a link that leads out of the cache"):
        locate(manifest(files), progress=QUIET)


def test_a_cache_that_itself_is_a_link_is_used(hub, cache, manifest, noise, tmp_path):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    (tmp_path / "disk").mkdir()
    cache.symlink_to(tmp_path / "disk", target_is_directory=True)
    locate(manifest(files), progress=QUIET)
    assert list((tmp_path / "disk" / "weights").iterdir())


def test_too_little_space_is_said_before_the_first_byte(
    hub, cache, manifest, noise, monkeypatch, state
):
    files = {"model.safetensors": noise(400_000), "more.safetensors": noise(300_000)}
    hub.publish(files)
    usage = shutil.disk_usage("/")._replace(free=500_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(
        WeightsUnavailableError,
        match=r"toy-1 needs 700\.0 kB more at .*cache, where 500\.0 kB are free\. Free some space",
    ):
        locate(manifest(files), progress=QUIET)
    assert hub.starts == []
    assert state() == ({}, {})


def test_what_a_partial_file_holds_needs_no_space_again(
    hub, cache, manifest, noise, monkeypatch, state
):
    files = {"model.safetensors": noise(400_000)}
    hub.publish(files)
    hub.tamper, hub.tamper_times = "truncated", 1
    monkeypatch.setenv("DNALLM_DOWNLOAD_ATTEMPTS", "1")
    with pytest.raises(WeightsUnavailableError):
        locate(manifest(files), progress=QUIET)
    usage = shutil.disk_usage("/")._replace(free=300_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    locate(manifest(files), progress=QUIET)
    assert state() == (files, {})


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full at .*Free some space, or: Set DNALLM_CACHE"),
        (errno.EDQUOT, "your disk quota is used up at .*Free some space"),
    ],
)
def test_a_disk_that_fills_up_in_the_middle_is_explained_and_what_came_is_kept(
    number, sentence, hub, cache, manifest, noise, monkeypatch, state
):
    from dnallm_core.weights import transfer

    files = {"model.safetensors": noise(400_000)}
    hub.publish(files)
    write = transfer._write

    def fills_up(file, piece):
        if file.tell() + len(piece) > 200_000:
            raise OSError(number, os.strerror(number), str(cache))
        write(file, piece)

    monkeypatch.setattr(transfer, "_write", fills_up)
    with pytest.raises(WeightsUnavailableError, match=sentence):
        locate(manifest(files), progress=QUIET)
    whole, partial = state()
    assert whole == {}
    kept = partial["model.safetensors"]
    assert 0 < kept <= 200_000
    monkeypatch.setattr(transfer, "_write", write)
    locate(manifest(files), progress=QUIET)
    assert hub.starts[-1] == ("model.safetensors", kept)
    assert state() == (files, {})


def test_a_limit_on_file_sizes_is_explained(hub, cache, manifest, noise, state):
    files = {"model.safetensors": noise(400_000)}
    hub.publish(files)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(WeightsUnavailableError, match="may not become that large here"):
            locate(manifest(files), progress=QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert state() == ({}, {"model.safetensors": 100_000})


def test_a_cache_that_may_not_be_written_is_explained(hub, cache, manifest, noise):
    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    cache.mkdir()
    cache.chmod(0o555)
    as_root = os.geteuid() == 0
    if as_root:  # whom no mode stops
        os.seteuid(65534)
    try:
        with pytest.raises(
            WeightsUnavailableError, match=r"cannot be (read|fetched).*DNALLM_CACHE"
        ):
            locate(manifest(files), progress=QUIET)
        assert not is_local(manifest(files))
    finally:
        if as_root:
            os.seteuid(0)
        cache.chmod(0o755)
    assert hub.starts == []


def test_whole_files_in_a_cache_that_may_not_be_written_are_used(
    hub, cache, manifest, noise, monkeypatch
):
    from dnallm_core.weights import finding

    files = {"model.safetensors": noise(50_000)}
    hub.publish(files)
    found = locate(manifest(files), progress=QUIET)
    (found.folder / "model.safetensors").touch()

    def refuse(*_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(cache))

    monkeypatch.setattr(finding, "write_receipt", refuse)
    assert locate(manifest(files), offline=True, progress=QUIET) == found


def test_a_read_only_file_system_is_explained(hub, cache, manifest, noise, monkeypatch):
    from dnallm_core.weights import download

    hub.publish({"model.safetensors": noise(50_000)})

    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(cache))

    monkeypatch.setattr(download, "locked", refuse)
    with pytest.raises(
        WeightsUnavailableError, match=r"cache is read-only\. Set DNALLM_CACHE to a folder of yours"
    ):
        locate(manifest({"model.safetensors": noise(50_000)}), progress=QUIET)


def test_a_cache_that_is_a_file_is_explained(hub, cache, manifest, noise):
    hub.publish({"model.safetensors": noise(50_000)})
    cache.write_text("")
    with pytest.raises(
        WeightsUnavailableError, match=r"is no folder that can be used.*DNALLM_CACHE"
    ):
        locate(manifest({"model.safetensors": noise(50_000)}), progress=QUIET)


def test_a_home_that_cannot_be_written_costs_the_record_and_nothing_else(
    hub, cache, manifest, noise, tmp_path, monkeypatch, state, capsys
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    hub.publish({"model.bin": noise(5_000)})

    locate(manifest({"model.bin": None}, revision=None), progress=Progress())
    assert "later downloads are not held to it" in capsys.readouterr().err
    assert state() == ({"model.bin": noise(5_000)}, {})


def test_weights_that_are_on_no_hub_are_the_users_to_download(cache, manifest):
    asked = manifest({}, weights=Weights(url="https://example.org/weights"))
    with pytest.raises(
        WeightsUnavailableError,
        match=r'are published at https://example\.org/weights, not on a hub.*load\("toy", weights=',
    ):
        locate(asked)
    assert not is_local(asked)


def test_bundled_weights_are_a_folder_of_the_plugin_found_without_importing_it(
    laboratory, cache, manifest, hub
):
    laboratory.install(files={"weights/config.json": "{}", "__init__.py": "raise SystemExit"})
    asked = manifest({}, weights=Weights(bundled="weights"))
    found = locate(asked)
    assert (found.folder / "config.json").read_text() == "{}"
    assert set(found.provenance["files"]) == {"config.json"}
    assert is_local(asked)
    assert hub.requests == []


def test_bundled_weights_that_are_missing_or_lead_elsewhere_are_refused(
    laboratory, cache, manifest, tmp_path
):
    asked = manifest({}, weights=Weights(bundled="weights"))
    with pytest.raises(PluginError, match=r"comes inside toy-plugin, which is not installed"):
        locate(asked)
    home = laboratory.install()
    with pytest.raises(WeightsUnavailableError, match=r"toy-plugin lacks weights.*Reinstall"):
        locate(asked)
    (home / "weights").symlink_to(tmp_path)
    with pytest.raises(WeightsUnavailableError, match=r"lead out of toy-plugin: refused"):
        locate(asked)
