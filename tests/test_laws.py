"""The laws of the house, each held against the code itself."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "dnallm_core/src/dnallm_core"
PLUGINS = sorted((ROOT / "plugins").iterdir())

# from the top down: a floor may import those below it, never above
FLOORS = [
    {"cli"},
    {"opening"},
    {"testing", "measuring", "scaffold", "pretraining"},
    {"training"},
    {"tasks"},
    {"loading", "models", "choosing", "comparing"},
    {"checkpoints", "weights", "hooks", "quantisation", "spreading"},
    {"selector", "selection", "evidence", "comparing"},
    {"footprint", "resources"},
    {"catalog"},
    {"capabilities"},
    {"criteria"},
    {"plugins", "index"},
    {"manifest"},
    {"sequences"},
    {"values"},
    {"errors"},
]


def _modules(folder):
    return sorted(path for path in folder.rglob("*.py") if "templates" not in path.parts)


def _imports(path, package_root):
    """Absolute names of what a module imports; those for type checking alone left out."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.body = []
    root = package_root.parent if path.is_relative_to(package_root) else path.parent
    home = path.relative_to(root).with_suffix("").parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = home[: len(home) - node.level]
                if path.name == "__init__.py":
                    base = home[:-1][: len(home) - node.level]
                stem = ".".join([*base, *(node.module.split(".") if node.module else [])])
            else:
                stem = node.module or ""
            yield stem
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def _floor(name):
    for number, floor in enumerate(FLOORS):
        if name in floor:
            return number
    return None


ORDINARY_WORDS = {"generator"}  # also what draws random numbers


def test_the_core_names_no_model_and_no_family():
    from dnallm_core.manifest.reader import tomllib

    families = set()
    for plugin in PLUGINS:
        for manifest in plugin.glob("src/*/dnallm.toml"):
            families |= set(tomllib.loads(manifest.read_text())["families"])
    assert len(families) > 5
    offenders = []
    for path in _modules(CORE):
        tree = ast.parse(path.read_text())
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module, ast.AsyncFunctionDef))
            and node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
        }
        for node in ast.walk(tree):
            text = None
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = None if id(node) in docstrings else node.value
            elif isinstance(node, ast.Name) and node.id not in ORDINARY_WORDS:
                text = node.id
            if text is None:
                continue
            for family in families:
                if re.search(rf"(?<![\w-]){re.escape(family)}(?![\w])", text, re.IGNORECASE):
                    offenders.append(f"{path.relative_to(ROOT)}: {family}: {text[:60]!r}")
    assert offenders == []


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_imports_the_core_and_never_another_plugin(plugin):
    own = next((plugin / "src").iterdir()).name
    others = {next((each / "src").iterdir()).name for each in PLUGINS} - {own}
    for path in [*_modules(plugin / "src"), *_modules(plugin / "tests")]:
        tops = {name.split(".")[0] for name in _imports(path, plugin / "src" / own)}
        assert not tops & others, path


def test_imports_of_the_core_run_one_way():
    wrong = []
    for path in _modules(CORE):
        here = path.relative_to(CORE).parts[0].removesuffix(".py")
        if here in ("__init__", "__main__"):
            continue
        level = _floor(here)
        assert level is not None, f"{here} stands on no floor: add it to FLOORS"
        for name in _imports(path, CORE):
            parts = name.split(".")
            if parts[0] != "dnallm_core" or len(parts) < 2:
                continue
            other = _floor(parts[1])
            if other is not None and other < level:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert sorted(set(wrong)) == []


def _loaded_by(code, *arguments):
    script = f"{code}\nimport sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True,
        cwd="/",
    )  # fmt: skip
    return set(json.loads(done.stderr.splitlines()[-1]))


HEAVY = {"torch", "transformers", "numpy", "huggingface_hub"}
PACKAGES = {next((each / "src").iterdir()).name for each in PLUGINS}


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "--json"],
        ["models", "--task", "generation"],
        ["plugins", "--json"],
        ["select", "--task", "embedding", "--memory", "24GB", "--json"],
    ],
    ids=" ".join,
)
def test_asking_imports_no_torch_no_numpy_and_no_plugin(arguments):
    code = (
        "import io, sys, contextlib\nfrom dnallm_core.cli.main import run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n    assert run(sys.argv[1:]) == 0"
    )
    loaded = _loaded_by(code, *arguments)
    assert not loaded & (HEAVY | PACKAGES)
    if arguments[0] == "models":
        assert "pydantic" not in loaded


def test_listing_works_where_torch_is_not_installed():
    code = (
        "import sys\n"
        "for name in ('torch', 'transformers', 'numpy'): sys.modules[name] = None\n"
        "import dnallm_core\n"
        "zoo = dnallm_core.catalog()\n"
        "assert len(zoo) > 100\n"
        "assert dnallm_core.select(task='embedding', memory='24GB').best"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/", capture_output=True)


FORBIDDEN = {
    r"trust_remote_code\s*=\s*True": "remote code",
    r"\bpickle\.(load|loads)\b": "unpickling",
    r"weights_only\s*=\s*False": "unpickling",
    r"subprocess[^\n]*\bpip\b": "installing",
    r"\bos\.system\b": "a shell",
    r"\beval\(": "eval",
}


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_code_of_others_runs_and_nothing_is_installed(pattern):
    sources = [*_modules(CORE), *(path for each in PLUGINS for path in _modules(each / "src"))]
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path in sources
        for line in path.read_text().splitlines()
        if re.search(pattern, line) and ".eval()" not in line and "#" not in line.split(".eval")[0]
    ]
    assert found == []


def test_generated_files_are_what_the_manifests_say():
    done = subprocess.run(
        [sys.executable, "tools/registry.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_no_file_of_code_is_longer_than_it_can_be_read():
    sources = [*_modules(CORE), *(path for each in PLUGINS for path in _modules(each / "src"))]
    long = {
        str(path.relative_to(ROOT)): count
        for path in sources
        if (count := len(path.read_text().splitlines())) > 600
    }
    assert long == {}
