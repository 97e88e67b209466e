from __future__ import annotations

from pathlib import Path

import pytest
from dnallm_core.errors import RequirementError
from dnallm_core.manifest import words
from dnallm_core.selection.requirements import Requirements, read_file


@pytest.mark.parametrize(
    ("typed", "bases"),
    [(12000, 12000), ("12000", 12000), ("12_000", 12000), ("12,000", 12000), ("12kb", 12000),
     ("12 kbp", 12000), ("1Mb", 10**6), ("1.5mb", 1_500_000), ("512 bp", 512), ("1e6", 10**6)],
)  # fmt: skip
def test_lengths_are_read_as_people_write_them(typed: object, bases: int) -> None:
    assert Requirements.of({"length": typed}).length == bases


@pytest.mark.parametrize(
    ("typed", "amount"),
    [("24GB", 24 * 10**9), ("24GiB", 24 * 2**30), ("24 gb", 24 * 10**9), ("500MB", 5 * 10**8),
     (24_000_000_000, 24 * 10**9), ("1.5TB", 1_500_000_000_000)],
)  # fmt: skip
def test_gigabytes_and_gibibytes_differ(typed: object, amount: int) -> None:
    assert Requirements.of({"memory": typed}).memory == amount


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("length", "twelve", "length: 'twelve' is no length. Write 12000, \"12kb\" or \"1Mb\"."),
        ("length", 0, "length: a length of 0 is impossible: it must be above zero."),
        ("length", -5, "length: a length of -5 is impossible: it must be above zero."),
        ("length", 1.5, "length: 1.5 is no whole number of bp."),
        ("length", "10000Gb", "length: no sequence has 10000Gb bp."),
        ("length", True, "length: True is no length."),
        ("memory", "24 apples", "memory: '24 apples' is no amount of memory."),
        ("memory", 24, "memory: 24 is 24 B, in which nothing runs."),
        ("devices", 0, "devices: a number of 0 is impossible: it must be above zero."),
        ("devices", 1.5, "devices: 1.5 is no whole number."),
        ("resolution", "fine", "resolution: 'fine' is no number of bp a token."),
        ("task", "variant", "task: there is no 'variant'."),
        ("task", "clasification", "Did you mean \"classification\""),
        ("direction", "both", "direction: there is no 'both'. One of: bidirectional, causal."),
        ("trained_on", "plants", "trained_on: there is no 'plants'. Did you mean \"plant\"?"),
        ("trained_on", "Hunan", "Did you mean \"human\"?"),
        ("gpu", "RTX 4080 Supper", "gpu: no card in the table is called 'RTX 4080 Supper'."),
        ("licence", "comercial", "is neither `any`, `commercial` nor an SPDX id. Did you mean"),
        ("evidence", "E", "evidence: there is no 'E'. One of: A, B, C, D."),
        ("weights", "bundle", "Did you mean \"bundled\"?"),
        ("inputs", "alignement", "Did you mean \"alignment\"?"),
        ("time", "soon", "time: 'soon' is no duration."),
    ],
)  # fmt: skip
def test_an_unreadable_value_says_which_and_what_would_do(
    name: str, value: object, message: str
) -> None:
    with pytest.raises(RequirementError) as caught:
        Requirements.of({name: value})
    assert message in str(caught.value)
    assert caught.value.requirement == name


@pytest.mark.parametrize(
    ("organism", "domain"),
    [("Arabidopsis thaliana", "plant"), ("E. coli", "prokaryote"), ("phage", "virus"),
     ("zebrafish", "animal-other"), ("mice", "mouse")],
)  # fmt: skip
def test_an_organism_is_led_to_its_domain(organism: str, domain: str) -> None:
    with pytest.raises(RequirementError) as caught:
        Requirements.of({"trained_on": organism})
    assert str(caught.value) == (f'trained_on: {organism!r} is no domain. Did you mean "{domain}"?')


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(RequirementError) as caught:
        Requirements.of({"lenght": 5})
    assert str(caught.value).startswith("There is no requirement 'lenght'. Did you mean \"length\"")


@pytest.mark.parametrize(
    ("given", "both"),
    [
        ({"task": "generation", "direction": "bidirectional"}, ("task", "direction")),
        ({"task": "masked-prediction", "direction": "causal"}, ("task", "direction")),
        ({"direction": "causal", "architecture": "encoder-transformer"},
         ("direction", "architecture")),
        ({"gpu": "RTX 4090", "memory": "80GB"}, ("gpu", "memory")),
    ],
)  # fmt: skip
def test_contradictory_requirements_name_the_two(
    given: dict[str, object], both: tuple[str, str]
) -> None:
    with pytest.raises(RequirementError, match="contradict") as caught:
        Requirements.of(given)
    assert all(name in caught.value.sentence for name in both)


def test_a_time_without_a_number_of_sequences_is_refused() -> None:
    with pytest.raises(RequirementError, match="time needs sequences"):
        Requirements.of({"time": "2h"})


def test_words_forgive_case_and_flags_their_hyphens() -> None:
    asked = Requirements.of({"trained-on": "Plant", "setting": "lora", "evidence": "b"})
    assert (asked.trained_on, asked.setting, asked.evidence) == ("plant", "LoRA", "B")


def test_inputs_always_hold_the_sequence() -> None:
    assert Requirements.of({"inputs": "alignment"}).inputs == ("sequence", "alignment")
    assert Requirements.of({"inputs": ["alignment"]}).inputs == ("sequence", "alignment")


def test_what_was_not_asked_is_null_in_the_envelope() -> None:
    asked = Requirements.of({"length": "1kb", "task": None})
    assert asked.asked() == {"length": 1000}
    assert asked.to_dict()["task"] is None


def test_a_file_holds_the_same_names(tmp_path: Path) -> None:
    path = tmp_path / "need.toml"
    path.write_text('task = "embedding"\ntrained-on = "plant"\nlength = "12kb"\n')
    assert Requirements.of(read_file(path)).length == 12000
    path.write_text('[requirements]\ntask = "embedding"\n')
    assert read_file(path) == {"task": "embedding"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('task = "embedding"\nlenght = 5\n', ":2: There is no requirement 'lenght'."),
        ('task = "embedding"\n\nlength = "x"\n', ":3: length: 'x' is no length."),
        ("task = \n", ":1: this is no TOML"),
        ('task = "embedding"\nlength = [\n', ": this is no TOML"),
    ],
)
def test_a_typo_in_a_file_is_placed(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "need.toml"
    path.write_text(text)
    with pytest.raises(RequirementError) as caught:
        read_file(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_is_none_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RequirementError, match="There is no requirements file"):
        read_file(tmp_path / "absent.toml")
    with pytest.raises(RequirementError, match="no readable TOML"):
        read_file(tmp_path)
    (tmp_path / "junk").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RequirementError, match="no readable TOML"):
        read_file(tmp_path / "junk")


@pytest.mark.parametrize("name", ["domain", "trained_on"])
@pytest.mark.parametrize("value", [*words.DOMAINS, "animal_other"])
def test_every_domain_can_be_asked_for(name: str, value: str) -> None:
    assert getattr(Requirements.of({name: value}), name) == value.replace("_", "-")
