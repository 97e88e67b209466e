"""Probes and fine-tuning beside baselines, on real tables and on a planted order of motifs.

`tables`: probe, train, k-mer counts and a small CNN on tables of labelled sequences, each figure
with its interval. `motifs`: the same two motifs at one spacing in every sequence, the label is which
comes first: counts of short k-mers are near chance. `overhead`: `fine_tune` beside a plain
`transformers.Trainer` script that does the same work, in this process's own seconds.

The networks are the small ones of the tests' goldens: their weights are RANDOM, so the figures say
that training works, not how good a published model is.

    python benchmarks/fine_tuning.py tables [--data FOLDER] [--tables NAME ...] [--epochs 5]
    python benchmarks/fine_tuning.py motifs [--rows 2000] [--epochs 15]
    python benchmarks/fine_tuning.py overhead [--rounds 2]
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from dnallm_core.training.baselines import convolution_baseline, kmer_baseline
from dnallm_core.training.finetuning import Recipe, fine_tune
from dnallm_core.training.labelled import Labelled, read_labelled
from dnallm_core.training.metrics import FIRST
from dnallm_core.training.probing import probe
from dnallm_core.training.trial import Trial, trial_of
from torch import nn

import dnallm_core

ROOT = Path(__file__).parents[1]
GOLDEN = {
    "nucleotide-transformer-v2": "dnallm-bert/tests/golden/nucleotide-transformer-v2/v2",
    "plant-dnagpt": "dnallm-gpt/tests/golden/plant-dnagpt/base",
    "caduceus": "dnallm-mamba/tests/golden/caduceus/ps",
    "hyenadna": "dnallm-hyena/tests/golden/hyenadna/ckpt_plain",
    "gpn": "dnallm-gpn/tests/golden/gpn/gpn_convnet",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["tables", "motifs", "overhead"])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--tables", nargs="+", default=[])
    parser.add_argument("--families", nargs="+", default=[])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DNALLM_CACHE"] = folder
        globals()[options.what](options, Path(folder))


def tables(options: argparse.Namespace, scratch: Path) -> None:
    if not options.data.is_dir():
        raise SystemExit(f"There is no {options.data}: nothing to measure.")
    names = options.tables or sorted(
        each.name.split(".")[0] for each in options.data.glob("*.train.csv.gz")
    )
    families = options.families or ["nucleotide-transformer-v2", "caduceus", "hyenadna"]
    for name in names:
        training = read_labelled(options.data / f"{name}.train.csv.gz")
        test = read_labelled(options.data / f"{name}.test.csv.gz", like=training)
        trial = trial_of(training, test)
        figure = FIRST[training.kind]
        print(f"\n{name}: {training.kind}, {len(training)} + {len(test)} rows, {figure}")
        print(f"  {trial.notes[0]}")
        baselines(trial)
        for family in families:
            model = load(family)
            methods, _ = probe(model, trial, baselines=False)
            recipe = Recipe(epochs=options.epochs, rate=options.rate)
            entry, _ = fine_tune(model, trial, recipe, scratch / f"{name}-{family}")
            for each in (*methods, entry):
                line(f"{family}: {each['name']}", each["figures"][figure])


def motifs(options: argparse.Namespace, scratch: Path) -> None:
    trial = trial_of(ordered(options.rows), how="random")
    print(f"the order of two motifs, {options.rows} rows, auroc")
    baselines(trial)
    for family in options.families or GOLDEN:
        began = time.process_time()
        recipe = Recipe(epochs=options.epochs, rate=options.rate, batch=32, patience=options.epochs)
        entry, _ = fine_tune(load(family), trial, recipe, scratch / family)
        line(family, entry["figures"]["auroc"], f"{time.process_time() - began:.0f} s")


def overhead(options: argparse.Namespace, scratch: Path) -> None:
    """Encoding, training, choosing the best epoch, predicting: ours and the plain script's."""
    data = ordered(options.rows, length=200)
    trial = trial_of(data, how="random")
    for family in options.families or ["hyenadna"]:
        seconds: dict[str, list[float]] = {"dnallm": [], "plain": []}
        for number in range(options.rounds + 1):  # the first round warms up
            recipe = Recipe(epochs=2 if number else 1, rate=options.rate, patience=9)
            for name, run in (("dnallm", ours), ("plain", plain)):
                model = load(family)
                began = time.process_time()
                found = run(model, trial, recipe, scratch / f"{family}-{name}-{number}")
                if number:
                    seconds[name].append(time.process_time() - began)
                    print(f"  {name}: {seconds[name][-1]:.2f} s, first predictions {found[:2]}")
        began = time.process_time()
        trial.judged("", "model", np.stack([1 - found, found], 1), {})
        intervals = time.process_time() - began
        whole, plainly = min(seconds["dnallm"]), min(seconds["plain"])
        print(
            f"{family}: dnallm / plain Trainer = {(whole - intervals) / plainly:.3f}, and "
            f"{whole / plainly:.3f} with the bootstrap intervals ({intervals:.2f} s, once a run), "
            "which the plain script has not"
        )


def ours(model, trial: Trial, recipe: Recipe, folder: Path) -> np.ndarray:
    return fine_tune(model, trial, recipe, folder)[1][:, 1]


def plain(model, trial: Trial, recipe: Recipe, folder: Path) -> np.ndarray:
    """What a user would write: the network, a head on the mean, a Trainer."""
    from transformers import Trainer, TrainingArguments

    class Classifier(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = untied(model.module)
            width = model.embed("ACGT").shape[1]
            self.head = nn.Sequential(nn.LayerNorm(width), nn.Dropout(0.1), nn.Linear(width, 2))

        def forward(self, input_ids, labels=None):
            states = self.network(input_ids=input_ids).last_hidden_state
            logits = self.head(states.mean(1))
            return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

    def rows(places) -> list[dict[str, torch.Tensor]]:
        return [
            {
                "input_ids": torch.tensor(model.tokenizer.encode(data.sequences[each]).ids),
                "labels": torch.tensor(data.targets[each]),
            }
            for each in places
        ]

    data = trial.labelled
    ((training, test),) = trial.pairs
    (learned, held), *_ = trial.inner_folds(training, 5, 0)
    torch.manual_seed(0)
    arguments = TrainingArguments(
        output_dir=str(folder), num_train_epochs=recipe.epochs, learning_rate=recipe.learning_rate,
        per_device_train_batch_size=recipe.batch, per_device_eval_batch_size=recipe.batch,
        weight_decay=0.01, warmup_steps=0.06, eval_strategy="epoch", save_strategy="epoch",
        logging_strategy="epoch", save_total_limit=1, load_best_model_at_end=True, use_cpu=True,
        report_to=[], disable_tqdm=True, dataloader_pin_memory=False, log_level="error",
    )  # fmt: skip
    trainer = Trainer(
        model=Classifier(),
        args=arguments,
        train_dataset=rows(training[learned]),
        eval_dataset=rows(training[held]),
    )
    trainer.train()
    logits = torch.from_numpy(trainer.predict(rows(test)).predictions)
    torch.save(trainer.model.state_dict(), folder / "model.pt")
    return logits.softmax(-1)[:, 1].numpy()


def untied(network: nn.Module) -> nn.Module:
    """Give each shared tensor a copy: the plain Trainer can't save a module that shares any."""
    seen = set()
    for name, parameter in list(network.named_parameters(remove_duplicate=False)):
        if id(parameter) in seen:
            owner, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(owner), leaf, nn.Parameter(parameter.detach().clone()))
        seen.add(id(parameter))
    return network


def ordered(count: int, length: int = 60, gap: int = 6, seed: int = 0) -> Labelled:
    """Two motifs, always ``gap`` apart; the label is which comes first."""
    chooser = random.Random(seed)
    sequences = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        first, second = ("GATTACA", "CCTGTGG") if number % 2 else ("CCTGTGG", "GATTACA")
        at = chooser.randrange(length - 14 - gap)
        letters[at : at + 7] = first
        letters[at + 7 + gap : at + 14 + gap] = second
        sequences.append("".join(letters))
    names = tuple(str(each) for each in range(count))
    targets = np.arange(count) % 2
    return Labelled("classification", ("no", "yes"), names, tuple(sequences), targets)


def baselines(trial: Trial) -> None:
    for name, run in (("k-mer counts", kmer_baseline), ("small CNN", convolution_baseline)):
        entry = trial.judged(name, "baseline", run(trial)[0], {})
        line(name, entry["figures"][FIRST[trial.labelled.kind]])


def load(family: str):
    return dnallm_core.load(family, weights=ROOT / "plugins" / GOLDEN[family], device="cpu")


def line(name: str, figure: list[float | None], more: str = "") -> None:
    value, low, high = (float("nan") if each is None else each for each in figure)
    print(f"  {name:<50} {value:.3f} [{low:.3f}, {high:.3f}] {more}", flush=True)


if __name__ == "__main__":
    main()
