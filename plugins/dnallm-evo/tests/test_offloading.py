"""Networks that lie in parts on several devices give the answers of the whole: as far as a CPU shows.

accelerate's hooks are the same for every device: here blocks lie on disk, or in main memory with the
CPU in the place of a GPU, and are brought in when their turn comes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from dnallm_core.errors import RequirementError
from dnallm_core.models.fingerprint import fingerprint

import dnallm_core

accelerate = pytest.importorskip("accelerate")

GOLDEN = Path(__file__).parent / "golden"
CASES = {"evo-1": GOLDEN / "evo-1/evo1_8k", "evo-2": GOLDEN / "evo-2/evo2_1b_like"}
PROMPT = "ACGTTGCATCGATTAGC" * 3


def load(family: str, dtype: str = "float32", **more: Any) -> Any:
    return dnallm_core.load(family, weights=CASES[family], dtype=dtype, **more)


def answers(model: Any) -> tuple[torch.Tensor, list[str], list[float]]:
    """Logits whole and in two pieces with carried state, generated bases, a score."""
    ids = torch.tensor([model.tokenizer.encode(PROMPT).ids], device=model.device)
    with torch.inference_mode():
        first, state = model.advance(ids[:, :30])
        second, _ = model.advance(ids[:, 30:], state)
    drawn = model.generate([PROMPT], max_new_bases=12, seed=1)
    pieces = torch.cat([first, second], dim=1)
    return pieces, [each.sequence for each in drawn], list(model.score([PROMPT]))


def agree(one: Any, other: Any) -> bool:
    return torch.equal(one[0], other[0]) and one[1:] == other[1:]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", CASES)
def test_blocks_on_disk_answer_as_blocks_in_memory(family: str, dtype: str, tmp_path: Path) -> None:
    count = len(load(family).module.blocks)
    places = {"": "cpu", **{f"blocks.{i}": "disk" for i in range(1, count)}}
    spread = load(family, dtype, device_map=places, offload_folder=tmp_path / "disk")
    held = {name for name, each in spread.module.named_parameters() if not each.is_meta}
    assert all(not name.startswith("blocks.") or name.startswith("blocks.0.") for name in held)
    on_disk = sum(each.stat().st_size for each in (tmp_path / "disk").glob("*.dat"))
    assert on_disk > 0.5 * sum(
        each.numel() * each.element_size() for each in load(family, dtype).module.parameters()
    )
    assert agree(answers(spread), answers(load(family, dtype)))
    with pytest.raises(RequirementError, match="a divided run needs their hash"):
        fingerprint(spread)
    assert spread.provenance["device_map"] == f"cpu: 1, disk: {count - 1}"


@pytest.mark.parametrize("family", CASES)
def test_weights_that_are_brought_to_the_device_a_block_at_a_time_give_the_same(
    family: str,
) -> None:
    whole, offloaded = load(family), load(family)
    accelerate.cpu_offload(offloaded.module, execution_device="cpu")  # the CPU stands for a GPU
    assert all(each.is_meta for each in offloaded.module.parameters())
    offloaded_device = property(lambda model: torch.device("cpu"))
    kind = type("Offloaded", (type(offloaded),), {"device": offloaded_device})
    offloaded.__class__ = kind
    assert agree(answers(offloaded), answers(whole))


def test_an_automatic_map_of_a_machine_without_gpus_is_its_memory() -> None:
    model = load("evo-2", device_map="auto")
    assert {str(each.device) for each in model.module.parameters()} == {"cpu"}
    assert agree(answers(model), answers(load("evo-2")))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_what_goes_to_disk_never_lies_in_memory(tmp_path: Path) -> None:
    """A network of 0.13 GB in float32, from a file in bfloat16, is loaded in a fresh process."""
    program = f"""
import json, pathlib, torch, yaml
from dnallm_evo.evo import Evo2, StripedHyena2
settings = yaml.safe_load(pathlib.Path({str(CASES["evo-2"] / "evo2-1b-8k.yml")!r}).read_text())
settings |= dict(hidden_size=512, num_attention_heads=4, inner_mlp_size=2048)
settings |= dict(hcs_filter_groups=16, hcm_filter_groups=16, hcl_filter_groups=512)
config = Evo2.read_config(None, settings, None)
with torch.device("meta"):
    network = StripedHyena2(config)
folder = pathlib.Path({str(tmp_path)!r})
exact = ("log_poles", "residues", "inv_freq")
torch.save({{name: torch.zeros(each.shape, dtype=torch.float32 if name.endswith(exact) else
    torch.bfloat16) for name, each in network.state_dict().items()}}, folder / "evo2.pt")
(folder / "evo2.yml").write_text(yaml.safe_dump(settings))
import dnallm_core, accelerate, transformers
def anonymous():
    lines = pathlib.Path("/proc/self/status").read_text().splitlines()
    return next(int(each.split()[1]) for each in lines if each.startswith("RssAnon")) * 1024
del network
before = anonymous()
places = {{"": "cpu", **{{f"blocks.{{i}}": "disk" for i in range(1, config.num_layers)}}}}
model = dnallm_core.load("evo-2", weights=folder, dtype="float32", device_map=places)
stored = 4 * sum(each.numel() for each in model.module.parameters())
print(json.dumps([stored, anonymous() - before]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    stored, grown = json.loads(done.stdout.splitlines()[-1])
    assert stored > 1e8
    assert grown < 0.5 * stored  # one block of eight stays, and what Python itself takes


@pytest.mark.parametrize(
    ("places", "words"),
    [
        ({"blocks.99": "cpu", "": "cpu"}, "no part blocks.99"),
        ({"blocks": "cpu"}, "nowhere"),
        ({"": "disk"}, "the embedding, by which inputs enter, must lie on cpu"),
        ({"": "cuda:9"}, "no device 'cuda:9' here"),
        ("balanced", "no device map"),
    ],
)
def test_a_map_that_cannot_be_is_refused_in_a_sentence(places: Any, words: str) -> None:
    with pytest.raises(RequirementError, match=words):
        load("evo-1", device_map=places)


def test_a_device_a_quantisation_and_a_map_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(RequirementError, match="Give a device, where one holds"):
        load("evo-1", device_map="auto", device="cpu")
    with pytest.raises(RequirementError, match="a quantisation or a device map, not both"):
        load("evo-1", device_map="auto", quantisation="int8")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(RequirementError, match="needs accelerate, which is not installed"):
        load("evo-1", device_map="auto")
