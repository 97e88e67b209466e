"""Train the small Caduceus that ships in this plugin, from one genome, on a CPU, in about an hour.

    python train_bundled.py --genome ecoli_536.fa.gz --work FOLDER [--minutes 70] [--threads 1]

The last tenth of the genome is held out: no window, count or target of training touches it. Each
window is read on a random strand. Masks stand 4 to 8 bases apart, so that a masked base has the
near context that a base masked alone would have, and every sixth base gives signal.

A base's target mixes the base itself with what counts of its two-sided context say of it (3 + 3 to
6 + 6 bases, each shrunk onto the next shorter; both strands, training region only, the base's own
occurrence taken out). Such probabilities carry far less noise than single bases, which is worth
many hours when there is only one. Their share falls from ``TEACHER_SHARE`` to 0.

The learning rate follows the share of the time that has passed (warm-up, then cosine), the result
is the moving average of the weights. A run that was stopped goes on from FOLDER/run.pt.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from dnallm_mamba.caduceus import CaduceusConfig, CaduceusForMaskedLM
from torch import Tensor

SEED = 536
WINDOW = 1024  # bp; [SEP] follows, as the tokenizer adds it
ROWS = 8
FLANK = 4
TEACHER_SHARE = 0.8
TEACHER = ((4, 20.0), (5, 40.0), (6, 40.0))  # flank, weight of the shorter context in counts
PEAK_RATE = 4e-3
DECAY = 0.01
SEP, MASK, A = 1, 3, 7  # ids of the Caduceus tokenizer; A C G T are 7 8 9 10
COMPLEMENT = {**{each: each for each in range(16)}, 7: 10, 8: 9, 9: 8, 10: 7}


def read_genome(path: Path) -> np.ndarray:
    """The records joined, as 0 ... 3 for A C G T and 4 for anything else."""
    codes = np.full(256, 4, np.uint8)
    for code, letter in enumerate("ACGT"):
        codes[ord(letter)] = codes[ord(letter.lower())] = code
    with gzip.open(path) as file:
        records = file.read().split(b">")[1:]
    joined = b"N".join(record.partition(b"\n")[2].replace(b"\n", b"") for record in records)
    return codes[np.frombuffer(joined, np.uint8)]


def reverse_complement(bases: np.ndarray) -> np.ndarray:
    """The other strand, read its own way."""
    return np.where(bases < 4, 3 - bases, 4)[..., ::-1].astype(np.uint8)


def contexts(bases: np.ndarray, flank: int = FLANK) -> np.ndarray:
    """For each position the number of its 2 x flank neighbours, -1 where one is no base."""
    length = len(bases)
    index = np.zeros(length, np.int64)
    clean = np.ones(length, bool)
    clean[:flank] = clean[length - flank :] = False
    for offset in [*range(-flank, 0), *range(1, flank + 1)]:
        neighbour = np.roll(bases, -offset)
        index = index * 4 + np.minimum(neighbour, 3)
        clean &= neighbour < 4
    return np.where(clean, index, -1)


def count(bases: np.ndarray, flank: int) -> np.ndarray:
    """Counts (4^(2 flank), 4) of the base behind each context, on both strands."""
    counts = np.zeros((4 ** (2 * flank), 4), np.float32)
    for strand in (bases, reverse_complement(bases)):
        index = contexts(strand, flank)
        use = (index >= 0) & (strand < 4)
        np.add.at(counts, (index[use], strand[use]), 1)
    return counts


def count_table(bases: np.ndarray) -> np.ndarray:
    """P(base | 4 + 4 neighbours), one pseudocount spread by the bases' shares: the yardstick."""
    counts = count(bases, FLANK)
    share = counts.sum(0) / counts.sum()
    return (counts + share) / (counts.sum(1, keepdims=True) + 1)


def teacher(bases: np.ndarray) -> np.ndarray:
    """(length, 4): what the contexts of each base say of it, had it not been counted itself."""
    own = np.eye(5, 4, dtype=np.float32)[bases]
    view = np.full((len(bases), 4), 0.25, np.float32)
    for flank, weight in ((3, 1.0), *TEACHER):
        index = contexts(bases, flank)
        others = count(bases, flank)[index] - own
        shrunk = (others + weight * view) / (others.sum(1, keepdims=True) + weight)
        view = np.where(index[:, None] >= 0, shrunk, view)
    return view


def mask_positions(make: np.random.Generator, length: int) -> np.ndarray:
    """Positions 4 to 8 apart, from a random start."""
    steps = make.integers(4, 9, size=length // 4 + 2)
    positions = np.cumsum(steps) - make.integers(1, 9)
    return positions[(positions >= 0) & (positions < length)]


def batch(
    bases: np.ndarray, view: np.ndarray, make: np.random.Generator, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids (rows, WINDOW + 1), the true base (rows, WINDOW; -100 unmasked), the teacher's view."""
    ids = np.full((rows, WINDOW + 1), SEP, np.int64)
    labels = np.full((rows, WINDOW), -100, np.int64)
    views = np.zeros((rows, WINDOW, 4), np.float32)
    for row in range(rows):
        start = make.integers(0, len(bases) - WINDOW)
        window, seen = bases[start : start + WINDOW], view[start : start + WINDOW]
        if make.random() < 0.5:
            window, seen = reverse_complement(window), seen[::-1, ::-1]
        places = mask_positions(make, WINDOW)
        places = places[window[places] < 4]
        ids[row, :WINDOW] = np.where(window < 4, window + A, 11)
        ids[row, places] = MASK
        labels[row, places] = window[places]
        views[row] = seen
    return torch.from_numpy(ids), torch.from_numpy(labels), torch.from_numpy(views)


def held_out_bits(
    module: CaduceusForMaskedLM, table: np.ndarray, bases: np.ndarray, windows: int
) -> dict[str, float]:
    """Bits a masked base on held-out windows: the network's, both strands' mean, the table's."""
    make = np.random.default_rng(SEED + 1)
    starts = np.linspace(0, len(bases) - WINDOW, windows).astype(int)
    sums, count = np.zeros(3), 0
    module.eval()
    for first in range(0, windows, ROWS):
        chosen = np.stack([bases[start : start + WINDOW] for start in starts[first : first + ROWS]])
        hidden = np.zeros(chosen.shape, bool)
        index = np.stack([contexts(window) for window in chosen])
        for row in range(len(chosen)):
            hidden[row, mask_positions(make, WINDOW)] = True
        hidden &= (chosen < 4) & (index >= 0)
        ids = np.where(chosen < 4, chosen + A, 11).astype(np.int64)
        ids[hidden] = MASK
        own = log_probabilities(module, ids)
        turned = np.array([COMPLEMENT[each] for each in range(16)])[ids[:, ::-1]]
        other = log_probabilities(module, turned)[:, ::-1, ::-1]
        both = np.logaddexp(own, other) - math.log(2)
        truth = np.minimum(chosen, 3).astype(np.int64)[..., None]
        for place, logs in enumerate((own, both, np.log(table[index]))):
            sums[place] -= np.take_along_axis(logs, truth, -1)[..., 0][hidden].sum()
        count += int(hidden.sum())
    bits = sums / count / math.log(2)
    return {"network": bits[0], "both strands": bits[1], "table": bits[2], "bases": count}


def log_probabilities(module: CaduceusForMaskedLM, ids: np.ndarray) -> np.ndarray:
    """(rows, WINDOW, 4): log P of each base, of ids that [SEP] then follows."""
    ended = np.pad(ids, ((0, 0), (0, 1)), constant_values=SEP)
    with torch.no_grad():
        logits = module(input_ids=torch.from_numpy(ended)).logits
    return logits[:, :WINDOW, A : A + 4].log_softmax(-1).double().numpy()


def configuration(arguments: argparse.Namespace) -> CaduceusConfig:
    """A Caduceus with a wider convolution and fewer states than the published ones: cheaper here."""
    return CaduceusConfig(
        d_model=arguments.width,
        n_layer=arguments.layers,
        vocab_size=16,
        ssm_cfg={
            "d_state": arguments.states,
            "d_conv": arguments.taps,
            "expand": arguments.expand,
            "dt_min": 0.01,
            "dt_max": 0.5,
        },
        rcps=arguments.rcps,
        complement_map=COMPLEMENT,
        residual_in_fp32=False,
    )


def learning_rate(progress: float) -> float:
    """Warm-up over the first 3 %, then a cosine down to 2 % of the peak."""
    warm = min(1.0, progress / 0.03)
    return PEAK_RATE * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def optimizer_for(module: CaduceusForMaskedLM) -> torch.optim.Optimizer:
    """AdamW; biases, norms, decays and convolutions do not shrink."""
    matrices = [each for each in module.parameters() if each.ndim == 2 and each.shape[1] > 32]
    chosen = {id(each) for each in matrices}
    rest = [each for each in module.parameters() if id(each) not in chosen]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": rest, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)


def main() -> None:
    """Train, going on from where a stopped run was, and write FOLDER/final and report.json."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genome", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=70)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--states", type=int, default=8)
    parser.add_argument("--taps", type=int, default=8)
    parser.add_argument("--expand", type=int, default=2)
    parser.add_argument("--rcps", action="store_true")
    parser.add_argument("--measure", type=int, default=0, help="only time so many steps")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(SEED)
    genome = read_genome(arguments.genome)
    edge = len(genome) * 9 // 10
    training, held_out = genome[:edge], genome[edge:]
    table, view = count_table(training), teacher(training)
    module = CaduceusForMaskedLM(configuration(arguments))
    average = {key: value.clone() for key, value in module.state_dict().items()}
    optimizer = optimizer_for(module)
    make = np.random.default_rng(SEED)
    step, spent = 0, 0.0
    state_file = arguments.work / "run.pt"
    arguments.work.mkdir(parents=True, exist_ok=True)
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, spent = state["average"], state["step"], state["spent"]
        make = np.random.default_rng([SEED, step])
    print(f"{sum(each.numel() for each in module.parameters()):,} parameters", flush=True)
    budget = arguments.minutes * 60
    began, noted, losses = time.monotonic() - spent, time.monotonic(), []
    while True:
        spent = time.monotonic() - began
        progress = spent / budget
        if progress >= 1 or (arguments.measure and step >= arguments.measure):
            break
        module.train()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(progress)
        ids, labels, views = batch(training, view, make, ROWS)
        places = labels >= 0
        logits = module(input_ids=ids).logits[:, :WINDOW, A : A + 4][places]
        logs = logits.log_softmax(-1)
        truth = F.nll_loss(logs, labels[places])
        share = TEACHER_SHARE * (1 - progress)
        loss = (1 - share) * truth - share * (views[places] * logs).sum(-1).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        step += 1
        keep = min(0.997, 1 - 1 / (1 + step / 3))
        with torch.no_grad():
            for key, value in module.state_dict().items():
                if value.is_floating_point():
                    average[key].lerp_(value, 1 - keep)
        losses.append(truth.item() / math.log(2))
        if time.monotonic() - noted > 240:
            current = {key: value.clone() for key, value in module.state_dict().items()}
            module.load_state_dict(average)
            bits = held_out_bits(module, table, held_out, 64)
            module.load_state_dict(current)
            spent = time.monotonic() - began
            print(
                f"{spent / 60:5.1f} min, step {step}, {step * ROWS * WINDOW / 1e6:.1f} M bases, "
                f"training {np.mean(losses[-200:]):.4f}, held out {bits['network']:.4f}, both "
                f"strands {bits['both strands']:.4f}, table {bits['table']:.4f}",
                flush=True,
            )
            state = {"module": current, "optimizer": optimizer.state_dict(), "average": average}
            torch.save({**state, "step": step, "spent": spent}, state_file.with_suffix(".new"))
            state_file.with_suffix(".new").replace(state_file)
            noted = time.monotonic()
    if arguments.measure:
        print(f"{step * ROWS * WINDOW / spent:,.0f} bases a second; training {losses[-1]:.3f}")
        return
    module.load_state_dict(average)
    module.save_pretrained(arguments.work / "final")
    bits = held_out_bits(module, table, held_out, 480)
    report = {"steps": step, "bases": step * ROWS * WINDOW, "minutes": spent / 60, **bits}
    (arguments.work / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
