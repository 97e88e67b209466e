"""``dnallm.toml`` -> rows, or every mistake at once as ``path:line: where: what, did you mean …``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version
from pydantic import BaseModel, ValidationError

from ..errors import ManifestError, did_you_mean, nearest
from . import schema
from .lines import line_of

try:
    import tomllib as tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib  # type: ignore[no-redef]

LARGEST = 8_000_000  # bytes; a manifest is written by people


def read_rows(path: Path, *, package: str | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    """The resolved families and models of a manifest file.

    ``package``: the top-level package that declares it; implementations must lie inside.
    Raises ManifestError with every problem found.
    """
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError([f"{path}: this is not valid TOML: {error}."], path=path) from error
    except RecursionError as error:
        raise ManifestError([f"{path}: tables are nested too deeply."], path=path) from error
    _check_numbers(path, text, content)
    try:
        table = schema.ManifestTable.model_validate(content)
    except ValidationError as error:
        problems = [_explain(path, text, each) for each in error.errors()]
        raise ManifestError(list(dict.fromkeys(problems)), path=path) from error
    rows = schema.resolve(table)
    problems = [
        f"{path}:{line_of(text, where)}: {'.'.join(where)}: {what}."
        for where, what in _disagreements(table, rows, package)
    ]
    if problems:
        raise ManifestError(problems, path=path)
    return rows


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ManifestError(
                [f"{path}: a manifest of {size:,} bytes is not read (limit {LARGEST:,})."],
                path=path,
            )
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError as error:
        raise ManifestError([f"{path}: the file does not exist."], path=path) from error
    except UnicodeDecodeError as error:
        raise ManifestError(
            [f"{path}: this is not text (byte {error.start} is not UTF-8)."], path=path
        ) from error
    except OSError as error:
        raise ManifestError([f"{path}: cannot be read: {error.strerror}."], path=path) from error


def _check_numbers(path: Path, text: str, content: dict[str, Any]) -> None:
    """Refuse another format or interface first: the rest may not be ours to judge."""
    found = content.get("schema")
    if isinstance(found, int) and found != schema.SCHEMA:
        newer = found > schema.SCHEMA
        raise ManifestError(
            [
                f"{path}:{line_of(text, ['schema'])}: schema: this core reads manifest format "
                f"{schema.SCHEMA}, the file is of format {found}."
            ],
            path=path,
            hint="Update dnallm-core." if newer else "Ask the plugin's author for a newer version.",
        )
    wanted = content.get("api")
    if isinstance(wanted, str):
        try:
            fits = Version(str(schema.API)) in SpecifierSet(wanted)
        except InvalidSpecifier:
            raise ManifestError(
                [
                    f"{path}:{line_of(text, ['api'])}: api: {wanted!r} is no range of versions; "
                    'write ">=1,<2".'
                ],
                path=path,
            ) from None
        if not fits:
            raise ManifestError(
                [
                    f"{path}:{line_of(text, ['api'])}: api: the plugin works with interface "
                    f"{wanted}; this core has interface {schema.API}."
                ],
                path=path,
                hint="Update the plugin or dnallm-core, whichever is older.",
            )


def _explain(path: Path, text: str, error: Any) -> str:
    where = [str(each) for each in error["loc"] if each not in ("[key]",)]
    # pydantic names the branches of unions in its paths; a reader of TOML knows no such branches
    where = [each for each in where if not each.startswith(("dict[", "list[", "function-"))]
    what = error["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip(".")
    hint = ""
    if error["type"] == "extra_forbidden":
        what = "there is no such field"
        hint = did_you_mean(nearest(where[-1], _fields_at(where[:-1]), limit=1))
    elif error["type"] == "missing":
        what = "is missing"
    elif error["type"] == "literal_error":
        options = [str(each) for each in _options(error["ctx"]["expected"])]
        what = f"{error['input']!r} is not one of {', '.join(options)}"
        if isinstance(error["input"], str):
            hint = did_you_mean(nearest(error["input"], options, limit=1))
    elif error["type"] in ("int_type", "float_type", "string_type", "bool_type"):
        what = f"{what[0].lower()}{what[1:]}, not {error['input']!r}"
    else:
        what = f"{what[0].lower()}{what[1:]}"
    place = f"{path}:{line_of(text, where)}: {'.'.join(where) or 'the file'}: {what}."
    return f"{place} {hint}".strip()


def _options(expected: str) -> list[str]:
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]


def _fields_at(where: list[str]) -> list[str]:
    """The field names of the table that a path of the file leads to."""
    table: type[BaseModel] | None = schema.ManifestTable
    rest = list(where)
    if len(rest) > 1 and rest[0] in ("families", "models"):
        table = schema.FamilyTable if rest[0] == "families" else schema.ModelTable
        rest = rest[2:]
    for part in rest:
        if part.isdigit() or table is None:
            continue
        field = table.model_fields.get(part)
        table = _table_in(field.annotation) if field else None
    if table is None:
        return []
    return [field.alias or name for name, field in table.model_fields.items()]


def _table_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        if found := _table_in(part):
            return found
    return None


def _disagreements(
    table: schema.ManifestTable, rows: dict[str, Any], package: str | None
) -> Iterator[tuple[list[str], str]]:
    taken: dict[str, str] = {}
    for key, model in table.models.items():
        if model.family not in table.families:
            hint = did_you_mean(nearest(model.family, table.families, limit=1))
            yield (
                ["models", key, "family"],
                f"no family {model.family!r} in this file. {hint}".rstrip(". "),
            )
            continue
        for name in (key, *model.aliases):
            other = taken.setdefault(name.lower(), key)
            if other != key:
                yield ["models", key, "aliases"], f"{name!r} is also a name of {other!r}"
        for field, what in schema.contradictions(rows["models"][key]):
            yield ["models", key, field], what
        implementation = rows["models"][key]["implementation"]
        if package and implementation.split(":")[0].split(".")[0] != package:
            yield (
                ["models", key, "implementation"],
                f"{implementation} lies outside the plugin's package {package}",
            )
        yield from _tokenizer_mistakes(["models", key], rows["models"][key]["tokenizer"])
    for key in table.families:
        for field, what in schema.contradictions(rows["families"][key]):
            yield ["families", key, field], what
        implementation = rows["families"][key]["implementation"]
        if package and implementation.split(":")[0].split(".")[0] != package:
            yield (
                ["families", key, "implementation"],
                f"{implementation} lies outside the plugin's package {package}",
            )
        yield from _tokenizer_mistakes(["families", key], rows["families"][key]["tokenizer"])


def _tokenizer_mistakes(where: list[str], specs: Any) -> Iterator[tuple[list[str], str]]:
    try:
        from ..sequences.tokenizers.kinds import mistakes
    except ImportError:  # pragma: no cover
        return
    for spec in specs if isinstance(specs, list) else [specs]:
        for what in mistakes(spec):
            yield [*where, "tokenizer"], what
