"""The same jobs on Ray: the same output, a worker or a node lost, and what can't be run refused."""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.tasks import on_ray

ROOT = Path(__file__).resolve().parents[3]
EMBED = ["embed", "toy", "reads.fa", "--weights", "toy-0", "--quiet"]


@pytest.fixture(autouse=True)
def _no_ray_outlives_a_test():
    yield
    if "ray" in sys.modules:
        sys.modules["ray"].shutdown()


def _one(output="one.npz"):
    assert run([*EMBED, "--device", "cpu", "-o", output]) == 0
    return Path(output).read_bytes()


def test_without_ray_a_sentence_names_the_extra(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    assert run([*EMBED, "-o", str(tmp_path / "o.npz"), "--ray", "local"]) == 2
    said = capsys.readouterr().err
    assert 'needs Ray, which is not installed. pip install "dnallm-core[ray]"' in said


@pytest.mark.parametrize("address", ["ray://head:10001", "somewhere", "head:port"])
def test_what_is_no_address_is_a_sentence(tmp_path, monkeypatch, capsys, address):
    monkeypatch.setattr(on_ray, "_imported", lambda: None)
    assert run([*EMBED, "-o", str(tmp_path / "o.npz"), "--ray", address]) == 2
    assert f"{address!r} is no address of a Ray cluster." in capsys.readouterr().err


def test_a_cluster_that_cannot_be_reached_is_a_sentence_in_bounded_time(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(on_ray, "_imported", lambda: None)
    with socket.socket() as taken:  # bound, and nothing listens
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert run([*EMBED, "-o", str(tmp_path / "o.npz"), "--ray", address]) == 2
    said = capsys.readouterr().err
    assert f"The Ray cluster at {address} cannot be reached: Connection refused." in said
    monkeypatch.setattr(on_ray, "CONNECT", 0.5)
    with socket.socket() as mute:  # listens, and says nothing that Ray understands
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        began = time.monotonic()
        assert run([*EMBED, "-o", str(tmp_path / "o.npz"), "--ray", address]) == 2
        assert time.monotonic() - began < 20
    assert "cannot be reached: nothing that speaks Ray answered within" in capsys.readouterr().err


def test_a_ray_that_does_not_start_is_a_sentence(tmp_path, monkeypatch, capsys):
    class Ray:
        @staticmethod
        def init(**_):
            raise OSError("no room in /dev/shm\nand more")

    monkeypatch.setattr(on_ray, "_imported", Ray)
    assert run([*EMBED, "-o", str(tmp_path / "o.npz"), "--ray", "local"]) == 4
    assert "Ray does not start here: no room in /dev/shm." in capsys.readouterr().err


def test_ray_and_devices_are_not_asked_for_together(capsys):
    assert run([*EMBED, "-o", "o.npz", "--ray", "local", "--devices", "cpu:2"]) == 2
    assert "Give --ray or --devices, one of the two." in capsys.readouterr().err
    assert run([*EMBED, "-o", "o.npz", "--ray", "local", "--workers", "0"]) == 2
    assert "--workers must be at least 1." in capsys.readouterr().err


@pytest.mark.environment
def test_one_and_two_workers_and_one_killed_in_the_middle_give_what_one_process_gives(mischief):
    one = _one()
    for workers, befalls in (("1", ()), ("2", ()), ("2", ("die",))):
        mischief(*befalls)
        ray = ["--ray", "local", "--workers", workers, "--overwrite"]
        assert run([*EMBED, "-o", "o.npz", *ray]) == 0
        assert Path("o.npz").read_bytes() == one
        assert not Path("mischief/die").exists()
        record = json.loads(Path("o.npz.run.json").read_text())
        assert sum(each["parts"] for each in record["workers"]) == record["parts"] > 8
        before = json.loads(Path("one.npz.run.json").read_text())
        assert record["settings"] == before["settings"]


@pytest.mark.environment
@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("strange", "does not belong to this run: it has other weights (SHA-256 of the tensors"),
        ("old", "does not belong to this run: it has another version of toy-plugin ("),
    ],
)
def test_a_worker_with_other_weights_or_versions_is_refused(mischief, capsys, what, said):
    mischief(what)
    assert run([*EMBED, "-o", "o.npz", "--ray", "local", "--workers", "2"]) == 2
    assert said in capsys.readouterr().err
    assert not Path("o.npz").exists()


@pytest.mark.environment
def test_a_worker_out_of_memory_goes_on_and_one_that_dies_always_is_a_sentence(
    mischief, capsys, tmp_path
):
    mischief("poor-worker")
    with pytest.warns(UserWarning, match="Memory ran out; going on with batches of"):
        assert run([*EMBED, "-o", "o.npz", "--ray", "local", "--workers", "2"]) == 0
    _one()
    with np.load("o.npz") as found, np.load("one.npz") as expected:
        assert found["name"].tolist() == expected["name"].tolist()
        np.testing.assert_allclose(found["embedding"], expected["embedding"], rtol=1e-4, atol=1e-5)
    mischief("die-always")
    assert run([*EMBED, "-o", "p.npz", "--ray", "local", "--workers", "2"]) == 4
    assert "Ray lost a worker 4 times, or cannot place one" in capsys.readouterr().err
    (tmp_path / "mischief/die-always").unlink()
    assert run([*EMBED, "-o", "p.npz", "--ray", "local", "--workers", "2"]) == 0


@pytest.mark.environment
def test_the_command_of_the_docs_gives_what_one_process_gives(tmp_path, monkeypatch):
    page = (ROOT / "docs/many-machines.md").read_text()
    (line,) = re.findall(r"^dnallm (embed .*--ray local.*)$", page, re.MULTILINE)
    genome = ROOT / "docs/demo/data/ecoli_536_4618001_4638000.fa"
    (tmp_path / "genome.fa").write_bytes(genome.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = line.split()
    assert run(command) == 0
    alone = command[: command.index("--ray")]
    alone[alone.index("-o") + 1] = "one.npz"
    assert run(alone) == 0
    with np.load("on-ray.npz") as found, np.load("one.npz") as expected:
        np.testing.assert_allclose(found["embedding"], expected["embedding"], rtol=1e-4, atol=1e-5)


@pytest.mark.environment
def test_a_node_that_is_lost_costs_time_and_nothing_else(mischief, capsys):
    from ray.cluster_utils import Cluster

    one = _one()
    mischief("slow")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3})
    try:
        doomed = cluster.add_node(num_cpus=3)
        cluster.wait_for_nodes()

        def lose_it():
            while len(list(Path("mischief").glob("busy-*"))) < 3:  # workers
                time.sleep(0.1)
            time.sleep(1)
            cluster.remove_node(doomed, allow_graceful=False)

        losing = threading.Thread(target=lose_it, daemon=True)
        losing.start()
        ray = ["--ray", cluster.address, "--workers", "4"]
        assert run([*EMBED, "-o", "o.npz", *ray]) == 0
        losing.join(10)
        assert not losing.is_alive()
        assert len(cluster.list_all_nodes()) == 1
    finally:
        sys.modules["ray"].shutdown()
        cluster.shutdown()
    assert Path("o.npz").read_bytes() == one
