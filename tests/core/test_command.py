"""The command as a user meets it: sentences, exit codes, data on stdout and talk on stderr."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from dnallm_core.cli.main import COMMANDS, run

ROWS = 30


@pytest.fixture
def command(laboratory, toy, tmp_path, monkeypatch, capsys):
    """Run the command in this process beside a toy checkpoint and a few files."""
    toy("toy")
    toy("toy-causal")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.fa").write_text(">a\nACGTACGT\n>b\nTTGACA\n")
    (tmp_path / "genome.fa").write_text(">chr1\n" + "ACGGTTACGA" * 20 + "\n")
    capsys.readouterr()

    def call(*arguments):
        code = run([str(each) for each in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def _embed(*arguments, model="toy", weights="toy-0"):
    return ["embed", model, "--weights", weights, "--device", "cpu", *arguments]


def test_embedding_a_file_talks_on_stderr_alone(command, tmp_path):
    code, out, err = command(*_embed("in.fa", "-o", "out.tsv"))
    assert (code, out) == (0, "")
    assert "toy on cpu in float32" in err
    assert "wrote out.tsv" in err
    assert len((tmp_path / "out.tsv").read_text().splitlines()) == 3


def test_every_command_explains_itself(command):
    code, out, _ = command("--help")
    assert code == 0
    for name in COMMANDS:
        assert f"  {name}" in out


def test_an_unknown_command_names_the_nearest(command):
    code, _, err = command("modles")
    assert code == 2
    assert 'Did you mean "models"?' in err


BAD_INPUT = {
    "no such file": (["absent.fa"], "absent.fa"),
    "a directory": (["."], "directory"),
    "an empty file": (["empty.fa"], "empty"),
    "binary junk": (["junk.fa"], "junk.fa"),
    "FASTA without a header": (["headless.fa"], "headless.fa"),
    "letters outside IUPAC": (["letters.fa"], "position 3"),
    "beyond a hard limit": (["long.fa"], "dnallm models --length 65"),
}


@pytest.mark.parametrize("kind", BAD_INPUT)
def test_bad_input_is_a_sentence_and_exit_code_2(command, tmp_path, kind):
    (tmp_path / "empty.fa").write_text("")
    (tmp_path / "junk.fa").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "headless.fa").write_text("ACGT\n>a\nACGT\n")
    (tmp_path / "letters.fa").write_text(">a\nAC!T\n")
    (tmp_path / "long.fa").write_text(">a\n" + "A" * 65 + "\n")
    arguments, sentence = BAD_INPUT[kind]
    code, out, err = command(*_embed(*arguments, "-o", "out.tsv"))
    assert code == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "out.tsv").exists()


def test_an_unknown_model_and_requirement_have_neighbours(command):
    code, _, err = command("embed", "toy-l", "in.fa", "-o", "out.tsv")
    assert code == 2
    assert '"toy-1"' in err
    code, _, err = command("models", "--task", "embeding")
    assert code == 2
    assert 'Did you mean "embedding"' in err
    code, _, err = command("models", "--length", "12 parsecs")
    assert code == 2
    assert "is no length" in err


def test_an_output_that_exists_is_kept(command, tmp_path):
    (tmp_path / "out.tsv").write_text("precious")
    code, _, err = command(*_embed("in.fa", "-o", "out.tsv"))
    assert code == 2
    assert "exists already" in err
    assert (tmp_path / "out.tsv").read_text() == "precious"


def test_a_wrong_checkpoint_lists_its_keys_and_exits_2(command):
    code, _, err = command(*_embed("in.fa", "-o", "out.tsv", model="toy-causal"))
    assert code == 2
    assert "missing: transformer.h.0.attn.c_attn.bias" in err
    assert "left over: bert.embeddings" in err


def test_a_full_disk_is_exit_code_3_and_says_how_to_go_on(command, monkeypatch):
    import dnallm_core.tasks.run as runs

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(runs, "write_part", full)
    code, _, err = command(*_embed("in.fa", "-o", "out.tsv"))
    assert code == 3, err
    assert "The disk is full: out.tsv could not be finished." in err
    assert "it goes on from there" in err


def test_nothing_that_fits_is_exit_code_4_with_all_json(command):
    code, out, _ = command(
        "select", "--task", "generation", "--memory", "0.1GB", "--trained-on", "virus", "--json"
    )
    assert code == 4
    answer = json.loads(out)
    assert answer["ranked"] == []
    assert answer["rejected"]


def test_a_bug_of_ours_is_exit_code_1_and_asks_for_a_report(command, monkeypatch):
    import dnallm_core.cli.models as models

    monkeypatch.setattr(models, "catalog", lambda: 1 / 0)
    code, _, err = command("models")
    assert code == 1
    assert "this is a bug of dnallm: ZeroDivisionError" in err


def test_json_has_one_envelope_and_nulls_rather_than_missing_keys(command):
    _, out, _ = command("models", "--json")
    answer = json.loads(out)
    assert answer["schema"] == 1
    assert len({tuple(sorted(each)) for each in answer["models"]}) == 1
    row = next(each for each in answer["models"] if each["id"] == "toy-1")
    assert row["installed"] is True
    assert row["max_tokens"] is None


def test_models_are_filtered_by_what_they_can_do(command):
    _, out, _ = command("models", "--trained-on", "virus", "--task", "variant-effect", "--json")
    assert "toy-1" in {each["id"] for each in json.loads(out)["models"]}
    _, out, _ = command("models", "--length", "1kb", "--json")
    assert "toy-1" not in {each["id"] for each in json.loads(out)["models"]}


def test_variants_scan_and_score_write_what_they_say(command, tmp_path):
    (tmp_path / "v.txt").write_text("chr1:5:T:A\nchr1:9:G:C\n")
    flags = ["--weights", "toy-0", "--device", "cpu", "--quiet"]
    assert (
        command("variants", "toy", "v.txt", "--genome", "genome.fa", "-o", "v.tsv", *flags)[0] == 0
    )
    assert len((tmp_path / "v.tsv").read_text().splitlines()) == 3
    assert (
        command(
            "scan", "toy", "--genome", "genome.fa", "--region", "chr1:11-20", "-o", "s.tsv", *flags
        )[0]
        == 0
    )
    assert len((tmp_path / "s.tsv").read_text().splitlines()) == 31
    assert command("score", "toy", "in.fa", "-o", "score.tsv", *flags)[0] == 0
    assert command("logits", "toy", "in.fa", "-o", "logits.npz", *flags)[0] == 0
    code, _, err = command(
        "scan", "toy", "--genome", "genome.fa", "--region", "chr1:190-300", "-o", "t.tsv", *flags
    )
    assert code == 2
    assert "lies outside chr1, which has 200 bp" in err
    code, _, err = command("variants", "toy", "v.txt", "--genome", "in.fa", "-o", "x.tsv", *flags)
    assert code == 2
    assert "has no contig 'chr1'" in err


def test_generation_writes_fasta_and_repeats_with_its_seed(command, tmp_path):
    flags = ["--weights", "toy-causal-0", "--device", "cpu", "--quiet", "--seed", "7"]
    for name in ("a.fa", "b.fa"):
        assert (
            command("generate", "toy-causal", "--prompt", "ACGT", "--bases", "20bp", "--samples", "2",
                    "-o", name, *flags)[0]
            == 0
        )  # fmt: skip
    text = (tmp_path / "a.fa").read_text()
    assert text == (tmp_path / "b.fa").read_text()
    first, second = text.split(">")[1:]
    assert first.splitlines()[1] != second.splitlines()[1]
    assert set(first.splitlines()[1]) <= set("ACGT")
    assert len(first.splitlines()[1]) == 20


def test_a_pipe_that_closes_early_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m dnallm_core models --json | head -c 10",
        shell=True, capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert done.stderr == ""
    assert len(done.stdout) == 10


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_ctrl_c_is_exit_code_130_and_leaves_no_output_that_looks_whole(
    command, toy, tmp_path, laboratory
):
    (tmp_path / "many.fa").write_text("".join(f">r{n}\nACGTACGTAC\n" for n in range(400_000)))
    process = subprocess.Popen(
        [sys.executable, "-m", "dnallm_core", *_embed("many.fa", "-o", "out.npy")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(laboratory.folder)},
        stderr=subprocess.PIPE,
        text=True,
        # what a shell starts in the background ignores the signal, and so would what it starts
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    partial = tmp_path / "out.npy.partial"
    deadline = time.monotonic() + 120
    while not list(partial.glob("part-*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not (tmp_path / "out.npy").exists()
    assert partial.is_dir()


def test_every_command_of_the_overview_exists_and_explains_itself(capsys):
    import importlib

    for name, (module, _) in COMMANDS.items():
        importlib.import_module(f"dnallm_core.cli.{module}")
        assert run([name, "--help"]) == 0
        assert f"usage: dnallm {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("select", "--lenght", "5"),
            "dnallm: select does not take '--lenght'. Did you mean",
        ),
        (("select", "--resolution", "fine"), "resolution: 'fine' is no number of bp a token."),
        (("models", "--inputs", "alignmnt"), 'Did you mean "alignment"?'),
        (("models", "--family", "toi"), "family: there is no 'toi'."),
        (
            ("embed", "toy"),
            "required: -o/--output. `dnallm embed --help` lists what it takes.",
        ),
        (
            ("embed", "toy", "in.fa", "-o", "x.tsv", "--layer", "two"),
            "argument --layer: invalid int",
        ),
        (
            ("embed", "toy", "--weights", "toy-0", "in.fa", "-o", "x.tsv", "--device", "gpu"),
            "There is no device 'gpu' here. Use",
        ),
    ],
)
def test_a_wrong_flag_is_one_sentence(command, arguments, sentence):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_track_is_written_from_a_pipe(command, tmp_path, monkeypatch):
    bigwig = pytest.importorskip("pyBigWig")
    outputs = {}
    for given, output in (("in.fa", "file.bw"), ("-", "pipe.bw")):
        with (tmp_path / "in.fa").open() as piped:
            monkeypatch.setattr("sys.stdin", piped)
            arguments = ["score", "toy-causal", "--weights", "toy-causal-0", given, "--per-base"]
            code, _, err = command(*arguments, "--device", "cpu", "-o", output)
        assert code == 0, err
        outputs[output] = bigwig.open(str(tmp_path / output)).values("b", 1, 6)
    assert outputs["pipe.bw"] == outputs["file.bw"]
