"""Every command in README and docs is run, in order, as a reader would."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# Pages that a test of their own follows, because the reader writes files between the commands.
FOLLOWED = {"contributing-a-model.md": ROOT / "tests/docs/test_contributing.py"}
# Set-up commands, by the test that runs them in a fresh environment.
SET_UP = {
    "make demo": ".ci/run",
    "make test": ".ci/run",
    'pip install ".[evo]"': "tests/packaging/test_distributions.py",
}


def _blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def _commands(page):
    return [
        line[2:]
        for block in _blocks(page, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


@pytest.fixture
def folder(tmp_path):
    """The files that the pages speak of."""
    genome = ROOT / "docs/demo/data/ecoli_536_4618001_4638000.fa"
    (tmp_path / "genome.fa").write_text(genome.read_text())
    sequence = "".join(genome.read_text().splitlines()[1:])
    (tmp_path / "variants.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        + "".join(
            f"NC_008253.1:4618001-4638000\t{at}\t.\t{sequence[at - 1]}\t"
            f"{'A' if sequence[at - 1] != 'A' else 'G'}\t.\t.\t.\n"
            for at in (1000, 2000, 3000)
        )
    )
    (tmp_path / "reads.csv").write_text(
        "name,sequence\n" + "".join(f"r{n},{sequence[n * 100 : n * 100 + 90]}\n" for n in range(5))
    )
    (tmp_path / "labelled.csv").write_text(
        "name,sequence,label,gene\n"
        + "".join(
            f"r{n},{sequence[n * 200 : n * 200 + 90]},{'yes' if n % 2 else 'no'},gene{n // 3}\n"
            for n in range(40)
        )
    )
    return tmp_path


@pytest.mark.parametrize(
    "page",
    [each for each in PAGES if _commands(each) and each.name not in FOLLOWED],
    ids=lambda path: path.name,
)
def test_the_commands_of_a_page_work_in_order(page, folder):
    bins = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{bins}{os.pathsep}{os.environ['PATH']}",
        "DNALLM_CACHE": str(folder / "cache"),
    }
    for command in _commands(page):
        words = shlex.split(command)
        if words[0] == "dnallm":
            words = [sys.executable, "-m", "dnallm_core", *words[1:]]
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize(
    "page", [each for each in PAGES if _blocks(each, "python")], ids=lambda path: path.name
)
def test_the_python_of_a_page_runs(page, folder):
    code = "\n".join(_blocks(page, "python"))
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_page_that_is_followed_elsewhere_is(name):
    assert name in FOLLOWED[name].read_text()


def test_every_set_up_command_is_run_somewhere():
    commands = {
        line.strip()
        for page in PAGES
        for block in _blocks(page, "sh")
        for line in block.splitlines()
        if line.strip() and not line.startswith("#")
    }
    assert commands <= set(SET_UP)


def test_every_link_leads_somewhere():
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
