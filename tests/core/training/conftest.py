"""Labelled sequences whose answer is known, and the command beside a toy model."""

from __future__ import annotations

import random

import pytest


def planted(count, length=40, seed=0):
    """(sequence, label): "yes" where GATTACA stands in it."""
    chooser = random.Random(seed)
    rows = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        if number % 2:
            at = chooser.randrange(length - 7)
            letters[at : at + 7] = "GATTACA"
        rows.append(("".join(letters), "yes" if number % 2 else "no"))
    return rows


def ordered(count, length=40, gap=6, seed=0):
    """(sequence, label): the same two motifs in all, "yes" where the first stands before the second.

    Spacing is the same in both, so that no count of short k-mers tells them apart.
    """
    chooser = random.Random(seed)
    rows = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        first, second = ("GATTACA", "CCTGTGG") if number % 2 else ("CCTGTGG", "GATTACA")
        at = chooser.randrange(length - 14 - gap)
        letters[at : at + 7] = first
        letters[at + 7 + gap : at + 14 + gap] = second
        rows.append(("".join(letters), "yes" if number % 2 else "no"))
    return rows


@pytest.fixture
def write_rows(tmp_path):
    """Write (sequence, label) rows as a table."""

    def write(rows, name="train.csv", header="sequence,label"):
        path = tmp_path / name
        path.write_text("\n".join([header, *(f"{a},{b}" for a, b in rows)]) + "\n")
        return path

    return write


@pytest.fixture
def motif():
    """Rows with a planted motif."""
    return planted


@pytest.fixture
def order():
    """Rows where the order of two motifs is the label."""
    return ordered


@pytest.fixture
def command(toy, tmp_path, monkeypatch, capsys):
    """Run the command in this process beside a toy checkpoint."""
    from dnallm_core.cli.main import run

    toy("toy")
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def call(*arguments):
        code = run([str(each) for each in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


CONVOLUTION = '''\
"""A convolutional network, as small as learns where motifs stand."""
import torch
from dnallm_core.models import Embeds, Model
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput


class ConvolutionConfig(PreTrainedConfig):
    model_type = "toy-convolution"

    def __init__(self, width=32, vocab_size=8, **more):
        super().__init__(**more)
        self.width, self.vocab_size = width, vocab_size


class ConvolutionNetwork(PreTrainedModel):
    config_class = ConvolutionConfig

    def __init__(self, config):
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.width)
        self.near = nn.Conv1d(config.width, config.width, 9, padding=4)
        self.far = nn.Conv1d(config.width, config.width, 21, padding=10)
        self.mix = nn.Linear(config.width, config.width)
        self.post_init()

    def forward(self, input_ids, attention_mask=None, output_hidden_states=False):
        states = self.embedding(input_ids)
        kept = 1.0 if attention_mask is None else attention_mask[..., None].to(states)
        for layer in (self.near, self.far):
            states = layer((states * kept).transpose(1, 2)).relu().transpose(1, 2)
        return BaseModelOutput(last_hidden_state=self.mix(states).relu())


class Convolution(Embeds, Model):
    @classmethod
    def read_config(cls, folder, arguments, shapes):
        return ConvolutionConfig(**arguments)

    @classmethod
    def build(cls, config):
        return ConvolutionNetwork(config)
'''
MANIFEST = """\
schema = 1
api = ">=1,<2"

[families.convolution]
title = "Convolution"
architecture = "convolutional"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "convolution_plugin.network:Convolution"
scaling = { time = "linear", memory = "linear" }
tasks = ["embedding", "token-embedding"]
resolution = 1.0
max_length = 1000
licence = { id = "MIT", commercial = true }
trained_on = { domains = ["virus"] }

[families.convolution.tokenizer]
kind = "character"
vocabulary = ["[PAD]", "[MASK]", "[UNK]", "A", "C", "G", "T", "N"]
unknown = "[UNK]"
pad = "[PAD]"
mask = "[MASK]"
"""


@pytest.fixture
def convolution(laboratory, tmp_path):
    """A small convolutional network with random weights; its checkpoint is ``convolution/``."""
    import torch
    from dnallm_core.loading import build, find_implementation
    from safetensors.torch import save_file

    import dnallm_core

    laboratory.install(
        "convolution-plugin",
        package="convolution_plugin",
        manifest=MANIFEST,
        files={"network.py": CONVOLUTION},
    )
    implementation = find_implementation(dnallm_core.catalog().family("convolution"))
    meta = build(implementation, implementation.read_config(None, {}, None))
    generator = torch.Generator().manual_seed(0)
    folder = tmp_path / "convolution"
    folder.mkdir()
    tensors = {
        name: torch.randn(each.shape, generator=generator)
        / (each[0].numel() ** 0.5 if each.dim() > 1 and "embedding" not in name else 1.0)
        for name, each in meta.state_dict().items()
    }
    save_file(tensors, folder / "model.safetensors")

    def make():
        return dnallm_core.load("convolution", weights=folder, device="cpu", dtype="float32")

    return make
