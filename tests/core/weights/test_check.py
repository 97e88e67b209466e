"""The check vector: asked once, remembered, and a mismatch says by how much."""

from __future__ import annotations

import json

import pytest
from dnallm_core.errors import IntegrityError, PluginError
from dnallm_core.weights.check import expected, hold, remembered

VALUES = [0.5, -2.0, 1.0]
FILES = {"files": {"model.safetensors": "ab" * 32}, "device": "cpu", "dtype": "float32"}


@pytest.fixture
def checked(laboratory, manifest, cache):
    """A manifest whose plugin carries one check vector."""

    def make(vectors) -> object:
        laboratory.install(files={"facts/checks.json": json.dumps({"toy-1": vectors})})
        return manifest({"model.safetensors": None}, check="facts/checks.json")

    return make


def vector(**more):
    return {"sequence": "ACGT", "pooling": "mean", "values": VALUES, "source": "authors", **more}


def test_the_authors_numbers_pass_and_are_asked_once(checked):
    asked = []

    def embed(sequence):
        asked.append(sequence)
        return [0.5001, -2.0, 1.0]

    model = checked([vector()])
    assert remembered(model, FILES) is None
    verdict = hold(model, FILES, embed)
    assert verdict.passed
    assert verdict.deviation == pytest.approx(5e-5, rel=1e-3)  # of the largest value, 2.0
    assert hold(model, FILES, embed) == verdict == remembered(model, FILES)
    assert asked == ["ACGT"]


def test_other_files_and_a_stricter_number_format_are_asked_anew(checked):
    asked = []

    def embed(sequence):
        asked.append(sequence)
        return VALUES

    model = checked([vector()])
    hold(model, {**FILES, "dtype": "bfloat16"}, embed)
    hold(model, {**FILES, "device": "cuda"}, embed)
    hold(model, FILES, embed)
    hold(model, {**FILES, "files": {"model.safetensors": "cd" * 32}}, embed)
    assert len(asked) == 4


def test_a_mismatch_says_by_how_much_and_is_not_forgiven_later(checked):
    model = checked([vector(), vector(sequence="GGG")])
    answers = {"ACGT": VALUES, "GGG": [0.5, -2.0, 1.5]}
    for _ in range(2):
        with pytest.raises(
            IntegrityError,
            match=r"toy-1 does not give its authors' numbers: the embedding is off by 0\.25 of the "
            r"largest value, where 0\.0002 is allowed \(authors\)\..*--no-check",
        ) as caught:
            hold(model, FILES, answers.__getitem__)
    assert caught.value.model == "toy-1"
    answers["GGG"] = VALUES
    assert hold(model, FILES, answers.__getitem__).passed  # an update put it right


@pytest.mark.parametrize(
    ("given", "where", "passes"),
    [
        ([0.5005, -2.0, 1.0], {}, False),
        ([0.5005, -2.0, 1.0], {"device": "cuda:0"}, True),
        ([0.54, -2.0, 1.0], {"device": "cuda:0"}, False),
        ([0.54, -2.0, 1.0], {"dtype": "bfloat16"}, True),
        ([0.7, -2.0, 1.0], {"dtype": "float16"}, False),
        ([float("nan"), -2.0, 1.0], {"dtype": "bfloat16"}, False),
    ],
)
def test_what_is_allowed_depends_on_the_number_format_and_the_device(given, where, passes, checked):
    model = checked([vector()])
    if passes:
        assert hold(model, {**FILES, **where}, lambda _: given).passed
    else:
        with pytest.raises(IntegrityError, match="is off by"):
            hold(model, {**FILES, **where}, lambda _: given)


def test_another_width_is_another_network(checked):
    with pytest.raises(IntegrityError, match="gives 2 numbers for a sequence, its authors' code 3"):
        hold(checked([vector()]), FILES, lambda _: [0.5, 1.0])


def test_a_model_without_vectors_is_not_asked(checked, manifest):
    def never(_):
        raise AssertionError("asked")

    assert hold(checked([]), FILES, never) is None
    assert hold(checked([vector(pooling="cls")]), FILES, never) is None
    assert hold(manifest({}, check=None), FILES, never) is None


def test_vectors_that_cannot_be_read_are_the_plugins_problem(laboratory, manifest, cache):
    home = laboratory.install()
    model = manifest({}, check="facts/checks.json")
    with pytest.raises(
        PluginError, match=r"names check vectors in facts/checks\.json, which cannot"
    ):
        expected(model)
    (home / "facts").mkdir()
    (home / "facts/checks.json").write_text('{"toy-1": [{"sequence": "A", "values": "x"}]}')
    with pytest.raises(PluginError, match="cannot be read: ValueError"):
        expected(model)


def test_a_cache_that_cannot_be_written_asks_again_each_time(checked, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    model = checked([vector()])
    monkeypatch.setenv("DNALLM_CACHE", str(tmp_path / "file"))
    asked = []
    for _ in range(2):
        assert hold(model, FILES, lambda each: asked.append(each) or VALUES).passed
    assert len(asked) == 2
