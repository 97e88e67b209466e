"""Shards of a run, joined, are the run; and what does not belong together is refused."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dnallm_core.cli.main import run
from dnallm_core.errors import RequirementError
from dnallm_core.tasks.plan import Plan
from dnallm_core.tasks.shards import which

ROOT = Path(__file__).resolve().parents[3]
SMALL_PARTS = {
    "dnallm_core.tasks.embedding.PART_BASES": 150,
    "dnallm_core.tasks.scoring.PART_BASES": 150,
    "dnallm_core.tasks.variants.PART_VARIANTS": 5,
    "dnallm_core.tasks.scanning.PART_SHARED": 13,
    "dnallm_core.tasks.scanning.PART_POSITIONS": 13,
    "dnallm_core.tasks.generation.PART_PROMPTS": 2,
}


@pytest.fixture
def bench(toy, tmp_path, monkeypatch):
    """A folder with a toy of each kind, reads, a genome and variants, and parts of a few items."""
    toy("toy")
    toy("toy-causal")
    monkeypatch.chdir(tmp_path)
    draw = random.Random(4)
    reads = ["".join(draw.choices("ACGT", k=draw.randint(5, 60))) for _ in range(60)]
    Path("reads.fa").write_text("".join(f">r{n}\n{each}\n" for n, each in enumerate(reads)))
    Path("others.fa").write_text(">r\nACGTACG\n")
    genome = "".join(draw.choices("ACGT", k=400))
    Path("genome.fa").write_text(f">c\n{genome}\n")
    places = sorted(draw.sample(range(1, 400), 23))
    rows = [f"c\t{at}\t.\t{genome[at - 1]}\t{'ACGT'.strip(genome[at - 1])[0]}" for at in places]
    Path("v.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(f"{row}\t.\t.\t.\n" for row in rows)
    )
    for name, most in SMALL_PARTS.items():
        monkeypatch.setattr(name, most)
    return tmp_path


def _command(job, family="toy"):
    return [*job.split(), "--weights", f"{family}-0", "--device", "cpu", "--quiet"]


EMBED = _command("embed toy reads.fa")


def _content(path):
    if path.is_dir():
        return {
            each.relative_to(path).as_posix(): each.read_bytes()
            for each in path.rglob("*")
            if each.is_file()
        }
    return path.read_bytes()


def _shards(command, output, of, numbers=None):
    for number in numbers or range(1, of + 1):
        assert run([*command, "-o", output, "--shard", f"{number}/{of}"]) == 0


@pytest.mark.parametrize(
    ("job", "output"),
    [
        ("embed toy reads.fa", "o.tsv"),
        ("embed toy reads.fa --tokens", "o.npz"),
        ("embed toy genome.fa --window 40 --stride 20 --both-strands", "o.zarr"),
        ("embed toy reads.fa --pooling max", "o.parquet"),
        ("logits toy reads.fa", "o.tsv.gz"),
        ("score toy genome.fa --per-base --window 40 --stride 20", "o.bw"),
        ("variants toy v.vcf --genome genome.fa --window 30", "o.vcf"),
        ("variants toy v.vcf --genome genome.fa --window 30", "o.tsv"),
        ("variants toy v.vcf --genome genome.fa --window 30 --effect embedding-distance", "o.vcf"),
        ("scan toy --genome genome.fa --region c:20-90 --window 30", "o.tsv"),
        ("generate toy-causal reads.fa --bases 5 --samples 2", "o.fa"),
    ],
)
def test_shards_of_every_job_merge_to_the_same_bytes(bench, job, output):
    command = _command(job, "toy-causal" if "causal" in job else "toy")
    assert run([*command, "-o", output]) == 0
    Path(output).rename(f"one-{output}")
    record = json.loads(Path(f"{output}.run.json").read_text())
    _shards(command, output, 3)
    assert run(["merge", output, "--quiet"]) == 0
    assert _content(Path(output)) == _content(Path(f"one-{output}"))
    merged = json.loads(Path(f"{output}.run.json").read_text())
    assert merged["settings"] == record["settings"]
    assert merged["parts"] == record["parts"] > 3
    assert sum(each["parts"] for each in merged["shards"]) == record["parts"]


def test_a_merged_output_can_be_repeated_whole(bench):
    _shards(EMBED, "o.tsv", 2)
    assert run(["merge", "o.tsv", "--quiet"]) == 0
    assert run(["rerun", "o.tsv", "-o", "again.tsv", "--quiet"]) == 0
    assert Path("again.tsv").read_bytes() == Path("o.tsv").read_bytes()


def test_a_shard_that_was_interrupted_goes_on(bench, monkeypatch):
    from dnallm_core.tasks.run import Run

    saved = []

    def failing(self, number, table, save=Run.save):
        if len(saved) == 2:
            raise ConnectionError("the file system went away")
        saved.append(number)
        save(self, number, table)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "save", failing)
        assert run([*EMBED, "-o", "o.tsv", "--shard", "2/2"]) != 0
    assert not Path("o.tsv.shard-2-of-2").exists()
    _shards(EMBED, "o.tsv", 2)
    record = json.loads(Path("o.tsv.shard-2-of-2/shard.json").read_text())
    assert record["resumed_parts"] == 2
    assert run([*EMBED, "-o", "one.tsv"]) == 0
    assert run(["merge", "o.tsv", "--quiet"]) == 0
    assert Path("o.tsv").read_bytes() == Path("one.tsv").read_bytes()


def test_more_shards_than_parts_are_no_harm(bench):
    command = _command("scan toy --genome genome.fa --region c:20-45 --window 30")  # two parts
    _shards(command, "o.tsv", 5)
    assert run(["merge", "o.tsv", "--quiet"]) == 0
    assert len(Path("o.tsv").read_text().splitlines()) == 1 + 3 * 26


def _refused(capsys, *arguments):
    code = run(["merge", "o.tsv", "--quiet", *arguments])
    assert not Path("o.tsv").exists()
    return code, capsys.readouterr().err


def test_a_missing_and_a_doubled_shard_are_refused(bench, capsys):
    _shards(EMBED, "o.tsv", 4, [1, 3])
    code, said = _refused(capsys)
    assert code == 2
    assert "Of 4 shards, 2 are missing: 2, 4. Run with --shard 2/4, and merge then." in said
    shutil.copytree("o.tsv.shard-3-of-4", "copy")
    code, said = _refused(capsys, "o.tsv.shard-1-of-4", "o.tsv.shard-3-of-4", "copy")
    assert code == 2
    assert "Shard 3 of 4 is there twice: o.tsv.shard-3-of-4 and copy." in said
    assert "There is no shard to make" in _merge_of_nothing(capsys)


def _merge_of_nothing(capsys):
    assert run(["merge", "nothing.tsv"]) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ("embed toy reads.fa --pooling max", "it is of another run (pooling is max, not mean)"),
        ("embed toy others.fa", "it is of another run (input_sha256 is"),
        ("score toy reads.fa", "it is of another run ("),
    ],
)
def test_a_shard_of_another_run_is_refused(bench, capsys, other, said):
    _shards(EMBED, "o.tsv", 2, [1])
    _shards(_command(other), "other.tsv", 2, [2])
    code, found = _refused(capsys, "o.tsv.shard-1-of-2", "other.tsv.shard-2-of-2")
    assert code == 2
    assert "other.tsv.shard-2-of-2 does not belong to o.tsv.shard-1-of-2" in found
    assert said in found


def test_shards_of_other_numbers_are_refused(bench, capsys):
    _shards(EMBED, "o.tsv", 2, [1])
    _shards(EMBED, "o.tsv", 3, [2])
    code, said = _refused(capsys, "o.tsv.shard-1-of-2", "o.tsv.shard-2-of-3")
    assert code == 2
    assert "is one of 3 shards, and o.tsv.shard-1-of-2 one of 2" in said


def test_a_shard_of_other_weights_is_refused_by_their_hash(bench, toy, capsys):
    _shards(EMBED, "o.tsv", 2, [1])
    toy("toy", seed=1)
    Path("toy-1/model.safetensors").replace("toy-0/model.safetensors")
    _shards(EMBED, "o.tsv", 2, [2])
    code, said = _refused(capsys)
    assert code == 2
    assert re.search(r"it has other weights \(SHA-256 of the tensors \w{16}…, not \w{16}…\)", said)


def test_a_shard_of_other_versions_is_refused(bench, capsys):
    _shards(EMBED, "o.tsv", 2)
    path = Path("o.tsv.shard-2-of-2/shard.json")
    record = json.loads(path.read_text())
    record["identity"]["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(record))
    code, said = _refused(capsys)
    assert code == 2
    assert "it has another version of torch (1.0, not " in said


def test_a_damaged_an_unfinished_and_a_foreign_folder_are_refused(bench, capsys):
    _shards(EMBED, "o.tsv", 2)
    part = next(Path("o.tsv.shard-2-of-2").glob("part-*.npz"))
    part.write_bytes(part.read_bytes()[:-1])
    code, said = _refused(capsys)
    assert code == 3
    assert f"{part} is damaged: it is not what shard 2 computed." in said
    Path("o.tsv.shard-1-of-2.partial").mkdir()
    code, said = _refused(capsys, "o.tsv.shard-1-of-2.partial")
    assert code == 2
    assert "is unfinished. Run that shard again" in said
    code, said = _refused(capsys, "toy-0")
    assert code == 2
    assert "toy-0 is no shard of a run." in said


def test_another_ending_is_refused(bench, capsys):
    _shards(EMBED, "o.tsv", 1)
    assert run(["merge", "o.npz", "o.tsv.shard-1-of-1"]) == 2
    assert "o.npz: the shards were run for o.tsv." in capsys.readouterr().err


def test_what_is_read_once_is_not_divided(bench, capsys):
    command = [word if word != "reads.fa" else "-" for word in EMBED]
    assert run([*command, "-o", "o.tsv", "--shard", "1/2"]) == 2
    assert "Standard input and pipes are read once" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0/4", "5/4", "3", "a/b", "1/0", "-1/4"])
def test_a_shard_is_written_as_one_of_so_many(text):
    with pytest.raises(RequirementError, match="is no shard"):
        which(text)


def test_every_part_is_in_one_shard_and_shards_are_of_like_length():
    draw = random.Random(2)
    for of in (1, 2, 7, 16):
        plan = Plan(tuple(draw.randint(50, 150) for _ in range(400)))
        shards = [plan.shard(number, of) for number in range(1, of + 1)]
        assert [part for shard in shards for part in shard] == list(range(400))
        sizes = [sum(plan.sizes[part] for part in shard) for shard in shards]
        assert max(sizes) - min(sizes) <= 2 * 150
    long = Plan((10, 10, 1000, 10))  # one part is longer than any fair share
    assert [part for number in range(1, 5) for part in long.shard(number, 4)] == [0, 1, 2, 3]


def _scripts():
    page = (ROOT / "docs/many-machines.md").read_text()
    return re.findall(r"^```bash\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


def _run_script(text, folder, **variables):
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", text], check=True, cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PATH": path, **variables},
    )  # fmt: skip
    return done.stdout


def _as_dnallm(folder, line):
    (folder / "dnallm").write_text(f"#!/bin/sh\n{line}\n")
    (folder / "dnallm").chmod(0o755)


def test_the_tasks_of_the_slurm_array_are_the_shards_each_once(tmp_path):
    array, joining = _scripts()[:2]
    tasks = int(re.search(r"--array=1-(\d+)", array)[1])
    _as_dnallm(tmp_path, 'echo "$@"')
    asked = [
        which(_run_script(array, tmp_path, SLURM_ARRAY_TASK_ID=str(task)).split()[-1])
        for task in range(1, tasks + 1)
    ]
    assert asked == [(number, tasks) for number in range(1, tasks + 1)]
    assert _run_script(joining, tmp_path).split() == ["merge", "genome.npz"]


@pytest.mark.environment
def test_the_slurm_script_of_the_docs_gives_what_one_run_gives(tmp_path):
    array, joining = _scripts()[:2]
    genome = ROOT / "docs/demo/data/ecoli_536_4618001_4638000.fa"
    text = "".join(genome.read_text().splitlines()[1:])
    copies = "".join(f">c{number}\n{text}\n" for number in range(20))  # 4 parts
    (tmp_path / "genome.fa").write_text(copies)
    _as_dnallm(tmp_path, f'exec "{sys.executable}" -m dnallm_core "$@"')
    for task in range(1, 5):
        _run_script(array, tmp_path, SLURM_ARRAY_TASK_ID=str(task))
    record = json.loads((tmp_path / "genome.npz.shard-4-of-4/shard.json").read_text())
    assert record["plan"]["parts"] == 4
    _run_script(joining, tmp_path)
    _run_script("dnallm embed caduceus-ecoli-tiny genome.fa --window 512 -o one.npz", tmp_path)
    assert (tmp_path / "genome.npz").read_bytes() == (tmp_path / "one.npz").read_bytes()
