"""From a published id to numbers: a stranger's plugin, a hub, a download, the authors' values.

The published repository is a golden checkpoint of the Caduceus family, whose network the stranger's
plugin takes from where it is implemented; without that plugin there is nothing to test here.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from dnallm_core.cli.main import run
from dnallm_core.errors import IntegrityError, WeightsUnavailableError

import dnallm_core

GOLDEN = Path(__file__).parents[3] / "plugins/dnallm-mamba/tests/golden/caduceus/ps"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
MANIFEST = """\
schema = 1
api = ">=1,<2"

[families.lab-caduceus]
title = "Caduceus of a lab"
architecture = "state-space"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "lab_plugin.network:Network"
scaling = {{ time = "linear", memory = "linear" }}
tasks = ["embedding", "masked-prediction"]
resolution = 1.0
special_tokens_in_mean = false
max_length = 1_000
[families.lab-caduceus.tokenizer]
kind = "character"
vocabulary = [
    "[CLS]", "[SEP]", "[BOS]", "[MASK]", "[PAD]", "[RESERVED]", "[UNK]", "A", "C", "G", "T", "N",
]
suffix = ["[SEP]"]
unknown = "[UNK]"
pad = "[PAD]"
mask = "[MASK]"

[models.lab-caduceus-1]
family = "lab-caduceus"
aliases = ["lab/caduceus"]
check = "facts/checks.json"
[models.lab-caduceus-1.weights]
hub = "lab/caduceus"
revision = "{commit}"
files = [
    {{ name = "config.json" }},
    {{ name = "model.safetensors", bytes = {bytes}, sha256 = "{sha256}" }},
]
"""


@pytest.fixture
def case():
    """Sequences and, for each, the authors' logits and mean state, without special tokens."""
    pytest.importorskip("dnallm_mamba")
    if not GOLDEN.is_dir():
        pytest.skip("needs the golden checkpoints of the plugin that implements Caduceus")
    stated = json.loads((GOLDEN / "inputs.json").read_text())["cases"]["bases"]
    with np.load(GOLDEN / "expected.npz") as arrays:
        states, logits = arrays["bases.last_hidden_state"], arrays["bases.logits"]
    return stated["sequences"][0], logits[0], states[0].mean(axis=0)


@pytest.fixture
def published(hub, cache, laboratory, case):
    """Publish the golden, and install a plugin with these check values."""
    weights = (GOLDEN / "model.safetensors").read_bytes()
    hub.publish(
        {
            "config.json": (GOLDEN / "config.json").read_bytes(),
            "model.safetensors": weights,
            "README.md": b"a model",
        },
        "lab/caduceus",
    )

    def install(values) -> None:
        vectors = [
            {
                "sequence": case[0],
                "pooling": "mean",
                "values": [float(value) for value in values],
                "source": "the authors' code",
            }
        ]
        laboratory.install(
            "lab-plugin",
            package="lab_plugin",
            manifest=MANIFEST.format(
                commit=COMMIT, bytes=len(weights), sha256=hashlib.sha256(weights).hexdigest()
            ),
            files={
                "network.py": "from dnallm_mamba.caduceus import Caduceus as Network\n",
                "facts/checks.json": json.dumps({"lab-caduceus-1": vectors}),
            },
        )

    return install


def test_a_published_id_gives_the_authors_numbers(published, case, hub, cache, monkeypatch):
    sequence, logits, mean = case
    published(mean)
    model = dnallm_core.load("lab/caduceus", device="cpu", dtype="float32")
    assert model.manifest.id == "lab-caduceus-1"
    assert model.provenance["hub"] == "lab/caduceus"
    assert model.provenance["revision"] == COMMIT
    assert set(model.provenance["files"]) == {"config.json", "model.safetensors"}
    assert "README.md" not in hub.sent
    scale = max(1.0, float(np.abs(logits).max()))
    assert np.abs(model.logits([sequence], special_tokens=False)[0] - logits).max() <= 2e-5 * scale
    assert np.abs(model.embed([sequence])[0] - mean).max() <= 2e-5 * np.abs(mean).max()
    (verdict,) = (cache / "checks").iterdir()
    assert json.loads(verdict.read_text())["passed"]

    def never(*_, **__):
        raise AssertionError("asked again")

    monkeypatch.setattr(type(model), "embed", never)
    hub.requests.clear()
    dnallm_core.load("lab-caduceus-1", device="cpu", dtype="float32", offline=True)
    assert hub.requests == []


def test_wrong_check_values_refuse_the_model_unless_it_is_told_not_to_check(
    published, case, hub, cache
):
    _sequence, _logits, mean = case
    wrong = mean.copy()
    wrong[3] += 0.5 * np.abs(mean).max()
    published(wrong)
    with pytest.raises(IntegrityError, match=r"lab-caduceus-1 does not give .* off by 0\.\d+ of"):
        dnallm_core.load("lab-caduceus-1", device="cpu", dtype="float32")
    dnallm_core.load("lab-caduceus-1", device="cpu", dtype="float32", check=False)


def test_pull_downloads_checks_and_prints_where_it_lies(published, case, hub, cache, capsys):
    published(case[2])
    assert run(["pull", "lab-caduceus-1", "--json"]) == 0
    (pulled,) = json.loads(capsys.readouterr().out)["models"]
    assert pulled["check"]["passed"]
    assert (Path(pulled["folder"]) / "model.safetensors").is_file()
    assert (pulled["hub"], pulled["revision"], pulled["error"]) == ("lab/caduceus", COMMIT, None)


def test_pull_refuses_wrong_numbers_with_exit_code_3_and_no_check_takes_them(
    published, case, hub, cache, capsys
):
    published(case[2] + 1)
    assert run(["pull", "lab-caduceus-1"]) == 3
    assert "does not give its authors' numbers" in capsys.readouterr().err
    assert run(["pull", "lab-caduceus-1", "--no-check"]) == 0


def test_a_repository_of_another_network_is_said_to_hold_other_weights(published, case, hub, cache):
    published(case[2])
    hub.publish({"config.json": b"{}", "flax_model.msgpack": b"x"}, "lab/caduceus")
    with pytest.raises(
        WeightsUnavailableError, match=r"It holds config\.json, flax_model\.msgpack"
    ):
        dnallm_core.load("lab-caduceus-1", device="cpu")
