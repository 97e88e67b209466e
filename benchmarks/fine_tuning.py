"""Probes and fine-tuning beside baselines, on real tables and on a planted order of motifs.

`tables`: probe, train, k-mer counts and a small CNN on tables of labelled sequences, each figure
with its interval. `motifs`: the same two motifs in every sequence, the label is whether they stand in
one order at one spacing: counts of short k-mers are near chance; a small network of each architecture
learns it. `overhead`: `fine_tune` beside a plain `transformers.Trainer` script that does the same
work, in this process's own seconds.

The networks are small and their weights RANDOM, but for caduceus-ecoli-tiny, which ships with its
plugin (trained on one E. coli): the figures say that training works, not how good a published model is.

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
from typing import Any

import numpy as np
import torch
from dnallm_core.loading import find_implementation
from dnallm_core.models import Model
from dnallm_core.sequences.tokenizers import tokenizer_for
from dnallm_core.testing.example import reference
from dnallm_core.training.baselines import convolution_baseline, kmer_baseline
from dnallm_core.training.finetuning import Recipe, fine_tune
from dnallm_core.training.labelled import Labelled, read_labelled
from dnallm_core.training.metrics import FIRST
from dnallm_core.training.probing import probe
from dnallm_core.training.trial import Trial, trial_of
from torch import nn

import dnallm_core

ROOT = Path(__file__).parents[1]
NETWORKS: dict[str, tuple[str, dict[str, Any], int, float]] = {
    # architecture: a model, what is smaller than in it, the layer that is read, the rate
    "encoder-transformer": (
        "mutbert",
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 128,
        },
        -1,
        0.003,
    ),
    "decoder-transformer": (
        "plant-dnagemma-singlebase",
        {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "intermediate_size": 128,
        },
        -1,
        0.003,
    ),
    "state-space": ("caduceus-ph-131k", {"d_model": 48, "n_layer": 2}, -1, 0.005),
    # its filters are functions of the share of max_seq_len that has passed
    "long-convolution": (
        "hyenadna-small-32k",
        {"d_model": 64, "d_inner": 128, "n_layer": 2, "filter_order": 32, "max_seq_len": 66},
        -1,
        0.002,
    ),
    "hybrid": (
        "evo-1-8k-base",
        {
            "hidden_size": 64,
            "num_layers": 4,
            "num_attention_heads": 4,
            "inner_mlp_size": 128,
            "state_size": 4,
            "attn_layer_idxs": [1],
            "hyena_layer_idxs": [0, 2, 3],
            "num_filters": 64,
        },
        3,
        0.005,
    ),
    "convolutional": (
        "gpn-arabidopsis",
        {"hidden_size": 64, "n_layers": 4, "dilation_max": 4, "dilation_cycle": 3, "vocab_size": 7},
        -1,
        0.005,
    ),
}
"""One member of each architecture, small, its weights random and of a size that keeps a signal's."""
TABLE_MODELS = ("caduceus-ecoli-tiny", "hyenadna", "nucleotide-transformer-v2")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["tables", "motifs", "overhead"])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--tables", nargs="+", default=[])
    parser.add_argument(
        "--families",
        nargs="+",
        default=[],
        help="for motifs: architectures; for tables: some of them",
    )
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--epochs", type=int, help="tables 3, motifs 12")
    parser.add_argument("--seeds", type=int, default=2)
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
    seeds = tuple(range(options.seeds))
    for name in names:
        training = read_labelled(options.data / f"{name}.train.csv.gz")
        test = read_labelled(options.data / f"{name}.test.csv.gz", like=training)
        trial = trial_of(training, test)
        figure = FIRST[training.kind]
        print(f"\n{name}: {training.kind}, {len(training)} + {len(test)} rows, {figure}")
        print(f"  {trial.notes[0]}", flush=True)
        for family in options.families or ("baselines", *TABLE_MODELS):
            if family == "baselines":
                baselines(trial)
                continue
            model = table_model(family)
            methods, _ = probe(model, trial, baselines=False)
            for each in methods:
                line(f"{family}: {each['name']}", each["figures"][figure])
            recipe = Recipe(epochs=options.epochs or 3, rate=options.rate, seeds=seeds)
            entry, _ = fine_tune(model, trial, recipe, scratch / f"{name}-{family}")
            values = list(entry.get("seeds", {}).values())
            more = f"seeds {' '.join(f'{each:.3f}' for each in values)}" if values else ""
            line(f"{family}: {entry['name']}", entry["figures"][figure], more)


def motifs(options: argparse.Namespace, scratch: Path) -> None:
    trial = trial_of(ordered(options.rows), how="random")
    print(f"the order and spacing of two motifs, {options.rows} rows, auroc", flush=True)
    if not options.families:
        baselines(trial)
    for kind in options.families or NETWORKS:
        began = time.process_time()
        name, changes, layer, rate = NETWORKS[kind]
        epochs = options.epochs or 12
        recipe = Recipe(epochs=epochs, rate=rate, batch=32, patience=epochs, layer=layer)
        entry, _ = fine_tune(small(name, changes), trial, recipe, scratch / kind)
        seconds = time.process_time() - began
        line(f"{kind} ({name}'s, small)", entry["figures"]["auroc"], f"{seconds:.0f} s")


def overhead(options: argparse.Namespace, scratch: Path) -> None:
    """Encoding, training, choosing the best epoch, predicting: ours and the plain script's."""
    data = ordered(options.rows, length=200)
    trial = trial_of(data, how="random")
    for family in options.families or ["convolutional"]:
        source, changes, _, _ = NETWORKS[family]
        seconds: dict[str, list[float]] = {"dnallm": [], "plain": []}
        for number in range(options.rounds + 1):  # the first round warms up
            recipe = Recipe(epochs=2 if number else 1, rate=options.rate, patience=9)
            for name, run in (("dnallm", ours), ("plain", plain)):
                model = small(source, changes)
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
    """A TATA box and, ``gap`` behind it, a GC box: "yes". "no": the other order, or another gap.

    Every sequence has both motifs once. Of the negatives every second one has them in the other
    order at the same gap, the others in the same order more than twice as far apart.
    """
    chooser = random.Random(seed)
    sequences = []
    for number in range(count):
        letters = chooser.choices("ACGT", k=length)
        motifs, between = ["TATAAAA", "GGGCGGG"], gap
        if number % 4 == 0:
            motifs.reverse()
        elif number % 4 == 2:
            between = 2 * gap + 3
        at = chooser.randrange(length - 14 - between)
        letters[at : at + 7] = motifs[0]
        letters[at + 7 + between : at + 14 + between] = motifs[1]
        sequences.append("".join(letters))
    names = tuple(str(each) for each in range(count))
    targets = np.arange(count) % 2
    return Labelled("classification", ("no", "yes"), names, tuple(sequences), targets)


def baselines(trial: Trial) -> None:
    for name, run in (("k-mer counts", kmer_baseline), ("small CNN", convolution_baseline)):
        entry = trial.judged(name, "baseline", run(trial)[0], {})
        line(name, entry["figures"][FIRST[trial.labelled.kind]])


def small(name: str, changes: dict[str, Any]) -> Model:
    """A model's network with some of its sizes changed, and weights by chance."""
    manifest = dnallm_core.catalog()[name]
    implementation = find_implementation(manifest)
    settings = implementation.read_config(None, {**manifest.config, **changes}, None)
    specs = manifest.tokenizer if isinstance(manifest.tokenizer, tuple) else (manifest.tokenizer,)
    tokenizer = tokenizer_for(specs, folder=None, vocabulary_size=settings.vocab_size)
    return implementation(manifest, reference(implementation, settings), tokenizer)


def table_model(name: str) -> Model:
    """A bundled model, or a small network of a family."""
    if name == "hyenadna":
        changes = {
            "d_model": 64,
            "d_inner": 128,
            "n_layer": 2,
            "filter_order": 32,
            "max_seq_len": 4098,
        }
        return small("hyenadna-small-32k", changes)
    if name == "nucleotide-transformer-v2":
        changes = {
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 128,
        }
        return small("nucleotide-transformer-v2-50m", changes)
    return dnallm_core.load(name, device="cpu")


def line(name: str, figure: list[float | None], more: str = "") -> None:
    value, low, high = (float("nan") if each is None else each for each in figure)
    print(f"  {name:<50} {value:.3f} [{low:.3f}, {high:.3f}] {more}", flush=True)


if __name__ == "__main__":
    main()
