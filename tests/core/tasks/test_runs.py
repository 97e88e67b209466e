"""A run over a file: whole or named partial, resumable anywhere, the same whatever happened."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from dnallm_core.errors import OutputError, RequirementError
from dnallm_core.sequences.files import Record, read_records
from dnallm_core.tasks import job as jobs
from dnallm_core.tasks.embedding import embed_file
from dnallm_core.tasks.memory import BatchLimit, is_out_of_memory
from dnallm_core.tasks.run import Run
from dnallm_core.tasks.scoring import logits_file, score_file
from dnallm_core.tasks.table import Table, read_part, write_part

CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def _records(count=12, seed=1):
    chooser = random.Random(seed)
    return [
        Record(f"r{n}", "".join(chooser.choices("ACGT", k=chooser.randint(1, 60))), "", "-", n)
        for n in range(count)
    ]


def test_a_table_of_embeddings_has_a_row_a_record_in_order(toy, tmp_path):
    model, records = toy(), _records()
    output = tmp_path / "out.npz"
    record = embed_file(model, records, output, quiet=True)
    with np.load(output) as found:
        assert found["name"].tolist() == [each.name for each in records]
        assert found["end"].tolist() == [len(each.sequence) for each in records]
        expected = model.embed([each.sequence for each in records])
        np.testing.assert_allclose(found["embedding"], expected, **CLOSE)
    beside = json.loads((tmp_path / "out.npz.run.json").read_text())
    assert beside["settings"]["task"] == "embed"
    assert beside["settings"]["pooling"] == "mean"
    assert beside["versions"]["torch"]
    assert record["done"] == sum(len(each.sequence) for each in records)
    assert not (tmp_path / "out.npz.partial").exists()


def test_an_output_that_exists_is_not_replaced_unless_asked(toy, tmp_path):
    output = tmp_path / "out.tsv"
    output.write_text("precious")
    with pytest.raises(OutputError, match=r"out\.tsv exists already"):
        embed_file(toy(), _records(), output, quiet=True)
    assert output.read_text() == "precious"
    embed_file(toy(seed=1), _records(), output, overwrite=True, quiet=True)
    assert output.read_text() != "precious"


def test_an_unknown_ending_and_a_missing_folder_are_refused_before_any_work(toy, tmp_path):
    with pytest.raises(OutputError, match="its ending names no format"):
        embed_file(toy(), _records(), tmp_path / "out.docx", quiet=True)
    with pytest.raises(OutputError, match="There is no folder"):
        embed_file(toy(seed=1), _records(), tmp_path / "no" / "out.tsv", quiet=True)


def test_an_interrupted_run_goes_on_and_gives_the_same_bytes(toy, tmp_path, monkeypatch):
    model, records = toy(), _records(40)
    monkeypatch.setattr("dnallm_core.tasks.embedding.PART_BASES", 100)
    embed_file(model, records, tmp_path / "whole.tsv", quiet=True)

    def failing():
        for number, record in enumerate(records):
            if number == 25:
                raise ConnectionError("the file system went away")
            yield record

    with pytest.raises(ConnectionError):
        embed_file(model, failing(), tmp_path / "torn.tsv", quiet=True)
    assert not (tmp_path / "torn.tsv").exists()
    assert (tmp_path / "torn.tsv.partial").is_dir()
    record = embed_file(model, records, tmp_path / "torn.tsv", quiet=True)
    assert record["resumed_parts"] > 0
    assert (tmp_path / "torn.tsv").read_bytes() == (tmp_path / "whole.tsv").read_bytes()


def test_a_run_with_other_settings_is_not_mixed_into_an_unfinished_one(toy, tmp_path):
    with Run(tmp_path / "out.tsv", {"pooling": "mean"}) as run:
        run.save(0, Table({"a": ["x"]}))
        with pytest.raises(OutputError, match="Another run is writing"):
            Run(tmp_path / "out.tsv", {"pooling": "mean"}).__enter__()
    assert run.parts_done() == 0
    (tmp_path / "out.tsv.partial").mkdir()
    (tmp_path / "out.tsv.partial/settings.json").write_text('{"pooling": "mean"}')
    write_part(tmp_path / "out.tsv.partial/part-000000.npz", Table({"a": ["x"]}))
    with pytest.raises(OutputError, match=r"unfinished run with other settings \(pooling\)"):
        Run(tmp_path / "out.tsv", {"pooling": "max"}).__enter__()


@pytest.mark.parametrize("seed", range(2))
def test_sigkill_at_any_moment_costs_nothing_but_time(laboratory, toy, tmp_path, seed):
    toy()
    (tmp_path / "in.fa").write_text(
        "".join(f">{each.name}\n{each.sequence}\n" for each in _records(400))
    )
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import dnallm_core, dnallm_core.tasks.embedding as e\n"
        "from pathlib import Path\nfrom dnallm_core.sequences.files import read_records\n"
        "e.PART_BASES = 300\n"
        "model = dnallm_core.load('toy', weights=sys.argv[2], device='cpu')\n"
        "print('ready', flush=True)\n"
        "e.embed_file(model, read_records(sys.argv[3]), Path(sys.argv[4]), source=sys.argv[3],"
        " quiet=True)\n"
    )

    def command(output):
        return [
            sys.executable, "-c", code, str(laboratory.folder), str(tmp_path / "toy-0"),
            str(tmp_path / "in.fa"), str(tmp_path / output),
        ]  # fmt: skip

    process = subprocess.Popen(command("torn.tsv"), stdout=subprocess.PIPE)
    process.stdout.readline()
    partial = tmp_path / "torn.tsv.partial"
    wanted = random.Random(seed).randint(1, 25)
    while len(list(partial.glob("part-*.npz"))) < wanted and process.poll() is None:
        time.sleep(0.002)
    process.kill()
    process.wait()
    assert (tmp_path / "torn.tsv").exists() or partial.is_dir()
    subprocess.run(command("torn.tsv"), check=not (tmp_path / "torn.tsv").exists())
    model = __import__("dnallm_core").load("toy", weights=tmp_path / "toy-0", device="cpu")
    jobs_part = jobs.PART_BASES
    import dnallm_core.tasks.embedding as embedding

    embedding.PART_BASES = 300
    try:
        embed_file(model, read_records(tmp_path / "in.fa"), tmp_path / "whole.tsv", quiet=True)
    finally:
        embedding.PART_BASES = jobs_part
    torn, whole = (
        [line.split("\t") for line in (tmp_path / name).read_text().splitlines()]
        for name in ("torn.tsv", "whole.tsv")
    )
    assert [row[:3] for row in torn] == [row[:3] for row in whole]
    np.testing.assert_allclose(
        np.array([row[3:] for row in torn[1:]], float),
        np.array([row[3:] for row in whole[1:]], float),
        rtol=1e-4,
        atol=1e-5,
    )


def test_windows_cover_a_long_record_and_per_base_scores_hold_each_base_once(toy, tmp_path):
    model = toy()
    records = [Record("long", "ACGGTTACGA" * 15, "", "-", 0), Record("short", "ACG", "", "-", 1)]
    score_file(
        model, records, tmp_path / "out.npz", per_base=True, window=40, stride=20, quiet=True
    )
    with np.load(tmp_path / "out.npz") as found:
        assert found["chrom"].tolist() == ["long"] * 150 + ["short"] * 3
        assert found["start"].tolist() == [*range(150), *range(3)]
        assert np.isfinite(found["value"]).all()
    with pytest.raises(RequirementError, match=r"A window of 65 bp is longer than toy takes"):
        score_file(model, records, tmp_path / "more.npz", window=65, quiet=True)
    with pytest.raises(RequirementError, match="--stride goes with --window"):
        score_file(model, records, tmp_path / "more.npz", stride=65, quiet=True)


def test_scores_and_logits_in_files_are_those_in_memory(toy, tmp_path):
    model, records = toy("toy-causal"), _records(6)
    texts = [each.sequence for each in records]
    score_file(model, records, tmp_path / "score.npz", quiet=True)
    with np.load(tmp_path / "score.npz") as found:
        np.testing.assert_allclose(found["score"], model.score(texts), **CLOSE)
        assert found["scored"].tolist() == [len(each) for each in texts]
    logits_file(model, records, tmp_path / "logits.npz", quiet=True)
    with np.load(tmp_path / "logits.npz") as found:
        np.testing.assert_allclose(found["logits"], np.concatenate(model.logits(texts)), **CLOSE)
        assert found["token"][:2].tolist() == [0, 1]


def test_token_embeddings_have_a_row_a_base(toy, tmp_path):
    model, records = toy("toy-causal"), _records(3)
    embed_file(model, records, tmp_path / "tokens.npz", tokens=True, quiet=True)
    with np.load(tmp_path / "tokens.npz") as found:
        assert len(found["name"]) == sum(len(each.sequence) for each in records)
        first = model.embed_tokens(records[0].sequence).vectors[1:]
        np.testing.assert_allclose(found["embedding"][: len(first)], first, **CLOSE)


def test_running_out_of_memory_halves_the_batch_and_says_so():
    limit, asked = BatchLimit(64), []

    def work(tokens):
        asked.append(tokens)
        if tokens > 16:
            raise RuntimeError("CUDA out of memory. Tried to allocate 3 GiB")
        return tokens

    with pytest.warns(UserWarning, match="going on with batches of"):
        assert limit.attempt(work) == 16
    assert asked == [64, 32, 16]
    with pytest.raises(RuntimeError, match="something else"):
        limit.attempt(lambda _: (_ for _ in ()).throw(RuntimeError("something else")))
    assert is_out_of_memory(MemoryError())


def test_a_part_is_read_as_it_was_written(tmp_path):
    table = Table({"name": ["a", "é"], "x": np.array([1, 2]), "v": np.ones((2, 3), np.float32)})
    write_part(tmp_path / "part.npz", table)
    again = read_part(tmp_path / "part.npz")
    assert again["name"] == ["a", "é"]
    assert again.vector_name == "v"
    with pytest.raises(ValueError, match="different lengths"):
        Table({"a": ["x"], "b": ["y", "z"]})


def test_progress_says_how_far_it_is_in_the_words_of_the_task():
    import io

    from dnallm_core.tasks.progress import Progress

    told = io.StringIO()
    progress = Progress(200, stream=told)
    progress.skip(50)
    progress.add(50)
    progress.close()
    (line,) = told.getvalue().splitlines()
    assert line.startswith("100 of 200 bp (50 %), ")
    assert Progress(None, unit="variants").line(2.0) == "0 variants, 0.0/s"
    assert Progress(400).line(0.0) == "0 of 400 bp (0 %), 0 bp/s"
