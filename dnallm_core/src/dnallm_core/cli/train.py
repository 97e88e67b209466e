"""Fine-tune a model on labelled sequences, and judge it beside k-mer counts and a small CNN.

The folder holds the trained model: `dnallm classify FOLDER new.fa -o answers.tsv`. A run that was
interrupted goes on when the same command is given again.

  dnallm train MODEL train.csv --test test.csv --method lora -o trained/
  dnallm train MODEL genes.tsv --label expressed --group gene --seeds 3 -o trained/
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from .. import values
from .labelling import add_labelled, read_trial, report_of, show
from .output import say
from .running import add_model, open_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add_model(parser)
    add_labelled(parser)
    parser.add_argument(
        "--test-share", type=float, default=0.2, metavar="SHARE", help="without --test (0.2)"
    )
    group = parser.add_argument_group("training")
    group.add_argument(
        "--method", default="full", help="full (default), lora, or head: the head alone"
    )
    group.add_argument("--epochs", type=_positive, default=10, help="at most (10)")
    group.add_argument(
        "--patience", type=_positive, default=3, help="epochs without gain before it stops (3)"
    )
    group.add_argument("--batch-size", type=_positive, default=16, help="rows a step (16)")
    group.add_argument(
        "--accumulate", type=_positive, default=1, help="steps whose gradients are added up (1)"
    )
    group.add_argument(
        "--recompute", action="store_true", help="less memory, more time (by itself if need be)"
    )
    group.add_argument(
        "--memory", metavar="SIZE", help="to plan for (default: what is free on the device)"
    )
    group.add_argument("--learning-rate", type=float, help="default: by method")
    group.add_argument("--rank", type=_positive, default=8, help="of LoRA's adapters (8)")
    group.add_argument("--seeds", type=_positive, default=1, help="how many runs (1)")
    group.add_argument(
        "--balanced", action="store_true", help="give rare classes the weight of common ones"
    )
    group.add_argument("--tensorboard", action="store_true", help="write logs for TensorBoard, too")


def run(options: argparse.Namespace) -> int:
    """Fine-tune the model."""
    from ..errors import RequirementError
    from ..tasks.run import file_digest
    from ..training.extra import needs
    from ..training.finetuning import Recipe, fine_tune
    from ..training.probing import add_baselines
    from ..training.report import write_report
    from ..training.run_folder import run_folder
    from ..training.trial import write_predictions

    if options.quantise:
        raise RequirementError(
            "Weights in 8 bits do not train: leave --quantise out.", requirement="quantisation"
        )
    if options.device_map:
        raise RequirementError(
            "Training takes one device: leave --device-map out.", requirement="device_map"
        )
    for library in ("sklearn", "accelerate", *(["peft"] if options.method == "lora" else [])):
        needs(library, "fine-tuning")
    if options.tensorboard:
        needs("tensorboard", "TensorBoard's logs", "tensorboard")
    recipe = Recipe(
        method=options.method,
        epochs=options.epochs,
        batch=options.batch_size,
        accumulate=options.accumulate,
        rate=options.learning_rate,
        patience=options.patience,
        seeds=tuple(range(options.seed, options.seed + options.seeds)),
        rank=options.rank,
        layer=options.layer,
        both_strands=options.both_strands,
        balanced=options.balanced,
        recompute=options.recompute,
    )
    memory = None if options.memory is None else values.memory(options.memory)
    trial = read_trial(options, number=None, share=options.test_share)
    if options.dtype == "auto":
        options.dtype = "float32"  # gradients of bfloat16 weights lose small steps
    talk = (lambda _: None) if options.quiet else say
    digests = {
        Path(each).name: file_digest(Path(each))
        for each in (options.input, options.test)
        if each is not None and Path(each).is_file()
    }
    settings = {
        "model": options.model, "weights": options.weights, "data": digests, "split": trial.split,
        "label": options.label, "kind": trial.labelled.kind, **asdict(recipe),
    }  # fmt: skip
    with run_folder(options.output, settings, overwrite=options.overwrite) as goes_on:
        if goes_on:
            talk(f"going on with the run in {options.output}")
        model = open_model(options)
        facts = {"data": digests, "split": trial.split}
        entry, found = fine_tune(
            model, trial, recipe, options.output, facts=facts, memory=memory,
            tensorboard=options.tensorboard, say=talk,
        )  # fmt: skip
        methods, predicted = [entry], {entry["name"]: found}
        if not options.no_baselines:
            add_baselines(trial, methods, predicted, seed=options.seed, say=talk)
        report = report_of(options, model, trial, methods, task="train", **asdict(recipe))
        write_predictions(options.output / "predictions.tsv", trial, predicted)
        write_report(options.output, report)
    return show(options, report)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value
