from __future__ import annotations

import json
from pathlib import Path

import pytest
from dnallm_core.errors import RequirementError
from dnallm_core.resources import described, gpus, this_machine
from dnallm_core.resources.memory import host_memory
from dnallm_core.resources.nvidia import chosen, dtypes_of, nvidia_gpus, read_table
from dnallm_core.resources.rocm import amd_gpus

SMI = """\
0, GPU-aaaa, NVIDIA A100-SXM4-80GB, 81920, 40000, 8.0
1, GPU-bbbb, NVIDIA GeForce RTX 4090, 24564, 24000, 8.9
2, GPU-cccc, Tesla V100-SXM2-16GB, 16384, 16000, 7.0
3, GPU-dddd, NVIDIA GB10, [N/A], [N/A], 12.1
"""


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_this_machine_has_a_device_with_memory() -> None:
    found = this_machine()
    assert found.best.memory > 10**8
    assert "float32" in found.best.dtypes


def test_what_is_free_counts_rather_than_what_there_is() -> None:
    rows = read_table(SMI)
    assert next((device.memory, device.total) for _, device in rows) == (40000 << 20, 81920 << 20)


def test_number_formats_follow_the_compute_capability() -> None:
    assert dtypes_of((7, 0)) == ("float32", "float16")
    assert dtypes_of((8, 0)) == ("float32", "float16", "bfloat16")
    assert dtypes_of((8, 9))[-1] == "float8"


def test_a_card_in_the_table_brings_its_rates() -> None:
    rows = dict(read_table(SMI))
    assert rows["GPU-bbbb"].bandwidth == 1008e9
    assert rows["GPU-aaaa"].bandwidth == 2039e9


@pytest.mark.parametrize(
    ("visible", "names"),
    [(None, ["GPU 0", "GPU 1", "GPU 2"]), ("1", ["GPU 1"]), ("2,0", ["GPU 2", "GPU 0"]),
     ("GPU-bb", ["GPU 1"]), ("0,7,1", ["GPU 0"])],
)  # fmt: skip
def test_visible_devices_choose_as_cuda_does(visible: str | None, names: list[str]) -> None:
    assert [device.label for device in chosen(read_table(SMI), visible)] == names


def test_an_empty_list_of_visible_devices_hides_all() -> None:
    assert nvidia_gpus("", [], 10**9) == []
    assert nvidia_gpus("-1", [], 10**9) == []


def test_a_container_limit_of_version_2_holds(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 50000000 kB\n")
    write(tmp_path, "proc/self/cgroup", "0::/slice/box\n")
    write(tmp_path, "sys/fs/cgroup/slice/box/memory.max", "max\n")
    write(tmp_path, "sys/fs/cgroup/slice/memory.max", "8000000000\n")
    write(tmp_path, "sys/fs/cgroup/slice/memory.current", "3000000000\n")
    stat = "anon 1500000000\nfile 1400000000\nshmem 400000000\nslab_unreclaimable 100000000\n"
    write(tmp_path, "sys/fs/cgroup/slice/memory.stat", stat)
    assert host_memory(tmp_path) == (6_000_000_000, 8_000_000_000)


def test_a_container_limit_of_version_1_holds(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 50000000 kB\n")
    write(tmp_path, "proc/self/cgroup", "5:cpu:/x\n4:memory:/box\n")
    base = "sys/fs/cgroup/memory"
    write(tmp_path, f"{base}/box/memory.limit_in_bytes", "4000000000\n")
    write(tmp_path, f"{base}/box/memory.usage_in_bytes", "1000000000\n")
    write(tmp_path, f"{base}/memory.limit_in_bytes", str(2**63 - 4096))
    assert host_memory(tmp_path) == (3_000_000_000, 4_000_000_000)


def test_files_read_in_groups_below_do_not_fill_a_container_of_version_1(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 50000000 kB\n")
    write(tmp_path, "proc/self/cgroup", "4:memory:/box/job\n")
    base = "sys/fs/cgroup/memory/box"
    write(tmp_path, f"{base}/memory.limit_in_bytes", "8000000000\n")
    write(tmp_path, f"{base}/memory.usage_in_bytes", "7990000000\n")
    of_its_own = "rss 0\nshmem 0\ninactive_file 0\nactive_file 0\n"
    of_all = "total_rss 900000000\ntotal_shmem 100000000\ntotal_inactive_file 6000000000\n"
    write(tmp_path, f"{base}/memory.stat", of_its_own + of_all)
    assert host_memory(tmp_path) == (7_000_000_000, 8_000_000_000)


def test_without_a_container_the_kernel_says(tmp_path: Path) -> None:
    write(tmp_path, "proc/meminfo", "MemTotal: 64000000 kB\nMemAvailable: 50000000 kB\n")
    assert host_memory(tmp_path) == (51_200_000_000, 65_536_000_000)


def test_amd_cards_are_read_from_the_kernel(tmp_path: Path) -> None:
    assert amd_gpus(None, tmp_path) == []
    write(tmp_path, "dev/kfd", "")
    card = "sys/class/drm/card0/device"
    write(tmp_path, f"{card}/vendor", "0x1002\n")
    write(tmp_path, f"{card}/mem_info_vram_total", str(192 * 10**9))
    write(tmp_path, f"{card}/mem_info_vram_used", str(2 * 10**9))
    write(tmp_path, f"{card}/product_name", "AMD Instinct MI300X\n")
    (device,) = amd_gpus(None, tmp_path)
    assert (device.kind, device.memory, device.bandwidth) == ("rocm", 190 * 10**9, 5300e9)
    assert amd_gpus("1", tmp_path) == []


@pytest.mark.parametrize(
    ("typed", "name"),
    [("RTX 4090", "NVIDIA GeForce RTX 4090"), ("rtx4090", "NVIDIA GeForce RTX 4090"),
     ("NVIDIA GeForce RTX 4090", "NVIDIA GeForce RTX 4090"), ("a100 80 GB", "NVIDIA A100 80GB"),
     ("A100-SXM4-80GB", "NVIDIA A100 80GB"), ("Tesla T4", "NVIDIA T4"), ("H100", "NVIDIA H100 SXM")],
)  # fmt: skip
def test_cards_are_found_as_people_call_them(typed: str, name: str) -> None:
    assert gpus.find(typed).name == name


def test_every_card_states_its_source_and_no_name_is_used_twice() -> None:
    table = json.loads((Path(gpus.__file__).parent / "gpus.json").read_text())["gpus"]
    assert all(row["source"] and row["memory_gb"] > 0 for row in table)
    names = [gpus._key(name) for row in table for name in {row["name"], *row["aliases"]}]
    duplicates = {name for name in names if names.count(name) > 1}
    owners = {name: {gpus.find(row["name"]).name for row in table
                     for each in (row["name"], *row["aliases"]) if gpus._key(each) == name}
              for name in duplicates}  # fmt: skip
    assert all(len(each) == 1 for each in owners.values()), owners


def test_memory_alone_is_a_device_with_bfloat16_and_without_fp8() -> None:
    device = described(memory=24 * 10**9).best
    assert device.memory == 24 * 10**9
    assert "bfloat16" in device.dtypes
    assert "float8" not in device.dtypes


def test_a_card_may_have_less_to_use() -> None:
    device = described(memory=20 * 10**9, gpu="RTX 4090").best
    assert (device.memory, device.total) == (20 * 10**9, 24 * 10**9)


def test_devices_alone_are_refused() -> None:
    with pytest.raises(RequirementError, match="devices needs memory or gpu"):
        described(devices=4)


def test_the_same_card_four_times() -> None:
    assert [device.label for device in described(gpu="T4", devices=4).devices] == [
        "GPU 0", "GPU 1", "GPU 2", "GPU 3",
    ]  # fmt: skip


def test_what_of_a_card_was_seen_nowhere_is_said() -> None:
    from dnallm_core.resources.gpus import find

    assert find("A30").basis.endswith("; from memory, not checked")
    assert described(gpu="A30").problems == (
        "The figures of NVIDIA A30 are from memory: no source that states them was seen.",
    )
    assert not described(gpu="L40").problems
    assert find("GH200").basis.endswith("; its bandwidth and rates were seen nowhere")
    assert "nowhere" not in find("L40").basis
