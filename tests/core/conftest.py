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
from dnallm_core.models import Embeds, Model, PredictsBases


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


InstallToy = Callable[..., Path]
