"""What the commands that learn share: flags of labelled data and splits, and how a trial is read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import print_json, print_table, say

if TYPE_CHECKING:
    from ..models import Model
    from ..training.trial import Trial


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Add labelled data, how it is split, and the folder of the report."""
    parser.add_argument(
        "input", help="labelled sequences: CSV, TSV, Parquet, or FASTA with labels in the titles"
    )
    group = parser.add_argument_group("labels")
    group.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="COLUMN",
        help="the column of labels; several times for several columns (default: label)",
    )
    group.add_argument(
        "--kind",
        help="classification, multi-label, regression, token-classification (default: told)",
    )
    group.add_argument("--column", help="the column of sequences")
    group.add_argument("--name-column", help="the column of names")
    group.add_argument(
        "--skip-empty", action="store_true", help="leave out rows without a sequence"
    )
    group = parser.add_argument_group("what is held back")
    group.add_argument("--test", metavar="FILE", help="labelled sequences to be judged by")
    group.add_argument(
        "--split",
        help="identity (default: near-duplicates stay together), random, group or chromosome",
    )
    group.add_argument(
        "--group", metavar="COLUMN", help="the column of groups or chromosomes to split by"
    )
    group.add_argument("--seed", type=int, default=0, help="of splits and random numbers")
    group = parser.add_argument_group("what is read of the model")
    group.add_argument(
        "--layer", type=int, default=-1, help="0 the embedding, -1 what the head reads"
    )
    group.add_argument("--both-strands", action="store_true", help="the mean over both strands")
    parser.add_argument("--no-baselines", action="store_true", help="leave out k-mers and CNN")
    parser.add_argument(
        "-o", "--output", required=True, metavar="FOLDER", type=Path, help="a folder, made anew"
    )
    parser.add_argument("--overwrite", action="store_true", help="use a folder that holds a run")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def read_trial(options: argparse.Namespace, *, number: int | None, share: float = 0.2) -> Trial:
    """The rows to learn from and those held back, as the flags say."""
    from ..training.labelled import read_labelled
    from ..training.trial import trial_of

    group = options.group
    if options.split == "chromosome" and group is None:
        group = "chromosome"
    how = options.split or ("group" if group is not None else None)
    common = {
        "label": options.label,
        "column": options.column,
        "name_column": options.name_column,
        "skip_empty": options.skip_empty,
    }
    training = read_labelled(options.input, kind=options.kind, group=group, **common)
    test = None if options.test is None else read_labelled(options.test, like=training, **common)
    if test is not None:
        how = options.split
    trial = trial_of(training, test, how=how, share=share, number=number, seed=options.seed)
    if not options.quiet:
        for note in trial.notes:
            say(note)
    return trial


def report_of(
    options: argparse.Namespace,
    model: Model,
    trial: Trial,
    methods: list[dict[str, Any]],
    **settings: Any,
) -> dict[str, Any]:
    """What goes into ``report.json``."""
    from ..tasks.run import file_digest, provenance

    digests = {
        Path(each).name: file_digest(Path(each))
        for each in (options.input, options.test)
        if each is not None and Path(each).is_file()
    }
    return {
        "task": settings.pop("task"),
        "model": dict(model.provenance),
        "kind": trial.labelled.kind,
        "classes": list(trial.labelled.classes),
        "data": {
            "file": Path(options.input).name,
            "rows": len(trial.labelled),
            "sha256": digests,
        },
        "split": {**trial.split, "seed": options.seed},
        "settings": settings,
        "notes": trial.notes,
        "methods": methods,
        **provenance({}),
    }


def show(options: argparse.Namespace, report: dict[str, Any]) -> int:
    """Print the table of figures, or the whole report as JSON."""
    from ..training.report import table_of

    if options.json:
        print_json({"output": str(options.output), "report": report})
        return 0
    print_table(*table_of(report))
    if not options.quiet:
        say(f"wrote {options.output / 'report.html'}")
    return 0
