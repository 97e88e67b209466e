"""Registries: rows that are validated, further ones by path or URL, nothing installed."""

from __future__ import annotations

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from dnallm_core.cli.main import run

import dnallm_core


@pytest.fixture
def plugin(tmp_path, capsys, monkeypatch):
    """A plugin's sources, and a cache of the test's own."""
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "cache"))
    assert run(["new", "plugin", "tidal", "--folder", str(tmp_path)]) == 0
    home = tmp_path / "dnallm-tidal"
    manifest = home / "src/dnallm_tidal/dnallm.toml"
    manifest.write_text(
        manifest.read_text()
        + '\n[models.tidal-1]\nfamily = "tidal"\nparameters = 5\nsources = ["here"]\n'
    )
    capsys.readouterr()
    return home


@pytest.fixture
def row(plugin, tmp_path, capsys):
    """The row of that plugin."""
    assert run(["registry", "add", str(plugin), "--output", str(tmp_path / "registry.d")]) == 0
    capsys.readouterr()
    return tmp_path / "registry.d/dnallm-tidal.toml"


def test_a_row_is_what_check_accepts(row, capsys):
    assert run(["registry", "check", str(row), "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["plugins"]
    assert (found["distribution"], found["models"]) == ("dnallm-tidal", ["tidal-1"])
    assert found["tier"] == "unchecked"


def test_a_further_registry_is_offered_beside_ours(row, monkeypatch):
    monkeypatch.setenv("DNALLM_REGISTRY", str(row))
    zoo = dnallm_core.catalog()
    assert "tidal-1" in zoo
    assert zoo["tidal-1"].install == "pip install dnallm-tidal"
    assert not zoo["tidal-1"].installed
    assert len(zoo) > 100


def test_the_first_of_two_registries_wins(row, tmp_path, monkeypatch):
    other = tmp_path / "other.toml"
    other.write_text(row.read_text().replace("parameters = 5", "parameters = 6"))
    monkeypatch.setenv("DNALLM_REGISTRY", f"{other} {row}")
    assert dnallm_core.catalog()["tidal-1"].parameters == 6


def test_other_bytes_than_pinned_are_a_problem_and_nothing_else(row, monkeypatch):
    digest = hashlib.sha256(row.read_bytes()).hexdigest()
    monkeypatch.setenv("DNALLM_REGISTRY", f"{row}#sha256={digest}")
    assert "tidal-1" in dnallm_core.catalog()
    monkeypatch.setenv("DNALLM_REGISTRY", f"{row}#sha256={'0' * 64}")
    zoo = dnallm_core.catalog()
    assert "tidal-1" not in zoo
    assert any(each.code == "registry" and digest in each.message for each in zoo.problems)


def test_an_id_that_another_plugin_has_is_refused(plugin, tmp_path, capsys):
    taken = next(iter(dnallm_core.catalog().families))
    manifest = plugin / "src/dnallm_tidal/dnallm.toml"
    manifest.write_text(
        manifest.read_text()
        .replace("families.tidal", f"families.{taken}")
        .replace('family = "tidal"', f'family = "{taken}"')
    )
    assert run(["registry", "add", str(plugin), "--output", str(tmp_path / "registry.d")]) == 2
    assert f"{taken} is already known" in capsys.readouterr().err


def test_an_impossible_row_is_refused_by_its_field(row, capsys):
    row.write_text(row.read_text().replace('"bidirectional"', '"sideways"'))
    assert run(["registry", "check", str(row)]) == 2
    assert "direction" in capsys.readouterr().err


def test_a_web_page_is_a_sentence_and_a_registry_by_url_is_read(row, tmp_path, capsys, monkeypatch):
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self):
            page = self.path == "/page"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<!DOCTYPE html><html></html>" if page else row.read_bytes())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    try:
        assert run(["registry", "check", f"{base}/page"]) == 2
        assert "answers with a web page, not with a registry" in capsys.readouterr().err
        monkeypatch.setenv("DNALLM_REGISTRY", f"{base}/row.toml")
        assert "tidal-1" in dnallm_core.catalog()
    finally:
        server.shutdown()
        server.server_close()
    assert "tidal-1" in dnallm_core.catalog(), "the copy serves where the place cannot be reached"


def test_a_registry_that_is_not_there_is_a_problem(monkeypatch, tmp_path, capsys):
    assert run(["registry", "check", str(tmp_path / "nothing.toml")]) == 3
    assert "cannot be read" in capsys.readouterr().err
