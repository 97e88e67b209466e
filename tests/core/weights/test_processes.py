"""Killed at any moment, and eight at once: nothing is fetched twice, nothing half is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Forks a process for every line that it is given, so that the imports are paid for once.
PULLER = """
import os, sys
import dnallm_core.weights.download
from dnallm_core.manifest.model import ModelManifest, Scaling, WeightFile, Weights
from dnallm_core.weights import Progress, locate

name, size, sha256, revision = sys.argv[1:]
weights = Weights(hub="lab/model", revision=revision, files=(WeightFile(name, int(size), sha256),))
manifest = ModelManifest(
    id="toy-1", family="toy", title="Toy", plugin="toy", architecture="hybrid", direction="causal",
    objective="causal-language-modelling", scaling=Scaling("linear", "linear"), tasks=(),
    implementation="toy:Toy", tokenizer={}, weights=weights,
)
for line in sys.stdin:
    order, argument = line.split()
    if order == "wait":
        print(os.waitpid(int(argument), 0)[1], flush=True)
        continue
    child = os.fork()
    if child == 0:
        code = 1
        try:
            with open(argument, "w") as log:
                found = locate(manifest, progress=Progress(log, live=False))
                log.write(found.provenance["files"][name])
            code = 0
        finally:
            os._exit(code)
    print(child, flush=True)
"""


class Puller:
    """Starts processes that pull ``model.safetensors``, kills them and waits for them."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder, self.count = folder, 0
        self.process = subprocess.Popen(
            [sys.executable, "-c", PULLER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self) -> tuple[int, Path]:
        self.count += 1
        log = self.folder / f"log-{self.count}"
        return self._ask(f"pull {log}"), log

    def wait(self, process: int) -> int:
        return self._ask(f"wait {process}")

    def kill(self, process: int) -> None:
        os.kill(process, signal.SIGKILL)
        assert os.WIFSIGNALED(self.wait(process))

    def _ask(self, order: str) -> int:
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())


@pytest.fixture
def puller(cache, manifest, tmp_path, monkeypatch):
    monkeypatch.setenv("DNALLM_DOWNLOAD_TIMEOUT", "20")
    made = []

    def of(content: bytes) -> Puller:
        weights = manifest({"model.safetensors": content}).weights
        (file,) = weights.files
        made.append(Puller(tmp_path, [file.name, str(file.bytes), file.sha256, weights.revision]))
        return made[-1]

    yield of
    for each in made:
        each.process.stdin.close()
        each.process.stdout.close()
        each.process.wait(timeout=30)


def test_twenty_kills_at_seeded_moments_fetch_no_byte_twice(hub, puller, noise, state):
    size, kills, moments = 4_000_000, 20, random.Random(20)
    content = noise(size)
    hub.publish({"model.safetensors": content})
    hub.piece, hub.pace = 20_000, 0.002
    pulls, kept = puller(content), []
    for _ in range(kills):
        target = hub.sent["model.safetensors"] + moments.randint(0, 300_000)
        process, _log = pulls.start()
        while hub.sent["model.safetensors"] < target:
            time.sleep(0.001)
        time.sleep(moments.random() * 0.01)
        pulls.kill(process)
        whole, partial = state()
        assert whole == {}
        kept.append(partial.get("model.safetensors", 0))
    hub.pace = 0.0
    process, log = pulls.start()
    assert pulls.wait(process) == 0
    assert state() == ({"model.safetensors": content}, {})
    assert log.read_text().endswith(pulls.process.args[5])
    assert kept == sorted(kept)
    assert size // 4 < kept[-1] < size
    # every answer began where a partial ended, so that no byte that was there was sent again;
    # what is sent beyond the file's size lay in the sockets' buffers when a process died
    starts = [start for _, start in hub.starts]
    assert set(starts) <= {0, *kept}
    assert starts == sorted(starts)
    assert hub.sent["model.safetensors"] <= size + kills * 60_000


def test_eight_processes_make_one_download(hub, puller, noise, state):
    content = noise(1_000_000)
    hub.publish({"model.safetensors": content})
    hub.piece, hub.pace = 100_000, 0.08  # long enough for all eight to meet
    pulls = puller(content)
    started = [pulls.start() for _ in range(8)]
    assert [pulls.wait(process) for process, _ in started] == [0] * 8
    assert hub.starts == [("model.safetensors", 0)]
    assert hub.sent["model.safetensors"] == len(content)
    assert state() == ({"model.safetensors": content}, {})
    talk = [log.read_text() for _, log in started]
    assert all(each.endswith(pulls.process.args[5]) for each in talk)
    assert sum("another process is fetching it" in each for each in talk) == 7


def test_a_process_that_dies_with_the_lock_does_not_keep_the_others_waiting(
    hub, puller, noise, state
):
    content = noise(400_000)
    hub.publish({"model.safetensors": content})
    hub.piece, hub.pace = 20_000, 0.02
    pulls = puller(content)
    first, _ = pulls.start()
    while hub.sent["model.safetensors"] < 100_000:
        time.sleep(0.005)
    second, _ = pulls.start()
    time.sleep(0.1)
    pulls.kill(first)
    assert pulls.wait(second) == 0
    assert state() == ({"model.safetensors": content}, {})
    (_, begin), (_, resumed) = hub.starts
    assert begin == 0
    assert resumed >= 80_000
