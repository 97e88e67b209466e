"""The networks' own promises: sizes, padding, pieces, saving, number formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from dnallm_core.catalog import catalog
from dnallm_core.errors import IntegrityError
from dnallm_core.loading import build, find_implementation
from dnallm_core.models import CarriesState, Embeds, PredictsBases
from dnallm_evo import attention, striped_hyena
from dnallm_evo.configuration import Evo1Config, Evo2Config, StripedHyenaConfig
from dnallm_evo.evo import Evo1, Evo2
from dnallm_evo.striped_hyena import StripedHyena, StripedState

import dnallm_core

MODELS = [each for each in catalog().values() if each.family in ("evo-1", "evo-2")]
GOLDEN = Path(__file__).parent / "golden"
CONFIGS: dict[str, StripedHyenaConfig] = {
    "evo-1": Evo1Config(hidden_size=32, num_layers=3, inner_mlp_size=48, attn_layer_idxs=[1]),
    "evo-1-plain": Evo1Config(
        hidden_size=32,
        num_layers=3,
        inner_mlp_size=48,
        attn_layer_idxs=[1],
        column_split_hyena=False,
        hyena_filter_groups=2,
    ),
    "evo-2": Evo2Config(
        hidden_size=32,
        num_layers=4,
        inner_mlp_size=48,
        attn_layer_idxs=[3],
        hcs_layer_idxs=[0],
        hcm_layer_idxs=[1],
        hcl_layer_idxs=[2],
        hcs_filter_groups=8,
        hcm_filter_groups=8,
        use_interpolated_rotary_pos_emb=True,
        rotary_emb_scaling_factor=16,
    ),
}


@pytest.fixture(params=CONFIGS, scope="module")
def network(request: pytest.FixtureRequest) -> StripedHyena:
    torch.manual_seed(0)
    return StripedHyena(CONFIGS[request.param]).eval()


def random_ids(rows: int, tokens: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.tensor([65, 67, 71, 84])[torch.randint(4, (rows, tokens), generator=generator)]


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one, other, rtol=0, atol=2e-5 * float(max(1, other.abs().max())))


@pytest.mark.parametrize("manifest", MODELS, ids=lambda each: each.id)
def test_every_published_size_has_its_parameters(manifest: Any) -> None:
    implementation = find_implementation(manifest)
    module = build(implementation, implementation.read_config(None, manifest.config, None))
    assert sum(each.numel() for each in module.parameters()) == manifest.parameters
    assert all(each.is_meta for each in module.parameters())


@pytest.mark.parametrize(
    "manifest", [each for each in MODELS if each.weights.total_bytes], ids=lambda each: each.id
)
def test_the_published_bytes_are_those_of_the_tensors(manifest: Any) -> None:
    total = manifest.weights.total_bytes
    implementation = find_implementation(manifest)
    module = build(implementation, implementation.read_config(None, manifest.config, None))
    stored = 2 * sum(each.numel() for each in module.parameters())
    # The 20B stores its projections in float32, the 1B's and 7B's files hold what is never used.
    most = 1.22 if manifest.id in ("evo-2-20b", "evo-2-1b-base") else 1.08
    assert stored < total < most * stored


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right", "both"])
def test_padding_on_any_side_changes_no_real_position(network: StripedHyena, side: str) -> None:
    ids = random_ids(2, 40)
    left, right = {"left": (13, 0), "right": (0, 13), "both": (5, 8)}[side]
    short = ids[1:, : 40 - 13]
    mask = torch.ones(2, 40, dtype=torch.long)
    padded = ids.clone()
    padded[1] = torch.cat([torch.ones(left), short[0], torch.ones(right)])
    mask[1, :left] = 0
    mask[1, 40 - right :] = 0
    batch = network(padded, attention_mask=mask, output_hidden_states=True)
    alone = network(short, output_hidden_states=True)
    real = slice(left, 40 - right)
    assert close(batch.logits[1:, real], alone.logits)
    for ours, expected in zip(batch.hidden_states, alone.hidden_states, strict=True):
        assert close(ours[1:, real], expected)
    assert close(batch.logits[:1], network(ids[:1]).logits)


@torch.no_grad()
def test_any_split_into_pieces_gives_the_logits_of_the_whole(network: StripedHyena) -> None:
    ids = random_ids(2, 400)
    whole = network(ids).logits
    for sizes in ([200, 200], [1, 399], [2, 1, 1, 256, 140], [397, 1, 1, 1]):
        state = StripedState()
        pieces = [network(piece, state=state).logits for piece in ids.split(sizes, dim=1)]
        assert close(torch.cat(pieces, dim=1), whole)
        assert state.tokens == 400


@torch.no_grad()
def test_long_inputs_go_through_in_chunks_and_blocks_unchanged(
    network: StripedHyena, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = random_ids(2, 300)
    whole = network(ids, output_hidden_states=True)
    monkeypatch.setattr(striped_hyena, "CHUNK", 130)
    monkeypatch.setattr(striped_hyena, "BLOCK", 1 << 12)
    monkeypatch.setattr(attention, "_MASK", 1000)
    chunked = network(ids, output_hidden_states=True)
    assert close(chunked.logits, whole.logits)
    for ours, expected in zip(chunked.hidden_states, whole.hidden_states, strict=True):
        assert close(ours, expected)


@torch.no_grad()
def test_rows_of_a_state_go_on_by_themselves(network: StripedHyena) -> None:
    ids = random_ids(3, 50)
    state = StripedState()
    network(ids[:, :30], state=state)
    kept = state.rows(torch.tensor([2, 0]))
    found = network(ids[[2, 0], 30:], state=kept).logits
    assert close(found, network(ids[[2, 0]]).logits[:, 30:])


@torch.no_grad()
def test_the_state_of_hyena_blocks_has_a_constant_size(network: StripedHyena) -> None:
    def held(tokens: int) -> int:
        state = StripedState()
        network(random_ids(1, tokens), state=state)
        return sum(
            each.short.numel() + each.inner.numel()
            for each in state.blocks
            if isinstance(each, striped_hyena.HyenaState)
        )

    assert held(10) == held(300)


@torch.no_grad()
def test_hidden_states_run_from_the_embedding_to_what_the_head_reads(
    network: StripedHyena,
) -> None:
    ids = random_ids(1, 9)
    output = network(ids, output_hidden_states=True)
    assert len(output.hidden_states) == network.config.num_layers + 1
    assert torch.equal(output.hidden_states[0], network.embedding_layer(ids))
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    assert close(output.last_hidden_state @ network.embedding_layer.weight.T, output.logits)


def test_gradients_flow_and_agree_with_inference(network: StripedHyena) -> None:
    ids = random_ids(2, 150)
    output = network(ids, labels=ids)
    output.loss.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())
    network.zero_grad(set_to_none=True)
    with torch.no_grad():
        assert close(network(ids).logits, output.logits)


@torch.no_grad()
def test_a_saved_network_comes_back(network: StripedHyena, tmp_path: Path) -> None:
    network.save_pretrained(tmp_path)
    ids = random_ids(1, 33)
    kind = type(network.config)
    again = StripedHyena.from_pretrained(tmp_path, config=kind.from_pretrained(tmp_path)).eval()
    assert torch.equal(again(ids).logits, network(ids).logits)
    family = "evo-1" if kind is Evo1Config else "evo-2"
    ours = dnallm_core.load(family, weights=tmp_path, device="cpu", dtype="float32")
    assert close(ours.module(ids).logits, network(ids).logits)


@torch.no_grad()
@pytest.mark.parametrize(
    ("family", "folder"), [("evo-1", "evo-1/evo1_8k"), ("evo-2", "evo-2/evo2_1b_like")]
)
def test_bfloat16_keeps_poles_residues_and_frequencies_in_float32(family: str, folder: str) -> None:
    model, full = (
        dnallm_core.load(family, weights=GOLDEN / folder, device="cpu", dtype=dtype)
        for dtype in ("bfloat16", "float32")
    )
    formats = {name: each.dtype for name, each in model.module.state_dict().items()}
    for name, dtype in formats.items():
        exact = name.endswith(("poles", "residues", "inv_freq"))
        assert dtype == (torch.float32 if exact else torch.bfloat16), name
    ids = random_ids(1, 200)
    expected = full.module(ids).logits
    assert (model.module(ids).logits.float() - expected).norm() < 0.05 * expected.norm()


def test_evo_2_uses_the_rounded_frequencies_of_its_file_and_evo_1_its_own() -> None:
    one = dnallm_core.load("evo-1", weights=GOLDEN / "evo-1/evo1_8k", dtype="float32")
    two = dnallm_core.load("evo-2", weights=GOLDEN / "evo-2/evo2_1b_like", dtype="float32")
    rotary_one = one.module.blocks[2].inner_mha_cls.rotary_emb
    rotary_two = two.module.blocks[3].inner_mha_cls.rotary_emb
    assert torch.equal(rotary_one.inv_freq, rotary_one.frequencies())
    rounded = rotary_two.frequencies().bfloat16().float()
    assert torch.equal(rotary_two.inv_freq, rounded)
    assert not torch.equal(rounded, rotary_two.frequencies())


def test_both_generations_keep_the_protocols_of_a_causal_model() -> None:
    for implementation in (Evo1, Evo2):
        for protocol in (PredictsBases, Embeds, CarriesState):
            assert protocol in implementation.__mro__


def test_numbers_that_are_not_finite_are_refused() -> None:
    model = dnallm_core.load("evo-1", weights=GOLDEN / "evo-1/evo1_8k", dtype="float32")
    with torch.no_grad():
        model.module.get_output_embeddings().weight[65] = float("nan")
    for ask in (model.score, lambda text: model.generate(text, max_new_bases=3), model.embed):
        with pytest.raises(IntegrityError, match="not finite"):
            ask("ACGTACGT")


@torch.no_grad()
def test_blocks_may_lie_on_other_devices_by_accelerates_map(
    network: StripedHyena, tmp_path: Path
) -> None:
    accelerate = pytest.importorskip("accelerate")
    ids = random_ids(2, 40)
    whole = network(ids).logits
    network.save_pretrained(tmp_path / "saved")
    kind = type(network.config)
    again = StripedHyena.from_pretrained(
        tmp_path / "saved", config=kind.from_pretrained(tmp_path / "saved")
    ).eval()
    places = {name: "cpu" for name, _ in again.named_children() if name != "blocks"}
    places.update({f"blocks.{i}": "disk" if i else "cpu" for i in range(len(again.blocks))})
    again = accelerate.dispatch_model(
        again, places, main_device="cpu", offload_dir=tmp_path / "offloaded"
    )
    assert all(each.is_meta for each in again.blocks[1].parameters())
    assert close(again(ids).logits, whole)
    state = StripedState()
    pieces = [again(piece, state=state).logits for piece in ids.split([30, 1, 9], dim=1)]
    assert close(torch.cat(pieces, dim=1), whole)
