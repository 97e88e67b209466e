"""What every kind of tokenizer promises beside its ids: places, losses, spelling, refusals."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from dnallm_core.errors import CapabilityError, CheckpointError, ManifestError
from dnallm_core.sequences.tokenizers import UndecidedTokenizer, build_tokenizer, tokenizer_for
from dnallm_core.sequences.tokenizers.kinds import KINDS, mistakes
from hypothesis import given
from hypothesis import strategies as st

BASES = st.text("ACGT", max_size=60)
SINGLE_TABLE = (
    "hyenadna", "caduceus", "gpn", "gpn-msa", "phylogpn", "mutbert", "evo-2",
    "nucleotide-transformer-v1", "generator",
)  # fmt: skip


def of(tables: dict, family: str, which: int = -1):
    table = tables[family]
    return build_tokenizer(table if isinstance(table, dict) else table[which])


@pytest.fixture(scope="module")
def byte_pair(tmp_path_factory: pytest.TempPathFactory, tables: dict):
    """A small byte-pair tokenizer of our own making, written as published ones are."""
    library = pytest.importorskip("tokenizers")
    vocabulary = [
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[PAD]",
        "[MASK]",
        "A",
        "C",
        "G",
        "T",
        "AC",
        "GT",
        "ACGT",
    ]
    engine = library.Tokenizer(
        library.models.BPE(
            {token: at for at, token in enumerate(vocabulary)},
            [("A", "C"), ("G", "T"), ("AC", "GT")],
            unk_token="[UNK]",
        )
    )
    engine.pre_tokenizer = library.pre_tokenizers.Whitespace()
    folder = tmp_path_factory.mktemp("bpe")
    engine.save(str(folder / "tokenizer.json"))
    return folder, tables["dnabert-2"]


@given(sequence=BASES)
def test_places_of_tokens_tile_the_sequence(sequence: str, tables: dict) -> None:
    for family in SINGLE_TABLE:
        places = of(tables, family).encode(sequence, special_tokens=False).offsets
        assert [place for start, end in places for place in range(start, end)] == list(
            range(len(sequence))
        ), family


@given(sequence=st.text("ACGT", min_size=6, max_size=60))
def test_overlapping_kmers_begin_at_every_base(sequence: str, tables: dict) -> None:
    encoding = of(tables, "dnabert").encode(sequence, special_tokens=False)
    assert encoding.offsets == [(at, at + 6) for at in range(len(sequence) - 5)]


@given(sequence=st.text("ACGT", min_size=6, max_size=60))
def test_decoding_gives_the_sequence_back(sequence: str, tables: dict) -> None:
    for family in (*SINGLE_TABLE, "dnabert"):
        if family == "generator" and len(sequence) % 6:
            continue
        tokenizer = of(tables, family)
        assert tokenizer.decode(tokenizer.encode(sequence).ids) == sequence, family


def test_special_tokens_take_no_bases(tables: dict) -> None:
    encoding = of(tables, "caduceus").encode("AC[MASK]G")
    assert encoding.offsets == [(0, 1), (1, 2), (2, 2), (2, 3), (3, 3)]
    assert of(tables, "dnagpt", 0).encode("<R>ACGTAC<=>").offsets == [(0, 0), (0, 6), (6, 6)]


def test_byte_pairs_know_their_places_and_their_ends(byte_pair: tuple) -> None:
    folder, table = byte_pair
    tokenizer = build_tokenizer(table, folder=folder)
    encoding = tokenizer.encode("ACGTACN")
    assert encoding.ids == [1, 11, 9, 0, 2]
    assert encoding.offsets == [(0, 0), (0, 4), (4, 6), (6, 7), (7, 7)]
    assert tokenizer.decode(encoding.ids) == "ACGTAC"
    assert tokenizer.base_ids is None
    assert tokenizer.encode("[MASK]A", special_tokens=False).offsets == [(0, 0), (0, 1)]


def test_byte_pairs_without_a_rule_wrap_as_their_file_says(
    byte_pair: tuple, tmp_path: Path
) -> None:
    folder, _ = byte_pair
    content = json.loads((folder / "tokenizer.json").read_text())
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = build_tokenizer({"kind": "byte-pair", "unknown": "[UNK]"}, folder=tmp_path)
    assert tokenizer.encode("ACGT").ids == [1, 11]


def test_a_tokenizer_tells_which_bases_are_lost(tables: dict) -> None:
    assert of(tables, "hyenadna").losses("ACNacgRA").spans == ((3, 7),)
    assert of(tables, "gpn").losses("acgtN").spans == ((4, 5),)
    assert of(tables, "dnabert").losses("ACGTACNACGTAC").spans == ((6, 7),)
    assert of(tables, "dnabert").losses("ACG").spans == ((0, 3),)
    assert of(tables, "dnagpt", 0).losses("ACGTACA").spans == ((6, 7),)
    assert of(tables, "dnagpt", 1).losses("ACGTACA").spans == ()
    assert of(tables, "phylogpn").losses("ACNa").spans == ((3, 4),)
    assert of(tables, "prokbert", 1).losses("ACGTACGTA").spans == ((8, 9),)
    assert of(tables, "evo-2").covers("acgtNRY")


def test_a_user_is_told_of_losses_in_a_sentence(tables: dict) -> None:
    losses = of(tables, "hyenadna").losses("ACRGTacgt")
    assert losses.bases == 5
    assert losses.sentence("record chr1") == (
        "This model's tokenizer knows no token for 5 of the 9 letters of record chr1 (at 3 and 1 "
        "more places): the model sees them as unknown, or not at all."
    )
    assert of(tables, "hyenadna").losses("ACGT").sentence() == ""


def test_a_tokenizer_says_what_becomes_of_odd_letters_and_tails(tables: dict) -> None:
    assert of(tables, "caduceus").handling == {
        "N": "token", "lower case": "as upper case", "IUPAC": "unknown", "tail": "whole",
    }  # fmt: skip
    assert of(tables, "evo-2").handling["lower case"] == "token"
    assert of(tables, "nucleotide-transformer-v1").handling["tail"] == "letters"
    assert of(tables, "dnagpt", 0).handling["tail"] == "unknown"
    assert of(tables, "prokbert", 1).handling["tail"] == "dropped"
    assert of(tables, "dnabert").handling["N"] == "unknown"


def test_single_base_tokenizers_name_the_ids_of_bases(tables: dict) -> None:
    assert of(tables, "gpn").base_ids == {"A": 3, "C": 4, "G": 5, "T": 6}
    assert of(tables, "evo-1").base_ids == {"A": 65, "C": 67, "G": 71, "T": 84}
    assert of(tables, "plant-dnabert", 0).base_ids == {"A": 4, "C": 6, "G": 7, "T": 5}
    for family in ("nucleotide-transformer-v1", "dnabert", "generator"):
        assert of(tables, family).base_ids is None


def test_tokens_spell_bases_and_special_ones_nothing(tables: dict) -> None:
    assert of(tables, "gpn").spelling(3) == "A"
    assert of(tables, "gpn").spelling(1) == ""
    assert of(tables, "gpn-msa").spelling(0) == ""
    assert of(tables, "dnabert").spelling(8) == "AAAAAG"
    assert of(tables, "evo-2").spelling(97) == "a"
    assert of(tables, "evo-2").spelling(124) == ""
    assert of(tables, "generator").spelling(1) == ""


def test_dnaberts_rule_cuts_from_510_kmers_on(tables: dict) -> None:
    tokenizer = of(tables, "dnabert")
    assert len(tokenizer.encode("A" * 514).ids) == 509 + 2
    exact = tokenizer.encode("A" * 515)
    assert len(exact.ids) == 510 + 4
    assert exact.ids[-2:] == [2, 3]
    assert exact.offsets[-1] == (515, 515)
    assert len(tokenizer.encode("A" * 515, special_tokens=False).ids) == 510


def test_the_folders_files_win_over_the_manifests_vocabulary(tables: dict, tmp_path: Path) -> None:
    (tmp_path / "vocab.txt").write_text("G\nT\nA\nC\n[PAD]\n[UNK]\n")
    table = {**tables["gpn"], "case": "keep", "mask": "[MASK]"}
    tokenizer = tokenizer_for(table, folder=tmp_path, vocabulary_size=6)
    assert tokenizer.encode("ACGT").ids == [2, 3, 0, 1]
    assert (tokenizer.pad_id, tokenizer.unknown_id, tokenizer.mask_id) == (4, 5, None)


def test_a_vocabulary_file_may_pair_tokens_with_ids(tables: dict, tmp_path: Path) -> None:
    lines = [f"{token} {at}" for at, token in enumerate(["<oov>", "<s>", "AA", "AT", "TA", "TT"])]
    (tmp_path / "vocab.txt").write_text("\n".join(reversed(lines)) + "\n")
    tokenizer = tokenizer_for(tables["generator"], folder=tmp_path, vocabulary_size=6)
    assert tokenizer.encode("<s>AATTNA").ids == [1, 1, 2, 5, 0]


def test_the_vocabulary_size_chooses_among_several_tables(tables: dict) -> None:
    assert tokenizer_for(tables["dnabert"], vocabulary_size=69).encode("AAAA").ids == [2, 5, 5, 3]
    assert tokenizer_for(tables["prokbert"], vocabulary_size=4200).encode("A" * 8).ids == [
        2,
        5,
        5,
        3,
    ]


def test_the_folders_own_size_chooses_where_the_network_says_nothing(
    tables: dict, tmp_path: Path
) -> None:
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    kmers = [a + b + c for a in "ATCG" for b in "ATCG" for c in "ATCG"]
    (tmp_path / "vocab.txt").write_text("\n".join(names + kmers))
    assert tokenizer_for(tables["dnabert"], folder=tmp_path).k == 3


def test_an_undecided_tokenizer_raises_when_it_is_used(tables: dict) -> None:
    tokenizer = tokenizer_for(tables["dnabert"], vocabulary_size=1234)
    assert isinstance(tokenizer, UndecidedTokenizer)
    with pytest.raises(
        CapabilityError, match="69, 261, 1029, 4101 tokens, and this network has 1,234"
    ):
        tokenizer.encode("ACGT")
    with pytest.raises(CapabilityError, match=r"no tokenizer\.json"):
        tokenizer_for(tables["dnabert-2"], vocabulary_size=4096).encode("ACGT")
    with pytest.raises(CapabilityError, match="no vocabulary file"):
        tokenizer_for(tables["plant-dnamamba"], vocabulary_size=267).spelling(3)


def test_a_folders_vocabulary_that_the_network_has_no_rows_for_is_refused(
    tables: dict, tmp_path: Path
) -> None:
    (tmp_path / "vocab.txt").write_text("[PAD]\n[MASK]\n[UNK]\na\nc\ng\nt\n")
    for rows in (6, 4107):
        with pytest.raises(CheckpointError) as refused:
            tokenizer_for(tables["gpn"], folder=tmp_path, vocabulary_size=rows)
        assert refused.value.sentence == (
            f"{tmp_path / 'vocab.txt'} has 7 tokens, and the network's embedding {rows:,} rows: "
            "they don't belong together."
        )


def test_a_network_for_which_the_manifest_has_no_vocabulary_loads_without_one(tables: dict) -> None:
    for rows in (6, 4107):
        tokenizer = tokenizer_for(tables["gpn"], vocabulary_size=rows)
        with pytest.raises(CapabilityError, match=f"of 7 tokens, and this network has {rows:,}"):
            tokenizer.encode("ACGT")


def test_rows_that_no_token_uses_are_accepted(tables: dict) -> None:
    assert tokenizer_for(tables["caduceus"], vocabulary_size=16).vocabulary_size == 12
    assert tokenizer_for(tables["agro-nt"], vocabulary_size=4105).vocabulary_size == 4107


@pytest.mark.parametrize(
    ("content", "words"),
    [("", "is empty"), ("{", "cannot be read as JSON"), ('{"model": {}}', "holds no vocabulary")],
)
def test_unreadable_tokenizer_files_are_refused(
    content: str, words: str, tables: dict, tmp_path: Path
) -> None:
    name = "tokenizer.json" if content else "vocab.txt"
    (tmp_path / name).write_text(content)
    with pytest.raises(CheckpointError, match=words):
        build_tokenizer(tables["gpn"], folder=tmp_path)


def test_a_file_without_the_tokens_put_round_sequences_is_refused(
    tables: dict, tmp_path: Path
) -> None:
    (tmp_path / "vocab.txt").write_text("A\nC\nG\nT\n")
    with pytest.raises(CheckpointError, match=r"lacks \[SEP\]"):
        build_tokenizer(tables["caduceus"], folder=tmp_path)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "a tokenizer needs a kind: character, byte, kmer"),
        (
            {"kind": "karacter"},
            "no tokenizer kind is called 'karacter'. Did you mean \"character\"",
        ),
        ({"kind": "kmer", "strid": 1}, "has no field 'strid'. Did you mean \"stride\""),
        ({"kind": "kmer", "k": "6"}, "k of a kmer tokenizer must be a whole number, not '6'"),
        (
            {"kind": "kmer", "k": 3, "stride": 4},
            "stride 4 of a kmer tokenizer is more than its k, 3",
        ),
        ({"kind": "character", "case": "loud"}, "is one of keep, upper, lower"),
        (
            {"kind": "byte", "special": ["<s>"]},
            "special of a byte tokenizer must be a list of whole numbers",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(table: dict, words: str) -> None:
    with pytest.raises(ManifestError) as refused:
        tokenizer_for(table)
    assert words in str(refused.value)


def test_every_family_s_table_is_well_formed(tables: dict) -> None:
    for family, table in tables.items():
        for each in [table] if isinstance(table, dict) else table:
            assert mistakes(each) == [], family
            assert each["kind"] in KINDS


def test_a_tokenizer_travels_to_worker_processes(tables: dict) -> None:
    for family in (*SINGLE_TABLE, "dnabert"):
        tokenizer = of(tables, family)
        again = pickle.loads(pickle.dumps(tokenizer))
        assert again.encode("ACGTNacgt").ids == tokenizer.encode("ACGTNacgt").ids
