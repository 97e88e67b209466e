"""A real position never feels padding, on whichever side it stands and whatever lies under it."""

from __future__ import annotations

import pytest
import torch

LENGTHS = (31, 18, 1)


def _rows(model, flank: int, species: int) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(7)
    low, high = (3, 7) if model.tokenizer.mask_id == 1 else (0, 4)
    rows = []
    for length in LENGTHS:
        row = {"input_ids": torch.randint(low, high, (1, length + flank), generator=generator)}
        if species:
            shape = (1, length + flank, species)
            row["aux_features"] = torch.randint(0, 5, shape, generator=generator)
        rows.append(row)
    return rows


def _padded(rows, width: int, left: bool) -> dict[str, torch.Tensor]:
    """The rows in one batch; under the mask stands whatever id comes to hand."""
    batch = {}
    for name in rows[0]:
        shape = (len(rows), width, *rows[0][name].shape[2:])
        batch[name] = torch.full(shape, 3)
        mask = torch.zeros(len(rows), width, dtype=torch.long)
        for number, row in enumerate(rows):
            length = row[name].shape[1]
            place = slice(width - length, width) if left else slice(0, length)
            batch[name][number, place] = row[name][0]
            mask[number, place] = 1
    return {**batch, "attention_mask": mask}


@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
def test_padded_rows_come_out_as_alone(each_golden, left: bool) -> None:
    model = each_golden.model
    flank = 72 if each_golden.about["family"] == "phylogpn" else 0
    species = model.aligned_species() if hasattr(model, "aligned_species") else 0
    rows = _rows(model, flank, species)
    width = max(LENGTHS) + flank + 5
    with torch.inference_mode():
        together = model.module(**_padded(rows, width, left)).logits
        for number, (row, length) in enumerate(zip(rows, LENGTHS, strict=True)):
            alone = model.module(**row).logits[0]
            start = width - flank - length if left else 0
            real = together[number, start : start + length]
            torch.testing.assert_close(real, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["phylogpn", "phylogpn_first"])
@pytest.mark.parametrize("left", [False, True], ids=["right", "left"])
def test_phylogpn_states_of_padded_rows_are_those_of_flanked_ones(golden, variant, left) -> None:
    model = golden(f"phylogpn/{variant}").model
    rows = _rows(model, 0, 0)
    width = max(LENGTHS) + 4
    with torch.inference_mode():
        together = model.token_states(_padded(rows, width, left))
        assert together.shape[1] == width
        for number, (row, length) in enumerate(zip(rows, LENGTHS, strict=True)):
            flanked = torch.nn.functional.pad(row["input_ids"], (36, 36), value=5)
            alone = model.module(input_ids=flanked).last_hidden_state[0]
            start = width - length if left else 0
            real = together[number, start : start + length]
            torch.testing.assert_close(real, alone, rtol=1e-4, atol=1e-5)


def test_embedding_a_sequence_does_not_depend_on_its_batch(golden) -> None:
    model = golden("phylogpn/phylogpn_first").model
    alone = model.embed("ACGTTGCA")
    among = model.embed(["ACGTTGCA", "A" * 50, "TTG"])
    assert torch.allclose(torch.from_numpy(among[:1]), torch.from_numpy(alone), atol=1e-5)
