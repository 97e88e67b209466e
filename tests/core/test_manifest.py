"""What a manifest may say, and the sentence for everything that it may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dnallm_core.errors import ManifestError
from dnallm_core.manifest import schema
from dnallm_core.manifest.lines import line_of
from dnallm_core.manifest.model import ModelManifest
from dnallm_core.manifest.reader import read_rows
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[2]

SOUND = """\
schema = 1
api = ">=1,<2"

[families.toy]
title = "Toy"
architecture = "state-space"
direction = "bidirectional"
objective = "masked-language-modelling"
implementation = "toy_plugin.network:Toy"
scaling = { time = "linear", memory = "linear" }
tasks = ["embedding", "scoring"]
max_length = 1000
notes = ["of the family"]
tokenizer = { kind = "byte", vocabulary_size = 512, pad = 1, special = [0] }

[models.toy-1]
family = "toy"
aliases = ["someone/Toy-1"]
max_length = 2000
notes = ["of the model"]
weights = { hub = "someone/Toy-1", files = [{ name = "model.safetensors", bytes = 12 }] }
"""


def _write(tmp_path, text):
    path = tmp_path / "dnallm.toml"
    path.write_text(text)
    return path


def _problems(tmp_path, text, **options):
    with pytest.raises(ManifestError) as caught:
        read_rows(_write(tmp_path, text), **options)
    return [each.replace(f"{tmp_path / 'dnallm.toml'}:", "") for each in caught.value.problems]


def test_a_model_has_its_familys_facts_where_it_has_none_of_its_own(tmp_path):
    row = read_rows(_write(tmp_path, SOUND))["models"]["toy-1"]
    facts = ModelManifest.from_row({**row, "plugin": "toy-plugin"})
    assert (facts.title, facts.max_length, facts.direction) == ("Toy", 2000, "bidirectional")
    assert facts.notes == ("of the family", "of the model")
    assert facts.weights.files[0].bytes == 12
    assert facts.weights.total_bytes == 12
    assert facts.inputs == ("sequence",)


def test_rows_are_plain_json(tmp_path):
    rows = read_rows(_write(tmp_path, SOUND))
    assert json.loads(json.dumps(rows)) == rows


MISTAKES = [
    (
        "max_length = 2000",
        "max_lenght = 2000",
        '20: models.toy-1.max_lenght: there is no such field. Did you mean "max_length"?',
    ),
    (
        'direction = "bidirectional"',
        'direction = "bidirectonal"',
        "7: families.toy.direction: 'bidirectonal' is not one of bidirectional, causal. "
        'Did you mean "bidirectional"?',
    ),
    (
        "max_length = 2000",
        'max_length = "2000"',
        "20: models.toy-1.max_length: should be a valid integer, not '2000'.",
    ),
    (
        "max_length = 2000",
        "max_length = -1",
        "20: models.toy-1.max_length: should be greater than 0.",
    ),
    (
        'title = "Toy"\n',
        "",
        "4: families.toy: lacks title.",
    ),
    (
        'family = "toy"\n',
        'family = "toi"\n',
        "18: models.toy-1.family: no family 'toi' in this file. Did you mean \"toy\"?.",
    ),
    (
        'tasks = ["embedding", "scoring"]',
        'tasks = ["embedding", "generation"]',
        "18: models.toy-1.tasks: generation needs a causal model.",
    ),
    (
        'direction = "bidirectional"',
        'direction = "causal"',
        "8: families.toy.objective: a causal model is not trained by masking.",
    ),
    (
        "bytes = 12",
        'sha256 = "abc"',
        "22: models.toy-1.weights.files.0.sha256: string should match pattern '^[0-9a-f]{64}$'.",
    ),
    (
        'name = "model.safetensors"',
        'name = "../model.safetensors"',
        "22: models.toy-1.weights.files.0.name: string should match pattern "
        "'^[A-Za-z0-9_][A-Za-z0-9_.+=-]*(/[A-Za-z0-9_][A-Za-z0-9_.+=-]*)*$'.",
    ),
    (
        'weights = { hub = "someone/Toy-1", files = [{ name = "model.safetensors", bytes = 12 }] }',
        'weights = { hub = "someone/Toy-1" }',
        "22: models.toy-1.weights: weights on a hub need the list of their files.",
    ),
]


@pytest.mark.parametrize(
    ("right", "wrong", "sentence"), MISTAKES, ids=[m[1][:30] for m in MISTAKES]
)
def test_a_mistake_is_named_with_its_line(tmp_path, right, wrong, sentence):
    assert right in SOUND
    problems = _problems(tmp_path, SOUND.replace(right, wrong))
    assert any(
        problem.split(": ", 1)[1] == sentence.split(": ", 1)[1]
        and abs(int(problem.split(":")[0]) - int(sentence.split(":")[0])) <= 5
        for problem in problems
    ), problems


def test_every_mistake_is_told_at_once(tmp_path):
    text = SOUND
    for right, wrong, _ in MISTAKES[:3]:
        text = text.replace(right, wrong)
    assert len(_problems(tmp_path, text)) >= 2


def test_two_models_cannot_share_a_name(tmp_path):
    text = SOUND + '\n[models.toy-2]\nfamily = "toy"\naliases = ["SOMEONE/toy-1"]\n'
    assert "'SOMEONE/toy-1' is also a name of 'toy-1'." in _problems(tmp_path, text)[0]


def test_an_implementation_lies_in_the_plugins_package(tmp_path):
    problems = _problems(tmp_path, SOUND, package="other")
    assert "lies outside the plugin's package other" in problems[0]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("schema = 2", "this core reads manifest format 1, the file is of format 2."),
        ('api = ">=2"', "the plugin works with interface >=2; this core has interface 1."),
        ('api = "<1"', "the plugin works with interface <1; this core has interface 1."),
        ('api = "soon"', "'soon' is no range of versions; write \">=1,<2\"."),
    ],
)
def test_another_format_or_interface_is_refused_first(tmp_path, line, sentence):
    key = line.split(" ")[0]
    text = "\n".join(line if each.startswith(key) else each for each in SOUND.splitlines())
    (problem,) = _problems(tmp_path, text)
    assert problem.endswith(sentence)


def test_what_is_no_toml_is_a_sentence(tmp_path):
    assert "this is not valid TOML" in _problems(tmp_path, "families = [")[0]
    (tmp_path / "dnallm.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match="this is not text"):
        read_rows(tmp_path / "dnallm.toml")
    with pytest.raises(ManifestError, match="the file does not exist"):
        read_rows(tmp_path / "absent.toml")


def test_a_manifest_of_100_mb_is_not_read(tmp_path):
    path = tmp_path / "dnallm.toml"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(ManifestError, match="a manifest of 100,000,000 bytes is not read"):
        read_rows(path)


@given(st.text(max_size=60))
def test_no_text_makes_the_reader_fail_otherwise_than_in_a_sentence(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("manifest") / "dnallm.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    with pytest.raises(ManifestError):
        read_rows(path)


def test_a_line_is_found_for_nested_tables():
    text = 'a = 1\n[x.y]\nb = 2\n[x."z.w"]\nb = { c = 3 }\n'
    assert line_of(text, ["x", "y", "b"]) == 3
    assert line_of(text, ["x", "z.w", "b", "c"]) == 5
    assert line_of(text, ["nothing"]) == 1


def test_the_committed_schema_is_the_generated_one():
    committed = json.loads((ROOT / "docs/dnallm.schema.json").read_text())
    assert committed == json.loads(json.dumps(schema.ManifestTable.model_json_schema()))
