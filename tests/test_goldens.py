"""Every golden that lies beside the checkout: the authors' own numbers, through ``load``.

The plugins carry the cases that prove them on a clone alone; this runs all there are, also those
that nobody has seen yet, and skips where the folder is absent.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT.parent / "shared" / "golden"
CASES = sorted(each.parent for each in GOLDEN.glob("*/*/about.json")) if GOLDEN.is_dir() else []
ARRAYS = ("aux_features", "numbers", "number_loc", "number_block")

pytestmark = pytest.mark.skipif(not CASES, reason="no goldens beside the checkout")


def _id(folder):
    return f"{folder.parent.name}/{folder.name}"


@pytest.fixture(scope="module")
def loaded():
    """Each golden's model, loaded once."""
    import dnallm_core

    models = {}

    def load(folder):
        if folder not in models:
            about = json.loads((folder / "about.json").read_text())
            models.clear()
            models[folder] = dnallm_core.load(
                about["family"],
                weights=folder,
                config=about.get("arguments"),
                device="cpu",
                dtype="float32",
            )
        return models[folder]

    return load


def _inputs(folder, name, case):
    import torch

    found = {"input_ids": torch.tensor(case["input_ids"])}
    if "attention_mask" in case:
        found["attention_mask"] = torch.tensor(case["attention_mask"])
    arrays = np.load(folder / "inputs.npz") if (folder / "inputs.npz").exists() else {}
    for array in ARRAYS:
        if array in case:
            found[array] = torch.tensor(case[array])
        elif f"{name}.{array}" in arrays:
            found[array] = torch.from_numpy(arrays[f"{name}.{array}"])
    return found


@pytest.mark.parametrize("folder", CASES, ids=_id)
def test_the_network_gives_the_authors_numbers(loaded, folder):
    import torch

    about = json.loads((folder / "about.json").read_text())
    tolerance = about["tolerance"]
    model = loaded(folder)
    expected = np.load(folder / "expected.npz")
    cases = json.loads((folder / "inputs.json").read_text())["cases"]
    compared, worst = 0, 0.0
    for name, case in cases.items():
        with torch.inference_mode():
            found = model.module(**_inputs(folder, name, case))
        mask = np.array(case.get("attention_mask", [])) if "attention_mask" in case else None
        for array in ("logits", "last_hidden_state", "pooler_output", "num"):
            if f"{name}.{array}" not in expected or getattr(found, array, None) is None:
                assert f"{name}.{array}" not in expected or array not in (
                    "logits",
                    "last_hidden_state",
                ), f"{name}: the network gives no {array}"
                continue
            wanted = expected[f"{name}.{array}"]
            given = getattr(found, array).float().numpy()
            assert given.shape == wanted.shape, (name, array)
            if mask is not None and mask.shape == wanted.shape[:2]:
                given, wanted = given[mask == 1], wanted[mask == 1]
            scale = max(1.0, float(np.abs(wanted).max()))
            worst = max(worst, float(np.abs(given - wanted).max()) / scale)
            compared += 1
    assert compared > 0
    assert worst <= tolerance


@pytest.mark.parametrize(
    "folder", [each for each in CASES if (each / "tokens.json").exists()], ids=_id
)
def test_the_tokenizer_gives_the_authors_ids(loaded, folder):
    tokenizer = loaded(folder).tokenizer
    for case in json.loads((folder / "tokens.json").read_text())["cases"]:
        encoding = tokenizer.encode(case["sequence"], special_tokens=case["special_tokens"])
        assert encoding.ids == case["ids"], case["sequence"][:60]


DECODING = [
    each
    for each in CASES
    if "gen" in json.loads((each / "inputs.json").read_text()).get("cases", {})
]


@pytest.mark.parametrize("folder", DECODING, ids=_id)
def test_decoding_step_by_step_gives_the_authors_numbers(loaded, folder):
    import torch
    from dnallm_core.models import CarriesState

    about = json.loads((folder / "about.json").read_text())
    model = loaded(folder)
    assert isinstance(model, CarriesState)
    case = json.loads((folder / "inputs.json").read_text())["cases"]["gen"]
    ids = torch.tensor(case["input_ids"])
    prompt = case["prompt_length"]
    rows = []
    with torch.inference_mode():
        logits, state = model.advance(ids[:, :prompt])
        rows.append(logits)
        for at in range(prompt, ids.shape[1]):
            logits, state = model.advance(ids[:, at : at + 1], state)
            rows.append(logits)
    found = torch.cat(rows, dim=1).float().numpy()
    wanted = np.load(folder / "expected.npz")["gen.logits"]
    scale = max(1.0, float(np.abs(wanted).max()))
    assert float(np.abs(found - wanted).max()) / scale <= about["tolerance"]


@pytest.mark.parametrize("folder", DECODING, ids=_id)
def test_variants_that_share_a_pass_get_the_plain_difference_of_likelihoods(loaded, folder):
    import random

    from dnallm_core.models.carried_differences import carried_differences
    from dnallm_core.models.contig import Contig
    from dnallm_core.models.variant_windows import placed_variants

    model = loaded(folder)
    draw = random.Random(1)
    text = "".join(draw.choices("ACGT", k=300))
    variants = [(at + 1, text[at], "GATC"["ACTG".index(text[at])]) for at in range(90, 210, 17)]
    variants += [(101, text[100], text[100] + "GATTACA"), (140, text[139:149], text[139])]
    placed = placed_variants(Contig.of(text), variants, 96, causal=True, reverse=False)
    shared = carried_differences(model, placed)
    whole = [model.score([each.window, each.alternative], reduce="sum") for each in placed]
    apart = np.diff(np.array(whole))[:, 0]
    assert np.abs(apart).max() > 1e-3
    np.testing.assert_allclose(shared, apart, rtol=1e-3, atol=1e-3)
