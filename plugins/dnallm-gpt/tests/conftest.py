"""Tiny checkpoints with random weights, each in the layout in which its authors publish theirs."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
)

from dnallm_core import load

_GROUPED = {
    "vocab_size": 40,
    "hidden_size": 24,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 3,
}
STOCK = {
    "plant-dnagpt": (
        GPT2LMHeadModel,
        GPT2Config(
            vocab_size=40,
            n_positions=64,
            n_embd=24,
            n_layer=2,
            n_head=4,
            bos_token_id=1,
            eos_token_id=2,
        ),
    ),
    "plant-dnagemma": (GemmaForCausalLM, GemmaConfig(**_GROUPED, head_dim=8)),
    "generator": (
        LlamaForCausalLM,
        LlamaConfig(**{**_GROUPED, "vocab_size": 4128}, rms_norm_eps=1e-5),
    ),
    "generator-v2": (LlamaForCausalLM, LlamaConfig(**{**_GROUPED, "vocab_size": 4128})),
    "metagene": (LlamaForCausalLM, LlamaConfig(**_GROUPED)),
    "genomeocean": (
        MistralForCausalLM,
        MistralConfig(**_GROUPED, head_dim=10, sliding_window=None, rms_norm_eps=1e-5),
    ),
    "mistral-dna": (
        MixtralForCausalLM,
        MixtralConfig(**_GROUPED, num_local_experts=4, num_experts_per_tok=2),
    ),
}
FAMILIES = (*STOCK, "dnagpt", "omni-dna")
DNAGPT = {
    "vocab_size": 40,
    "max_len": 64,
    "num_layers": 2,
    "num_heads": 4,
    "embedding_dim": 24,
    "bias": False,
}
OLMO = {
    "model_type": "olmo-gfm",
    "vocab_size": 40,
    "embedding_size": 40,
    "d_model": 24,
    "n_layers": 2,
    "n_heads": 4,
    "mlp_ratio": 8,
    "layer_norm_type": "rms",
    "layer_norm_with_affine": True,
    "max_sequence_length": 64,
    "weight_tying": True,
    "rope": True,
}


def _own(family: str, folder: Path) -> None:
    torch.manual_seed(3)
    width, rows = 24, 40
    if family == "dnagpt":
        state = {"transformer.wte.weight": (rows, width), "transformer.wpe.weight": (64, width)}
        for layer in range(2):
            at = f"transformer.h.{layer}."
            state |= {f"{at}ln_1.weight": (width,), f"{at}ln_2.weight": (width,)}
            state |= {f"{at}attn.c_attn.weight": (3 * width, width)}
            state |= {f"{at}attn.c_proj.weight": (width, width)}
            state |= {f"{at}mlp.c_fc.weight": (4 * width, width)}
            state |= {f"{at}mlp.c_proj.weight": (width, 4 * width)}
        state["transformer.ln_f.weight"] = (width,)
        for name, inputs, outputs in (
            ("number_embedding", 1, width),
            ("mlm_head", width, rows),
            ("num_regression", width, 1),
        ):
            state |= {f"{name}.0.weight": (width, inputs), f"{name}.2.weight": (width,)}
            state |= {f"{name}.3.weight": (outputs, width)}
        tensors = {key: torch.randn(shape) * 0.3 for key, shape in state.items()}
        torch.save({"model": tensors}, folder / "dna_gpt.pth")
        return
    state = {
        "model.transformer.wte.weight": (rows, width),
        "model.transformer.ln_f.weight": (width,),
    }
    for layer in range(2):
        at = f"model.transformer.blocks.{layer}."
        state |= {f"{at}attn_norm.weight": (width,), f"{at}ff_norm.weight": (width,)}
        state |= {
            f"{at}att_proj.weight": (3 * width, width),
            f"{at}attn_out.weight": (width, width),
        }
        state |= {
            f"{at}ff_proj.weight": (8 * width, width),
            f"{at}ff_out.weight": (width, 4 * width),
        }
    save_file(
        {key: torch.randn(shape) * 0.3 for key, shape in state.items()},
        folder / "model.safetensors",
    )
    (folder / "config.json").write_text(json.dumps(OLMO))


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Family id -> a folder with a tiny checkpoint of it."""
    made = {}
    for family in FAMILIES:
        folder = tmp_path_factory.mktemp(family)
        if family in STOCK:
            kind, config = STOCK[family]
            torch.manual_seed(2)
            network = kind(copy.deepcopy(config))
            for parameter in network.parameters():
                torch.nn.init.normal_(parameter, std=0.3)
            network.save_pretrained(folder)
        else:
            _own(family, folder)
        made[family] = folder
    return made


@pytest.fixture(scope="session")
def arguments():
    """Family id -> the settings that stand in no file."""
    return {"dnagpt": DNAGPT}


@pytest.fixture(scope="session")
def stock():
    """Family id -> the class of ``transformers`` with the same network."""
    return {family: kind for family, (kind, _) in STOCK.items()}


@pytest.fixture(scope="session")
def models(folders, arguments):
    """Family id -> the tiny checkpoint, loaded."""
    return {
        family: load(
            family, weights=folder, config=arguments.get(family), device="cpu", dtype="float32"
        )
        for family, folder in folders.items()
    }


@pytest.fixture(params=FAMILIES)
def family(request):
    """Each family in turn."""
    return request.param


@pytest.fixture
def model(models, family):
    """Each family's tiny model in turn."""
    return models[family]
