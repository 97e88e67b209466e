"""A plugin as a stranger would install it: a package and its metadata, laid into a folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

MANIFEST = """\
schema = 1
api = ">=1,<2"

[families.toy]
title = "Toy"
architecture = "encoder-transformer"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "toy_plugin.network:Toy"

scaling = { time = "quadratic", memory = "quadratic" }
tasks = ["embedding", "token-embedding", "scoring", "variant-effect", "masked-prediction"]
resolution = 1.0
max_length = 64
licence = { id = "MIT", commercial = true }
trained_on = { domains = ["virus"] }

[families.toy-causal]
title = "Toy, causal"
architecture = "decoder-transformer"
direction = "causal"
objective = "causal-language-modelling"
implementation = "toy_plugin.network:ToyCausal"
scaling = { time = "quadratic", memory = "quadratic" }
tasks = ["embedding", "token-embedding", "scoring", "variant-effect", "generation"]
resolution = 1.0
max_length = 200
tokenizer = { kind = "character", vocabulary = ["[PAD]", "[BOS]", "[UNK]", "A", "C", "G", "T", "N"], \
unknown = "[UNK]", pad = "[PAD]", prefix = ["[BOS]"], special = ["[BOS]"] }

[families.toy.tokenizer]
kind = "character"
vocabulary = ["[PAD]", "[MASK]", "[UNK]", "A", "C", "G", "T", "N"]
unknown = "[UNK]"
pad = "[PAD]"
mask = "[MASK]"

[models.toy-1]
family = "toy"
aliases = ["someone/Toy-1"]
parameters = 6_520
weights = { bundled = "weights" }
"""

NETWORK = '''\
"""A toy network: stock BERT, as small as it goes."""
import copy

from dnallm_core.models import Advance, CarriesState, Embeds, Model, PredictsBases


class Toy(PredictsBases, Embeds, Model):
    @classmethod
    def read_config(cls, folder, arguments, shapes):
        from transformers import BertConfig
        settings = dict(vocab_size=8, hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
                        intermediate_size=32, max_position_embeddings=64)
        settings.update(folder.config if folder else {})
        settings.update(arguments)
        return BertConfig(**settings)

    @classmethod
    def build(cls, config):
        from transformers import BertForMaskedLM
        return BertForMaskedLM(config)

    def token_states(self, inputs, layer=-1):
        return self.module(**inputs, output_hidden_states=True).hidden_states[layer]


class ToyCausal(PredictsBases, Embeds, CarriesState, Model):
    @classmethod
    def read_config(cls, folder, arguments, shapes):
        from transformers import GPT2Config
        settings = dict(vocab_size=8, n_embd=16, n_layer=2, n_head=2, n_positions=40_000)
        settings.update(folder.config if folder else {})
        return GPT2Config(**settings)

    @classmethod
    def build(cls, config):
        from transformers import GPT2LMHeadModel
        return GPT2LMHeadModel(config)

    def token_states(self, inputs, layer=-1):
        return self.module(**inputs, output_hidden_states=True).hidden_states[layer]

    def advance(self, input_ids, state=None):
        found = self.module(input_ids=input_ids, past_key_values=state, use_cache=True)
        return Advance(found.logits, found.past_key_values)

    def select_rows(self, state, rows):
        state = copy.deepcopy(state)
        state.batch_select_indices(rows)
        return state
'''


class Laboratory:
    """A folder on ``sys.path`` into which plugins are laid, as an installer would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        distribution: str = "toy-plugin",
        *,
        version: str = "0.1",
        package: str = "toy_plugin",
        manifest: str | bytes | None = MANIFEST,
        entry: str | None = None,
        files: dict[str, str] | None = None,
        extra_entries: str = "",
    ) -> Path:
        """Lay a distribution into the folder and return its package."""
        home = self.folder / package
        home.mkdir(exist_ok=True)
        (home / "__init__.py").write_text("")
        if manifest is not None:
            content = manifest if isinstance(manifest, bytes) else manifest.encode()
            (home / "dnallm.toml").write_bytes(content)
        for name, text in {"network.py": NETWORK, **(files or {})}.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text(text)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        value = f"{package}:dnallm.toml" if entry is None else entry
        (info / "entry_points.txt").write_text(
            f"[dnallm.manifests]\n{package} = {value}\n\n{extra_entries}"
        )
        return home


@pytest.fixture
def laboratory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Laboratory:
    """A folder for plugins, on the path, with the user's own cache out of reach."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("DNALLM_ONLY", raising=False)
    before = set(sys.modules)
    yield Laboratory(folder)
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(folder) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


@pytest.fixture
def toy(laboratory: Laboratory, tmp_path: Path) -> Callable[..., object]:
    """Load a toy model with random weights: ``toy("toy")`` masked, ``toy("toy-causal")`` causal."""

    def make(family: str = "toy", seed: int = 0, spread: float = 0.6) -> object:
        import torch
        from dnallm_core.loading import build, find_implementation
        from safetensors.torch import save_file

        import dnallm_core

        laboratory.install()
        facts = dnallm_core.catalog().family(family)
        assert facts is not None
        implementation = find_implementation(facts)
        meta = build(implementation, implementation.read_config(None, {}, None))
        generator = torch.Generator().manual_seed(seed)
        seen: set[int] = set()
        tensors = {}
        for name, tensor in meta.state_dict(keep_vars=True).items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                tensors[name] = spread * torch.randn(tensor.shape, generator=generator)
        folder = tmp_path / f"{family}-{seed}"
        folder.mkdir()
        save_file(tensors, folder / "model.safetensors")
        return dnallm_core.load(family, weights=folder, device="cpu", dtype="float32")

    return make
