"""The table of faults: what the user reads, and that the cache is whole or absent afterwards.

Every fault happens on a real socket, between the real client and a server on the loopback.
"""

from __future__ import annotations

import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
from dnallm_core.errors import IntegrityError, WeightsUnavailableError
from dnallm_core.weights import Progress, locate

QUIET = Progress(quiet=True)
SIZE = 400_000
GONE = WeightsUnavailableError

# name, what goes wrong (on hub, monkeypatch), the error, the sentence, whether a partial remains
FAULTS = [
    (
        "401 without a token",
        lambda hub, patch: (patch.delenv("HF_TOKEN"), hub.refuse("head", 401)),
        GONE,
        "has no repository lab/model, or it is private. Look at {url}/lab/model. If it is private, "
        "log in with `hf auth login` or set HF_TOKEN",
    ),
    (
        "401 with a token that is not accepted",
        lambda hub, patch: hub.refuse(
            "head", 401, {"X-Error-Message": "Invalid credentials in Authorization header"}
        ),
        GONE,
        "the hub does not accept your token. It may have expired",
    ),
    (
        "403 gated, no token",
        lambda hub, patch: (
            patch.delenv("HF_TOKEN"),
            hub.refuse("head", 401, {"X-Error-Code": "GatedRepo"}),
        ),
        GONE,
        "the authors of lab/model ask for consent to their terms, and there is no token here. "
        "Accept them at {url}/lab/model, then log in with `hf auth login`",
    ),
    (
        "403 gated, not granted",
        lambda hub, patch: hub.refuse("head", 403, {"X-Error-Code": "GatedRepo"}),
        GONE,
        "your token's account has not been granted access. Ask for it at {url}/lab/model",
    ),
    (
        "403 a token without rights",
        lambda hub, patch: hub.refuse("head", 403, {"X-Error-Message": "forbidden"}),
        GONE,
        "your token may not read lab/model. Give it the right to read that repository",
    ),
    (
        "404 no repository",
        lambda hub, patch: hub.repositories.clear(),
        GONE,
        "has no repository lab/model, or it is private.",
    ),
    (
        "404 no revision",
        lambda hub, patch: hub.publish({}, commit="f" * 40, branches={"main": "f" * 40, "v2": ""}),
        GONE,
        "lab/model has no revision '0123456789abcdef0123456789abcdef01234567' (any more). It has "
        "main, v2. Look for a newer version of the plugin",
    ),
    (
        "404 another family's repository",
        lambda hub, patch: hub.publish({"config.json": b"{}", "tf_model.h5": b"x"}),
        GONE,
        "lab/model has no such file at revision '0123456789abcdef0123456789abcdef01234567'. It "
        "holds config.json, tf_model.h5. Is this the repository of another model?",
    ),
    (
        "the hub has disabled it",
        lambda hub, patch: hub.refuse(
            "head", 403, {"X-Error-Message": "Access to this resource is disabled."}
        ),
        GONE,
        "the hub has disabled lab/model.",
    ),
    (
        "429 asking for too long a wait",
        lambda hub, patch: hub.refuse("head", 429, {"Retry-After": "4000"}),
        GONE,
        "the hub's quota is used up and asks to wait 67 minutes",
    ),
    (
        "429 from the storage",
        lambda hub, patch: hub.refuse("cdn", 429, {"Retry-After": "4000"}),
        GONE,
        "the hub's quota is used up and asks to wait 67 minutes",
    ),
    (
        "503 that stays",
        lambda hub, patch: hub.refuse("head", 503),
        GONE,
        "is in trouble (it answered 503). Try again later",
    ),
    (
        "500 from the storage",
        lambda hub, patch: hub.refuse("cdn", 500),
        GONE,
        "0 bytes of 400.0 kB are here. localhost:{port} is in trouble (it answered 500). Try again "
        "later; https://status.huggingface.co says how the hub is. What was fetched is kept",
    ),
    (
        "404 from the storage",
        lambda hub, patch: hub.refuse("cdn", 404),
        GONE,
        "localhost:{port} answered 404.",
    ),
    (
        "416 that stays",
        lambda hub, patch: (setattr(hub, "tamper", "truncated"), hub.refuse("cdn", 416)),
        GONE,
        "0 bytes of 400.0 kB are here. the server does not hand out the rest of it. Try again later.",
    ),
    (
        "a stall before the answer",
        lambda hub, patch: hub.refuse("head", 0, {"stall": 0.6}),
        GONE,
        "sent nothing for too long. Try again, or raise DNALLM_DOWNLOAD_TIMEOUT",
    ),
    (
        "a hang-up before the answer",
        lambda hub, patch: hub.refuse("head", 0),
        GONE,
        "the connection to 127.0.0.1:{port} broke:",
    ),
    (
        "wrong bytes",
        lambda hub, patch: setattr(hub, "tamper", "wrong bytes"),
        IntegrityError,
        "model.safetensors of toy-1 is not the file that was promised: its SHA-256 is",
    ),
    (
        "too many bytes",
        lambda hub, patch: setattr(hub, "tamper", "too long"),
        IntegrityError,
        "came with 400,100 bytes, and the hub says 400,000: it was thrown away.",
    ),
    (
        "too few bytes",
        lambda hub, patch: setattr(hub, "tamper", "wrong length"),
        IntegrityError,
        "came with 399,900 bytes, and the hub says 400,000: it was thrown away.",
    ),
    (
        "a changed file under the same revision",
        lambda hub, patch: hub.publish({"model.safetensors": bytes(SIZE)}),
        IntegrityError,
        "model.safetensors of toy-1 has changed on the hub under the same revision "
        "'0123456789abcdef0123456789abcdef01234567': its SHA-256 is",
    ),
    (
        "a file of another size than the manifest says",
        lambda hub, patch: hub.publish({"model.safetensors": bytes(SIZE - 1)}),
        IntegrityError,
        "has 399,999 bytes on the hub, and 400,000 were promised: it is another file. Nothing was",
    ),
    (
        "a mirror that answers with another revision",
        lambda hub, patch: (
            setattr(hub.repositories["lab/model"], "commit", "f" * 40),
            hub.repositories["lab/model"].branches.update(
                {"0123456789abcdef" * 2 + "01234567": "f" * 40}
            ),
        ),
        IntegrityError,
        "The hub answers with revision ffffffffffffffffffffffffffffffffffffffff where",
    ),
    (
        "a network with a login page",
        lambda hub, patch: hub.refuse("head", 200, {"Content-Type": "text/html"}),
        GONE,
        "127.0.0.1:{port} does not answer as a hub does. Is this a network with a login page",
    ),
    (
        "no such host",
        lambda hub, patch: patch.setenv("HF_ENDPOINT", "https://hub.invalid"),
        GONE,
        "the name hub.invalid cannot be resolved: there is no network, or no DNS. On a machine "
        "without network: `dnallm pull` where there is one",
    ),
    (
        "nobody listens",
        lambda hub, patch: patch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}"),
        GONE,
        "cannot be reached: [Errno 111] Connection refused. On a machine",
    ),
    (
        "a server that speaks no TLS",
        lambda hub, patch: patch.setenv("HF_ENDPOINT", hub.url.replace("http:", "https:")),
        GONE,
        "the TLS connection to 127.0.0.1:{port} was refused:",
    ),
    (
        "an address that is none",
        lambda hub, patch: patch.setenv("HF_ENDPOINT", "ftp//mirror"),
        GONE,
        "'ftp//mirror' is no address of a hub. Correct HF_ENDPOINT",
    ),
]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("fault", FAULTS, ids=[each[0] for each in FAULTS])
def test_a_fault_is_said_in_a_sentence_and_leaves_the_cache_whole_or_absent(
    fault, hub, cache, manifest, noise, state, monkeypatch
):
    _name, happens, error, sentence = fault
    asked = manifest({"model.safetensors": noise(SIZE)})
    hub.publish({"model.safetensors": noise(SIZE)})
    happens(hub, monkeypatch)
    with pytest.raises(error) as caught:
        locate(asked, progress=QUIET)
    assert sentence.format(url=hub.url, port=hub.port) in str(caught.value)
    assert caught.value.exit_code == 3
    assert (caught.value.model, caught.value.file) == ("toy-1", "model.safetensors")
    assert str(caught.value).startswith(("model.safetensors of toy-1", "The hub answers"))
    whole, partial = state()
    assert whole == {}
    assert not any(partial.values())
    if "answers with another revision" not in _name:  # and once the fault is over, all is well
        hub.refusals, hub.tamper = {}, None
        hub.publish({"model.safetensors": noise(SIZE)})
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        locate(asked, progress=QUIET)
        assert state() == ({"model.safetensors": noise(SIZE)}, {})


@pytest.mark.parametrize(
    ("area", "status", "headers"),
    [
        ("head", 503, {}),
        ("cdn", 502, {}),
        ("head", 429, {"Retry-After": "0"}),
        ("cdn", 429, {"RateLimit": '"resolvers";r=0;t=0'}),
        ("cdn", 429, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        ("head", 0, {"stall": 0.6}),
        ("cdn", 0, {}),
    ],
)
def test_trouble_that_passes_is_waited_for(
    area, status, headers, hub, cache, manifest, noise, state
):
    files = {"model.safetensors": noise(SIZE)}
    hub.publish(files)
    hub.refuse(area, status, headers, times=1)
    locate(manifest(files), progress=QUIET)
    assert state() == (files, {})


def test_a_wait_that_the_hub_asks_for_is_kept(hub, cache, manifest, noise, monkeypatch):
    waited = []
    monkeypatch.setattr("dnallm_core.weights.transfer.time.sleep", waited.append)
    files = {"model.safetensors": noise(SIZE)}
    hub.publish(files)
    hub.refuse("cdn", 429, {"Retry-After": "7"}, times=1)
    locate(manifest(files), progress=QUIET)
    assert 7 in waited


@pytest.mark.parametrize("tamper", ["truncated", "stall"])
def test_an_answer_that_breaks_off_is_continued_where_it_stopped(
    tamper, hub, cache, manifest, noise, state
):
    files = {"model.safetensors": noise(SIZE)}
    hub.publish(files)
    hub.tamper, hub.tamper_times = tamper, 2
    locate(manifest(files), progress=QUIET)
    assert state() == (files, {})
    assert [start for _, start in hub.starts] == [0, SIZE // 2, SIZE // 2 + SIZE // 4]
    assert hub.sent["model.safetensors"] == SIZE


def test_a_server_killed_in_the_middle_leaves_what_came_and_the_next_run_goes_on(
    hub, cache, manifest, noise, state, monkeypatch
):
    files = {"model.safetensors": noise(SIZE)}
    hub.publish(files)
    hub.piece, hub.pace = 20_000, 0.01  # slow: 0.2 s in all

    def kill():
        while hub.sent["model.safetensors"] < SIZE // 3:
            time.sleep(0.005)
        hub.tamper = "dead"
        hub.server.socket.close()

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(WeightsUnavailableError) as caught:
        locate(manifest(files), progress=QUIET)
    killer.join()
    assert re.search(r"\d kB of 400\.0 kB are here\. .* cannot be reached", str(caught.value))
    assert str(caught.value).endswith("run the same again to go on from there.")
    whole, partial = state()
    assert whole == {}
    kept = partial["model.safetensors"]
    assert SIZE // 4 < kept < SIZE
    again = type(hub)()
    again.publish(files)
    monkeypatch.setenv("HF_ENDPOINT", again.url)
    locate(manifest(files), progress=QUIET)
    assert again.starts == [("model.safetensors", kept)]
    assert again.sent["model.safetensors"] == SIZE - kept
    assert state() == (files, {})
    again.stop()


def test_a_range_that_is_refused_or_ignored_starts_the_file_over(
    hub, cache, manifest, noise, state, monkeypatch
):
    files = {"model.safetensors": noise(SIZE)}
    hub.publish(files)
    for refusal in ("416", "ignores ranges"):
        hub.tamper, hub.tamper_times = "truncated", 1
        monkeypatch.setenv("DNALLM_DOWNLOAD_ATTEMPTS", "1")
        with pytest.raises(WeightsUnavailableError):
            locate(manifest(files), progress=QUIET)
        monkeypatch.setenv("DNALLM_DOWNLOAD_ATTEMPTS", "3")
        hub.starts.clear()
        hub.tamper, hub.tamper_times = refusal, 1
        found = locate(manifest(files), progress=QUIET)
        assert [start for _, start in hub.starts] == [0]
        assert state() == (files, {})
        (found.folder / "model.safetensors").unlink()


def test_the_beginning_of_another_file_is_not_continued(
    hub, cache, manifest, noise, state, monkeypatch
):
    monkeypatch.setenv("DNALLM_DOWNLOAD_ATTEMPTS", "1")
    hub.publish({"model.bin": noise(SIZE)})
    hub.tamper, hub.tamper_times = "truncated", 1
    with pytest.raises(WeightsUnavailableError):
        locate(manifest({"model.bin": None}), progress=QUIET)
    hub.publish({"model.bin": noise(SIZE, 1)})
    locate(manifest({"model.bin": None}), progress=QUIET)
    assert state() == ({"model.bin": noise(SIZE, 1)}, {})


def test_a_beginning_that_was_damaged_on_disk_costs_one_more_download_and_no_more(
    hub, cache, manifest, noise, state, monkeypatch
):
    files = {"model.safetensors": noise(SIZE)}
    hub.publish(files)
    hub.tamper, hub.tamper_times = "truncated", 1
    monkeypatch.setenv("DNALLM_DOWNLOAD_ATTEMPTS", "1")
    with pytest.raises(WeightsUnavailableError):
        locate(manifest(files), progress=QUIET)
    (partial,) = cache.rglob("*.partial")
    partial.write_bytes(bytes(SIZE // 2))
    locate(manifest(files), progress=QUIET)
    assert state() == (files, {})
    assert hub.sent["model.safetensors"] == 2 * SIZE


def test_a_proxy_that_refuses_is_named(hub, cache, manifest, noise, state, monkeypatch):
    from huggingface_hub import close_session

    close_session()  # proxies are read when the session is made
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def refuse():
            connection, _ = proxy.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"
                )

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
        with pytest.raises(
            WeightsUnavailableError, match=r"the proxy refused.*Look at HTTPS_PROXY"
        ):
            locate(manifest({"model.safetensors": None}), progress=QUIET)
        thread.join()
    close_session()
    assert state() == ({}, {})


def test_a_certificate_that_nobody_vouches_for_is_refused(
    hub, cache, manifest, tmp_path, monkeypatch, state
):
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -keyout {key} -out {certificate} -days 1"
    try:
        subprocess.run(
            [*command.split(), "-subj", "/CN=127.0.0.1"], check=True, capture_output=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("no openssl to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    hub.server.socket = context.wrap_socket(hub.server.socket, server_side=True)
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("http:", "https:"))
    with pytest.raises(
        WeightsUnavailableError, match=r"TLS connection .* was refused: .*CERT.*SSL_CERT_FILE"
    ):
        locate(manifest({"model.safetensors": None}), progress=QUIET)
    assert state() == ({}, {})
