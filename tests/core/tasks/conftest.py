"""A toy whose worker processes can be made to fail: mischief is a file that one process takes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

MISCHIEF = '''
import os, signal, socket, time
from importlib import metadata
from pathlib import Path
import dnallm_core.tasks.embedding as embedding

embedding.PART_BASES = 150
FOLDER = Path(os.environ["TOY_MISCHIEF"])
CALLS = [0]


def takes(name):
    """Whether this process is the one that the mischief befalls: the first that asks."""
    try:
        (FOLDER / name).unlink()
        return True
    except FileNotFoundError:
        return False


POOR = []
(FOLDER / f"here-{os.getpid()}").write_text("")
if takes("old"):
    version = metadata.version
    metadata.version = lambda name: "0.0" if name == "toy-plugin" else version(name)


class Toy(Toy):
    def __init__(self, manifest, module, tokenizer, *, provenance=None):
        Model.__init__(self, manifest, module, tokenizer, provenance=provenance)
        if takes("strange"):
            next(module.parameters()).data.add_(1)

    def token_states(self, inputs, layer=-1):
        CALLS[0] += 1
        while (FOLDER / "together").exists() and len(list(FOLDER.glob("here-*"))) < 2:
            time.sleep(0.1)
        if (FOLDER / "slow").exists():
            (FOLDER / f"busy-{socket.gethostname()}-{os.getpid()}").write_text("")
            time.sleep(1)
        if (FOLDER / "die-always").exists() or (CALLS[0] == 3 and takes("die")):
            os.kill(os.getpid(), signal.SIGKILL)
        if CALLS[0] == 1 and takes("poor-worker"):
            POOR.append(True)
        if POOR and len(inputs["input_ids"]) > 1:
            raise MemoryError("out of memory")
        return super().token_states(inputs, layer)
'''


@pytest.fixture
def mischief(toy, laboratory, tmp_path, monkeypatch):
    """``mischief("die")`` for what befalls one worker; parts of 150 bp, here and in workers."""
    toy("toy")
    network = laboratory.folder / "toy_plugin/network.py"
    network.write_text(network.read_text() + MISCHIEF)
    folder = tmp_path / "mischief"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOY_MISCHIEF", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(laboratory.folder))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("dnallm_core.tasks.embedding.PART_BASES", 150)
    draw = random.Random(4)
    reads = ["".join(draw.choices("ACGT", k=draw.randint(5, 60))) for _ in range(60)]
    Path("reads.fa").write_text("".join(f">r{n}\n{each}\n" for n, each in enumerate(reads)))

    def make(*names: str) -> None:
        for name in names:
            (folder / name).write_text("")

    return make
