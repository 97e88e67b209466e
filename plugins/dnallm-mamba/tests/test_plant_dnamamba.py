"""Plant DNAMamba: transformers' numbers, streams of constant memory, generation, what is refused."""

from __future__ import annotations

import pytest
import torch
from dnallm_core.errors import CheckpointError
from dnallm_mamba import mamba
from dnallm_mamba.plant_dnamamba import PlantDNAMamba, PlantDNAMambaForCausalLM
from dnallm_mamba.scan import engines
from transformers import MambaConfig, MambaForCausalLM

CASE = "plant-dnamamba/tied"


def family(module):
    model = PlantDNAMamba.__new__(PlantDNAMamba)
    model.module = module
    return model


def small():
    torch.manual_seed(0)
    config = MambaConfig(hidden_size=32, num_hidden_layers=2, vocab_size=11, state_size=8)
    return PlantDNAMambaForCausalLM(config).eval()


@pytest.mark.parametrize("engine", ["plain", "native"])
def test_the_outputs_of_transformers_are_reproduced(network, deviation, engine, monkeypatch):
    monkeypatch.setenv(engines.VARIABLE, engine)
    worst, tolerance = deviation(network(CASE), CASE)
    assert worst <= tolerance


def test_the_stock_class_with_the_same_weights_gives_the_same_states_and_logits():
    module = small()
    stock = MambaForCausalLM(module.config).eval()
    stock.load_state_dict(module.state_dict())
    ids = torch.randint(4, 9, (2, 20), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours = module(ids, output_hidden_states=True)
        theirs = stock(ids, output_hidden_states=True)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-4, atol=1e-5)
    assert len(ours.hidden_states) == 3
    assert torch.equal(ours.hidden_states[0], module.get_input_embeddings()(ids))
    torch.testing.assert_close(ours.hidden_states[1], theirs.hidden_states[0])
    assert torch.equal(ours.hidden_states[-1], ours.last_hidden_state)


@pytest.mark.parametrize("cuts", [[1] * 30, [2, 3, 25], [29, 1]], ids=str)
def test_a_stream_in_any_chunks_gives_the_logits_of_the_whole(network, cuts):
    module = network(CASE)
    ids = torch.randint(4, 9, (2, 30), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = module(ids).logits
    state, parts = None, []
    for part in ids.split(cuts, dim=1):
        logits, state = family(module).advance(part, state)
        parts.append(logits)
    torch.testing.assert_close(torch.cat(parts, 1), whole, rtol=1e-4, atol=1e-4)


def test_the_state_does_not_grow_with_what_has_passed(network):
    sizes = []
    state = None
    for length in (5, 500):
        ids = torch.randint(4, 9, (1, length), generator=torch.Generator().manual_seed(0))
        _, state = family(network(CASE)).advance(ids, state)
        sizes.append(sum(each.edge.numel() + each.state.numel() for each in state.carries))
    assert sizes[0] == sizes[1]


def test_rows_of_a_state_go_on_alone(network):
    ids = torch.randint(4, 9, (3, 12), generator=torch.Generator().manual_seed(0))
    model = family(network(CASE))
    _, state = model.advance(ids[:, :8])
    rows = torch.tensor([2, 0])
    chosen = model.select_rows(state, rows)
    logits, _ = model.advance(ids[rows, 8:], chosen)
    with torch.no_grad():
        whole = network(CASE)(ids[rows]).logits[:, 8:]
    torch.testing.assert_close(logits, whole, rtol=1e-4, atol=1e-4)


def test_long_input_in_segments_gives_what_the_whole_gives(network, monkeypatch):
    ids = torch.randint(4, 9, (2, 50), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole = network(CASE)(ids).logits
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
        for at_once in (7, 50):  # pieces of both rows; each row by itself
            monkeypatch.setattr(mamba, "SEGMENT", at_once)
            torch.testing.assert_close(network(CASE)(ids).logits, whole, rtol=1e-4, atol=1e-4)


def test_generate_of_transformers_continues_as_without_a_cache():
    module = small()
    prompt = torch.tensor([[4, 5, 6, 7]])
    settings = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None}
    kept = module.generate(prompt, **settings)
    fresh = module.generate(prompt, use_cache=False, **settings)
    assert kept.shape == (1, 10)
    assert torch.equal(kept, fresh)


def test_gradients_are_those_of_the_stock_network():
    module = small().train()
    stock = MambaForCausalLM(module.config).train()
    stock.load_state_dict(module.state_dict())
    ids = torch.randint(4, 9, (2, 20), generator=torch.Generator().manual_seed(0))
    module(ids, labels=ids).loss.backward()
    stock(ids, labels=ids).loss.backward()
    for ours, theirs in zip(module.parameters(), stock.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-5)


def test_old_and_new_names_of_a_size_are_read():
    for names in (("d_model", "n_layer"), ("hidden_size", "num_hidden_layers")):
        given = {**dict(zip(names, (48, 3), strict=True)), "vocab_size": 27}
        config = PlantDNAMamba.read_config(None, given, None)
        assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (48, 3, 27)


def test_missing_sizes_and_foreign_mixers_are_refused():
    with pytest.raises(CheckpointError, match=r"lacks num_hidden_layers \(or n_layer\)"):
        PlantDNAMamba.read_config(None, {"d_model": 8}, None)
    given = {"d_model": 8, "n_layer": 1, "ssm_cfg": {"layer": "Mamba2"}}
    with pytest.raises(CheckpointError, match="another mixer than transformers' Mamba"):
        PlantDNAMamba.read_config(None, given, None)
