"""A real server on the loopback that speaks the Hub's protocol, with every way to fail built in."""

from __future__ import annotations

import hashlib
import json
import os
import random
import socket
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from dnallm_core.manifest.model import ModelManifest, Scaling, WeightFile, Weights

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = 10_000  # files of this size and more are "LFS": named by their SHA-256, served by the CDN
FAST = {
    "DNALLM_DOWNLOAD_TIMEOUT": "0.4",
    "DNALLM_DOWNLOAD_ATTEMPTS": "3",
    "DNALLM_DOWNLOAD_WAIT": "0.01",
}


@dataclass
class Repository:
    files: dict[str, bytes]
    commit: str = COMMIT
    branches: dict[str, str] = field(default_factory=lambda: {"main": COMMIT})
    moved_to: str | None = None


class Hub:
    """The server's repositories, what it was asked, and how it misbehaves.

    ``refuse(area, status, headers, times)`` answers so; ``area`` is ``head``, ``get`` or ``cdn``.
    ``tamper`` names what is wrong with the bytes; ``pace`` is seconds a piece of ``piece`` bytes.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.sent: Counter[str] = Counter()  # bytes of file contents by name
        self.starts: list[tuple[str, int]] = []  # (file, first byte) of every answer with a body
        self.refusals: dict[str, list] = {}
        self.tamper: str | None = None
        self.tamper_times = 10**9
        self.piece, self.pace = 65536, 0.0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("H", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self.cdn = f"http://localhost:{self.port}/cdn"  # another origin: tokens must not go there
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def publish(self, files: dict[str, bytes], name: str = "lab/model", **more) -> Repository:
        self.repositories[name] = Repository(files, **more)
        return self.repositories[name]

    def refuse(self, area: str, status: int, headers=None, times: int = 10**9) -> None:
        self.refusals[area] = [status, headers or {}, times]

    def asked(self, method: str) -> int:
        return sum(each[0] == method for each in self.requests)

    def stop(self) -> None:
        if self.tamper != "dead":
            self.server.shutdown()
        self.server.server_close()
        self._thread.join(timeout=1)


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        super().setup()
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_message(self, *_) -> None:
        pass

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, BrokenPipeError):
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        self.answer()

    def answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path, dict(self.headers)))
        area = "cdn" if path.startswith("/cdn/") else self.command.lower()
        if self.refused(area):
            return
        if path.startswith("/api/models/"):
            self.information(path)
        elif path.startswith("/api/"):
            self.reply(404)
        elif path.startswith("/cdn/"):
            self.content(path.split("/")[-1])
        else:
            self.resolve(path)

    def refused(self, area: str) -> bool:
        refusal = self.hub.refusals.get(area)
        if refusal is None or refusal[2] <= 0:
            return False
        refusal[2] -= 1
        if refusal[0] == 0:  # hang up, or send nothing
            time.sleep(refusal[1].get("stall", 0))
            self.close_connection = True
            return True
        self.reply(refusal[0], refusal[1])
        return True

    def reply(self, status: int, headers=None, body: bytes = b"") -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def information(self, path: str) -> None:
        owner, name, *rest = path.removeprefix("/api/models/").split("/")
        repository = self.hub.repositories.get(f"{owner}/{name}")
        if repository is None:
            return self.reply(404, {"X-Error-Code": "RepoNotFound"})
        if rest[:1] == ["refs"]:
            refs = [
                {"name": each, "ref": f"refs/heads/{each}", "targetCommit": commit}
                for each, commit in repository.branches.items()
            ]
            content = {"branches": refs, "tags": [], "converts": []}
        else:
            siblings = [
                {
                    "rfilename": each,
                    "size": len(content),
                    **(
                        {
                            "lfs": {
                                "sha256": hashlib.sha256(content).hexdigest(),
                                "size": len(content),
                                "pointerSize": 130,
                            }
                        }
                        if len(content) >= LARGE
                        else {}
                    ),
                }
                for each, content in repository.files.items()
            ]
            content = {"id": f"{owner}/{name}", "sha": repository.commit, "siblings": siblings}
        body = json.dumps(content).encode()
        return self.reply(200, {"Content-Type": "application/json"}, body)

    def resolve(self, path: str) -> None:
        owner, name, _resolve, revision, file = path.strip("/").split("/", 4)
        repository = self.hub.repositories.get(f"{owner}/{name}")
        if repository is None:
            return self.reply(404, {"X-Error-Code": "RepoNotFound"})
        if repository.moved_to:
            target = path.replace(f"/{owner}/{name}/", f"/{repository.moved_to}/")
            return self.reply(307, {"Location": target})
        commit = repository.branches.get(revision, revision)
        if not repository.commit.startswith(commit):
            return self.reply(404, {"X-Error-Code": "RevisionNotFound"})
        common = {"X-Repo-Commit": repository.commit}
        if file not in repository.files:
            return self.reply(404, {"X-Error-Code": "EntryNotFound", **common})
        content = repository.files[file]
        if len(content) >= LARGE:
            sha256 = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Size": len(content), "X-Linked-Etag": f'"{sha256}"'}
            location = f"{self.hub.cdn}/{owner}/{name}/{file.replace('/', '%2F')}"
            return self.reply(302, {"Location": location, **linked, **common})
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        return self.body(file, content, f'"{blob}"', common)

    def content(self, file: str) -> None:
        repository = next(each for each in self.hub.repositories.values() if file in each.files)
        content = repository.files[file]
        self.body(file, content, f'"{hashlib.md5(content).hexdigest()}"', {})

    def body(self, file: str, content: bytes, etag: str, headers: dict) -> None:
        """The file, or the range asked for, with whatever is to go wrong."""
        hub, total = self.hub, len(content)
        tamper = hub.tamper if hub.tamper_times > 0 and self.command == "GET" else None
        if tamper and len(content) >= LARGE:
            hub.tamper_times -= 1
        asked = self.headers.get("Range")
        if self.headers.get("If-Range", etag) != etag or tamper == "ignores ranges":
            asked = None
        first, _, last = (asked or "").removeprefix("bytes=").partition("-")
        start = int(first or 0)
        if asked and (start >= total or tamper == "416"):
            return self.reply(416, {"Content-Range": f"bytes */{total}"})
        sent = content[start : int(last) + 1 if last else None]
        if tamper == "wrong bytes":
            sent = bytes(len(sent))
        if tamper == "too long":
            sent += b"x" * 100
        if tamper == "wrong length":
            sent = sent[:-100]
        self.send_response(206 if asked else 200)
        lengths = {"Content-Length": len(sent), "ETag": etag, "Accept-Ranges": "bytes"}
        if asked:
            lengths["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        for key, value in {**lengths, **headers}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return None
        hub.starts.append((file, start))
        if tamper in ("truncated", "stall"):
            sent = sent[: len(sent) // 2]
        for begin in range(0, len(sent), hub.piece):
            piece = sent[begin : begin + hub.piece]
            self.wfile.write(piece)
            hub.sent[file] += len(piece)
            if hub.tamper == "dead":
                self.close_connection = True
                return self.connection.shutdown(socket.SHUT_RDWR)
            if hub.pace:
                time.sleep(hub.pace)
        if tamper == "stall":
            time.sleep(1.0)
        if tamper in ("truncated", "stall"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        return None


@pytest.fixture
def hub():
    server = Hub()
    yield server
    server.stop()


@pytest.fixture
def cache(tmp_path, monkeypatch, hub) -> Path:
    """An empty cache, a home of its own, the loopback hub as HF_ENDPOINT, and little patience."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "DNALLM_SHARED_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name in [each for each in os.environ if each.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    for name, value in FAST.items():
        monkeypatch.setenv(name, value)
    return tmp_path / "cache"


@pytest.fixture
def noise():
    """Reproducible bytes of a given length."""
    return lambda length, seed=0: random.Random(seed).randbytes(length)


@pytest.fixture
def manifest():
    """A manifest of the given files: bytes are pinned by hash, None is not pinned at all."""

    def make(files, *, revision=COMMIT, hub="lab/model", model="toy-1", **more) -> ModelManifest:
        listed = tuple(
            WeightFile(name, len(content), hashlib.sha256(content).hexdigest())
            if content is not None
            else WeightFile(name)
            for name, content in files.items()
        )
        weights = Weights(hub=hub, revision=revision, files=listed)
        return ModelManifest(
            id=model,
            family="toy",
            title="Toy",
            plugin="toy-plugin",
            architecture="encoder-transformer",
            direction="bidirectional",
            objective="masked-language-modelling",
            scaling=Scaling("quadratic", "quadratic"),
            tasks=("embedding",),
            implementation="toy_plugin.network:Toy",
            tokenizer={"kind": "character"},
            **{"weights": weights, "installed": True, **more},
        )

    return make


@pytest.fixture
def state(cache):
    """What is in the cache: whole files and partial ones, name -> bytes."""

    def look() -> tuple[dict[str, bytes], dict[str, int]]:
        whole = {
            path.name: path.read_bytes()
            for path in (cache / "weights").rglob("*")
            if path.is_file() and ".verified" not in path.parts
        }
        partial = {path.stem: path.stat().st_size for path in cache.rglob("*.partial")}
        return whole, partial

    return look
