"""What the networks promise beyond their authors' numbers."""

from __future__ import annotations

import copy

import pytest
import torch
from dnallm_core.loading import build
from dnallm_core.models import (
    Embeds,
    HasReceptiveField,
    PredictsBases,
    PredictsMaskedBases,
    PredictsRates,
    TakesAlignment,
)
from dnallm_gpn.convnet import ConvNetConfig, ConvNetForMaskedLM
from dnallm_gpn.gpn import GPN
from dnallm_gpn.gpn_msa import GPNMSA
from dnallm_gpn.gpn_network import GPNConfig, GPNForMaskedLM
from dnallm_gpn.phylogpn import PhyloGPN
from dnallm_gpn.phylogpn_network import PhyloGPNConfig, PhyloGPNModel

import dnallm_core

CONVOLUTIONAL = ["gpn/gpn_animal_promoter", "gpn/gpn_brassicales", "gpn/gpn_convnet"]
COMPLEMENT = torch.tensor([3, 2, 1, 0, 4, 5])


def test_families_keep_the_protocols_that_they_should() -> None:
    assert {PredictsBases, PredictsMaskedBases} <= set(GPN.__mro__)
    for family in (GPN, PhyloGPN):
        assert {Embeds, HasReceptiveField} <= set(family.__mro__)
    assert {PredictsBases, Embeds, TakesAlignment} <= set(GPNMSA.__mro__)
    assert PredictsRates in PhyloGPN.__mro__
    assert PredictsBases not in PhyloGPN.__mro__


@pytest.mark.parametrize("name", CONVOLUTIONAL)
def test_an_output_depends_on_its_receptive_field_and_nothing_else(golden, name: str) -> None:
    model = golden(name).model
    left, right = model.receptive_field()
    length, at = left + right + 41, left + 20
    ids = torch.randint(3, 7, (1, length), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before = model.module(input_ids=ids).logits[0, at]
        for inside, position in [(True, at - left), (True, at + right), (False, at - left - 1),
                                 (False, at + right + 1)]:  # fmt: skip
            changed = ids.clone()
            changed[0, position] = (changed[0, position] - 3 + 1) % 4 + 3
            after = model.module(input_ids=changed).logits[0, at]
            moved = (after - before).abs().max() > 0
            assert bool(moved) == inside, position - at


def test_phylogpn_rows_stand_for_the_middle_of_their_receptive_field(golden) -> None:
    model = golden("phylogpn/phylogpn").model
    assert model.receptive_field() == (36, 36)
    ids = torch.randint(0, 4, (1, 83), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = model.substitution_logits({"input_ids": ids})
        alone = model.substitution_logits({"input_ids": ids[:, 5:78]})
    assert whole.shape == (1, 11, 4)
    torch.testing.assert_close(whole[:, 5:6], alone, rtol=1e-5, atol=1e-5)


def test_phylogpn_says_how_short_an_input_is(golden) -> None:
    with pytest.raises(ValueError, match="reads 73 positions for one output; the input has 72"):
        golden("phylogpn/phylogpn").model.module(input_ids=torch.zeros(1, 72, dtype=torch.long))


@pytest.mark.parametrize("norm", ["layer", "group"])
def test_phylogpn_is_equivariant_where_its_norms_are_symmetric(norm: str) -> None:
    torch.manual_seed(0)
    config = PhyloGPNConfig(outer_dim=12, inner_dim=8, num_stacks=1, norm=norm)
    network = PhyloGPNModel(config).eval()  # fresh norms are ones and zeros: their own mirror
    ids = torch.randint(0, 5, (2, 40))
    with torch.inference_mode():
        forward = network(input_ids=ids).logits
        reverse = network(input_ids=COMPLEMENT[ids].flip(1)).logits
    torch.testing.assert_close(reverse.flip(1, 2), forward, rtol=1e-4, atol=1e-5)


def test_training_keeps_phylogpns_convolutions_symmetric() -> None:
    torch.manual_seed(0)
    network = PhyloGPNModel(PhyloGPNConfig(outer_dim=12, inner_dim=8, num_stacks=1)).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(3):
        optimiser.zero_grad()
        network(input_ids=torch.randint(0, 4, (2, 40))).logits[..., 0].sum().backward()
        optimiser.step()
    for name, weight in network.named_parameters():
        if "conv" in name and weight.dim() == 3:
            torch.testing.assert_close(weight, weight.flip(0, 1, 2), rtol=0, atol=1e-7)
    training = network(input_ids=torch.arange(60)[None] % 4).logits
    torch.testing.assert_close(
        network.eval()(input_ids=torch.arange(60)[None] % 4).logits, training
    )


def test_a_saved_model_loads_again_with_the_same_numbers(each_golden, tmp_path) -> None:
    case = next(each_golden.cases())
    each_golden.model.module.save_pretrained(tmp_path)
    again = dnallm_core.load(each_golden.about["family"], weights=tmp_path, device="cpu")
    with torch.inference_mode():
        assert torch.equal(
            again.module(**case.inputs).logits, each_golden.model.module(**case.inputs).logits
        )


def test_the_roformer_encoder_of_the_second_network_runs_and_masks() -> None:
    torch.manual_seed(0)
    config = GPNConfig(
        encoder="roformer", hidden_size=32, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=48, max_position_embeddings=64,
    )  # fmt: skip
    network = GPNForMaskedLM(config).eval()
    ids = torch.randint(3, 7, (1, 20))
    padded = torch.cat([ids, torch.zeros(1, 6, dtype=torch.long)], 1)
    mask = (torch.arange(26) < 20).long()[None]
    with torch.inference_mode():
        alone = network(input_ids=ids)
        assert alone.last_hidden_state.shape == (1, 20, 32)
        beside = network(input_ids=padded, attention_mask=mask).logits[:, :20]
    torch.testing.assert_close(beside, alone.logits, rtol=1e-4, atol=1e-5)


def test_the_second_network_reads_alignments_too(tmp_path) -> None:
    torch.manual_seed(0)
    config = GPNConfig(
        vocab_size=6, encoder="roformer", hidden_size=32, num_hidden_layers=2,
        num_attention_heads=2, intermediate_size=48, n_aux_features=15,
    )  # fmt: skip
    GPNForMaskedLM(config).save_pretrained(tmp_path)
    model = dnallm_core.load("gpn-msa", weights=tmp_path, device="cpu")
    assert model.aligned_species() == 3
    ids, aux = torch.tensor([[1, 2, 3]]), torch.tensor([[[1, 1, 0], [2, 0, 2], [3, 3, 4]]])
    with torch.inference_mode():
        one = model.token_logits({"input_ids": ids, "aux_features": aux})
        other = model.token_logits({"input_ids": ids, "aux_features": aux.flip(2)})
    assert one.shape == (1, 3, 6)
    assert not torch.allclose(one, other)


def test_dilations_start_anew_after_each_cycle_and_stop_growing() -> None:
    network = build(GPN, ConvNetConfig(n_layers=8, hidden_size=8, dilation_max=16))
    assert isinstance(network, ConvNetForMaskedLM)
    assert [layer.convolution.dilation[0] for layer in network.layers] == [1, 2, 4, 8, 16, 16, 1, 2]


def test_a_loss_comes_with_labels(golden) -> None:
    module = copy.deepcopy(golden("gpn/gpn_brassicales").model.module)
    labels = torch.tensor([[-100, 4, 5]])
    loss = module(input_ids=torch.tensor([[1, 1, 1]]), labels=labels).loss
    logits = module(input_ids=torch.tensor([[1, 1, 1]])).logits[0, 1:]
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, labels[0, 1:]))
