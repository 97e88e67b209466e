"""The tutorial, followed literally from an empty folder: its files written, its commands run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs/contributing-a-model.md"
BLOCK = re.compile(r"^```(\w+)(?: (\w+)=(\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def install(home: Path, site: Path) -> None:
    """What ``pip install -e`` leaves: the sources on the path and the metadata beside them."""
    from dnallm_core.manifest.reader import tomllib

    project = tomllib.loads((home / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    needs = "".join(f"Requires-Dist: {each}\n" for each in project["dependencies"])
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n{needs}"
    )
    text = ""
    for group, entries in project["entry-points"].items():
        text += f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
    (info / "entry_points.txt").write_text(text)


def test_the_tutorial_works_as_it_is_written(tmp_path):
    folder, site = tmp_path / "empty", tmp_path / "site"
    folder.mkdir()
    site.mkdir()
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(site), str(folder / "dnallm-tidal/src")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "DNALLM_CACHE": str(tmp_path / "cache"),
    }
    said: list[str] = []
    for kind, what, place, text in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if what == "file":
            (folder / place).write_text(text)
        elif what == "append":
            path = folder / place
            path.write_text(path.read_text() + "\n" + text)
        elif kind == "console":
            said = []
            for line in text.splitlines():
                command = line.removeprefix("$ ")
                if command.startswith("pip install"):
                    install(folder / "dnallm-tidal", site)
                    continue
                done = subprocess.run(
                    ["bash", "-c", command],
                    cwd=folder, env=environment, capture_output=True, text=True, check=False,
                )  # fmt: skip
                assert done.returncode == 0, (
                    f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
                )
                said += (done.stdout + done.stderr).splitlines()
        elif kind == "text":
            for line in text.splitlines():
                pattern = re.escape(line).replace("…", ".*")
                assert any(re.fullmatch(pattern, each) for each in said), (line, said[-12:])
    assert (folder / "registry.d/dnallm-tidal.toml").is_file()
    assert (folder / "conformance.xml").is_file()
    assert 'tier = "true"' in (folder / "registry.d/dnallm-tidal.toml").read_text()
