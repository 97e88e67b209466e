"""A process a device: the same output, whatever befalls a worker."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.errors import IntegrityError, RequirementError, ResourceError, SequenceError
from dnallm_core.tasks.coordinating import coordinate
from dnallm_core.tasks.messages import as_error, as_message
from dnallm_core.tasks.processes import Processes, devices_of

EMBED = ["embed", "toy", "reads.fa", "--weights", "toy-0", "--quiet"]


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("cpu", ["cpu"]),
        ("cpu:3", ["cpu", "cpu", "cpu"]),
        ("cuda:0,cuda:1", ["cuda:0", "cuda:1"]),
        ("cuda:0, cpu:2", ["cuda:0", "cpu", "cpu"]),
    ],
)
def test_devices_are_read_as_people_write_them(text, devices):
    assert devices_of(text) == devices


@pytest.mark.parametrize("text", ["", "gpu", "cpu:0", "cpu:x", "cuda:-1", "2"])
def test_what_names_no_device_is_a_sentence(text):
    with pytest.raises(RequirementError, match=r'names no devices\. Write "all"'):
        devices_of(text)


def test_every_gpu_where_there_is_none_is_a_sentence(monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    with pytest.raises(RequirementError, match=r"no GPU here for --devices all. --devices cpu:2"):
        devices_of("all")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    assert devices_of("all") == ["cuda:0", "cuda:1"]


def test_one_device_and_several_are_not_asked_for_together(capsys):
    assert run([*EMBED, "-o", "o.tsv", "--device", "cpu", "--devices", "cpu:2"]) == 2
    assert "Give --device, where one process runs, or --devices" in capsys.readouterr().err


def _one(output="one.npz"):
    assert run([*EMBED, "--device", "cpu", "-o", output]) == 0
    return Path(output).read_bytes()


def test_two_processes_of_which_one_is_killed_give_what_one_gives(mischief, capsys):
    mischief("die")
    assert run([*EMBED, "-o", "o.npz", "--devices", "cpu:2"]) == 0
    assert "was killed by signal 9, as the system does when memory runs out at parts" in (
        capsys.readouterr().err
    )
    assert Path("o.npz").read_bytes() == _one()
    assert not Path("o.npz.partial").exists()
    record = json.loads(Path("o.npz.run.json").read_text())
    assert record["settings"] == json.loads(Path("one.npz.run.json").read_text())["settings"]
    assert sum(each["parts"] for each in record["workers"]) == record["parts"] > 8
    assert sum(each["restarts"] for each in record["workers"]) == 1
    assert record["command"][:3] == EMBED[:3]


@pytest.mark.environment
def test_workers_that_die_again_and_again_end_the_run_which_goes_on_later(
    mischief, capsys, tmp_path
):
    assert run([*EMBED, "-o", "o.npz", "--devices", "cpu:2", "--shard", "1/2"]) == 0
    mischief("die-always")
    assert run([*EMBED, "-o", "o.npz", "--devices", "cpu:2", "--shard", "2/2"]) == 4
    assert "died twice" in capsys.readouterr().err
    (tmp_path / "mischief/die-always").unlink()
    assert run([*EMBED, "-o", "o.npz", "--devices", "cpu:2", "--shard", "2/2"]) == 0
    assert run(["merge", "o.npz", "--quiet"]) == 0
    assert Path("o.npz").read_bytes() == _one()


@pytest.mark.environment
def test_a_worker_out_of_memory_goes_on_with_smaller_batches(mischief):
    mischief("poor-worker")
    with pytest.warns(UserWarning, match="Memory ran out; going on with batches of"):
        assert run([*EMBED, "-o", "o.npz", "--devices", "cpu:2"]) == 0
    _one()
    with np.load("o.npz") as found, np.load("one.npz") as expected:
        assert found["name"].tolist() == expected["name"].tolist()
        np.testing.assert_allclose(found["embedding"], expected["embedding"], rtol=1e-4, atol=1e-5)


@pytest.mark.environment
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("strange", "does not belong to this run: it has other weights (SHA-256 of the tensors"),
        ("old", "does not belong to this run: it has another version of toy-plugin ("),
    ],
)
def test_a_worker_with_other_weights_or_versions_is_refused(mischief, capsys, what, said):
    mischief(what, "together", "slow")  # or one is done before the other is there
    assert run([*EMBED, "-o", "o.npz", "--devices", "cpu:2"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("o.npz").exists()


# --- supervision, with workers that load nothing ------------------------------------------------

FAKE = '''
"""Workers that compute nothing."""
import json, os, sys
from pathlib import Path

FACTS = {
    "settings": {"task": "fake", "input": "x"}, "identity": {"tensors": "a", "versions": {"torch": "1"}},
    "model": {"device": "cpu"}, "details": {"model": "fake"}, "endings": [".npz"],
    "formats": {".npz": ["arrays", []]},
}


def serve(connection, command, folder, threads):
    import numpy as np
    from dnallm_core.tasks.run import part_name
    from dnallm_core.tasks.table import Table, write_part

    def tell(message):
        connection.send_bytes(json.dumps(message).encode())

    if "bad" in command:
        tell({"error": {"kind": "SequenceError", "sentence": "r1 is empty.", "hint": "Go home."}})
        return
    tell({"facts": FACTS})
    tell({"warning": "something odd"})
    while True:
        asked = json.loads(connection.recv_bytes())
        if asked["do"] == "plan":
            tell({"plan": [5] * 20, "unit": "bp", "warning": "the end"})
            continue
        for number in asked["numbers"]:
            if number in (7, 8) and not ("tame" in command):
                os._exit(3)
            write_part(Path(asked["folder"]) / part_name(number), Table({"n": np.array([number])}))
            tell({"part": number})
        tell({"done": True})
'''


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """A crew of two workers that run ``serve`` above under a word."""
    (tmp_path / "fakes.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    from fakes import serve

    said = []

    def make(word):
        return Processes(serve, lambda device: [word], ["cpu", "cpu"], said.append)

    make.said = said
    return make


def test_a_shard_that_kills_every_worker_ends_the_run_and_keeps_the_rest(fakes, tmp_path):
    output = tmp_path / "o.npz"
    with (
        pytest.warns(UserWarning, match="something odd"),
        pytest.raises(ResourceError, match=r"died twice at parts [78].*ended with code 3. What is"),
        fakes("wild") as crew,
    ):
        coordinate(crew, output, quiet=True)
    assert any("ended with code 3 at parts 7" in each for each in fakes.said)
    kept = {each.name for each in (tmp_path / "o.npz.partial").glob("part-*")}
    assert "part-000000.npz" in kept
    with pytest.warns(UserWarning, match="something odd") as warned, fakes("tame") as crew:
        record = coordinate(crew, output, quiet=True)
    assert len([each for each in warned if "odd" in str(each.message)]) == 1  # not once a worker
    assert record["resumed_parts"] == len(kept)
    assert record["warning"] == "the end"
    with np.load(output) as found:
        assert found["n"].tolist() == list(range(20))


def test_the_error_of_a_worker_is_that_of_the_run(fakes, tmp_path):
    with pytest.raises(SequenceError, match=r"r1 is empty. Go home."), fakes("bad") as crew:
        coordinate(crew, tmp_path / "o.npz", quiet=True)


def test_errors_travel_with_class_sentence_and_hint():
    error = as_error(as_message(IntegrityError("Not the same.", hint="Again.", file="x")))
    assert isinstance(error, IntegrityError)
    assert str(error) == "Not the same. Again."
    assert error.exit_code == 3
    full = as_error(as_message(OSError(28, "No space left on device", "o.npz")))
    assert isinstance(full, OSError)
    assert full.errno == 28
    assert "ZeroDivisionError" in str(as_error(as_message(ZeroDivisionError("x"))))


def test_signals_are_named():
    from dnallm_core.tasks.processes import _ended

    assert _ended(-signal.SIGSEGV) == "was killed by signal 11"
    assert _ended(1) == "ended with code 1"
