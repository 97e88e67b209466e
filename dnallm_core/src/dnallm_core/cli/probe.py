"""Ask what a model knows already: linear models and neighbours on its frozen embeddings.

Beside them stand k-mer counts and a small convolutional net on the same rows. Without --test every
row is held back once, near-duplicates together.

  dnallm probe MODEL train.csv --test test.csv --label label -o probe/
  dnallm probe MODEL genes.csv --label expressed --group gene -o probe/
"""

from __future__ import annotations

import argparse

from .labelling import add_labelled, read_trial, report_of, show
from .output import say
from .running import add_model, open_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    add_labelled(parser)
    parser.add_argument("--folds", type=int, default=5, help="without --test (default: 5)")
    parser.add_argument("--pooling", default="mean", help="mean, max, first or last token")


def run(options: argparse.Namespace) -> int:
    """Probe the model."""
    from ..training.extra import needs
    from ..training.probing import probe
    from ..training.report import write_report
    from ..training.trial import prepare_folder, write_predictions

    needs("sklearn", "probes and baselines")
    trial = read_trial(options, number=options.folds)
    prepare_folder(options.output, overwrite=options.overwrite)
    model = open_model(options)
    methods, predicted = probe(
        model,
        trial,
        pooling=options.pooling,
        layer=options.layer,
        both_strands=options.both_strands,
        baselines=not options.no_baselines,
        seed=options.seed,
        batch_tokens=options.batch_tokens,
        say=(lambda _: None) if options.quiet else say,
    )
    report = report_of(
        options, model, trial, methods, task="probe", pooling=options.pooling, layer=options.layer
    )
    write_predictions(options.output / "predictions.tsv", trial, predicted)
    write_report(options.output, report)
    return show(options, report)
