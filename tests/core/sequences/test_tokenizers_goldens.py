"""Every family's tokenizer gives the ids that its authors' own code gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dnallm_core.sequences.tokenizers import tokenizer_for

HERE = Path(__file__).parent
CARRIED = {
    path.relative_to(HERE / "golden").parent.as_posix(): path
    for path in sorted((HERE / "golden").glob("*/*/tokens.json"))
}
BESIDE = next(
    (each / "shared" / "golden" for each in HERE.parents if (each / "shared" / "golden").is_dir()),
    HERE / "nowhere",
)
ROWS = {
    "caduceus": 16, "hyenadna": 16, "plantcaduceus": 8, "plantcad2": 8, "gpn": 7, "gpn-msa": 6,
    "phylogpn": 6, "evo-1": 512, "evo-2": 512, "dnabert": 4101, "dnabert-2": 4096,
    "dnabert-s": 4096, "grover": 609, "nucleotide-transformer-v1": 4105,
    "nucleotide-transformer-v2": 4107, "dnagpt": 15659, "generator": 4128, "plant-dnabert": 11,
    "plant-dnagpt": 11, "plant-dnamamba": 11,
}  # fmt: skip
NEEDS_FILE = {"byte-pair"}


def cases(path: Path) -> list[dict]:
    return json.loads(path.read_text())["cases"]


@pytest.mark.parametrize("golden", CARRIED)
def test_the_manifest_alone_gives_the_authors_ids(golden: str, tables: dict) -> None:
    family = golden.split("/")[0]
    table = tables[family]
    if isinstance(table, dict) and table["kind"] in NEEDS_FILE:
        pytest.skip("this vocabulary is in the authors' own file, which isn't ours to carry")
    tokenizer = tokenizer_for(table, vocabulary_size=ROWS[family])
    for case in cases(CARRIED[golden]):
        found = tokenizer.encode(case["sequence"], special_tokens=case["special_tokens"])
        assert found.ids == case["ids"], case["sequence"]


@pytest.mark.parametrize(
    "folder", sorted(BESIDE.glob("*/*/inputs.json")), ids=lambda path: "/".join(path.parts[-3:-1])
)
def test_a_checkpoints_folder_gives_the_authors_ids(folder: Path, tables: dict) -> None:
    folder = folder.parent
    family = folder.parent.name
    tokenizer = tokenizer_for(tables[family], folder=folder, vocabulary_size=ROWS[family])
    compared = 0
    tokens = folder / "tokens.json"
    for case in cases(tokens) if tokens.is_file() else ():
        found = tokenizer.encode(case["sequence"], special_tokens=case["special_tokens"])
        assert found.ids == case["ids"], case["sequence"]
        compared += 1
    for name, case in json.loads((folder / "inputs.json").read_text())["cases"].items():
        # The standalone HyenaDNA layout has no tokenizer files; its cases are bare letters.
        bare = family == "hyenadna" and not (folder / "tokenizer_config.json").is_file()
        wraps = case.get("special_tokens", not bare)
        masks = case.get("attention_mask") or [None] * len(case["input_ids"])
        if "sequences" not in case:
            continue
        for sequence, ids, mask in zip(case["sequences"], case["input_ids"], masks, strict=True):
            real = [each for each, kept in zip(ids, mask or [1] * len(ids), strict=True) if kept]
            found = tokenizer.encode(sequence, special_tokens=wraps)
            padding = [tokenizer.pad_id] * (len(real) - len(found.ids))
            assert found.ids + padding == real, (name, sequence)
            assert len(found.offsets) == len(found.ids)
            compared += 1
    assert compared or folder.parent.name.startswith("plant-")
