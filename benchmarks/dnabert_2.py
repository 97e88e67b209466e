"""DNABERT-2's speed beside transformers' BERT of equal size, and what taking out padding saves.

Weights are random: time doesn't depend on them. BERT has as many parameters a block (its
feed-forward is 4608 wide, as DNABERT-2's gated one of 3072 has three matrices), the same
vocabulary, and SDPA. The networks take turns; the ratio is that of the fastest rounds. On a machine
that others use, `--clock cpu --threads 1` counts this process's own seconds.

    python benchmarks/dnabert_2.py [--rounds 5] [--threads 2] [--layers 12] [--device cpu]
                                   [--dtype float32] [--clock wall]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping

import torch
from dnallm_bert.dnabert_2 import Dnabert2, Dnabert2Config
from transformers import BertConfig, BertForMaskedLM

VOCABULARY, WIDTH, HEADS = 4096, 768, 12


CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def fastest(
    runs: Mapping[str, Callable[[], object]], rounds: int, device: str, clock: Callable[[], float]
) -> dict[str, float]:
    """Seconds of each run's fastest round; the runs take turns."""
    best = dict.fromkeys(runs, float("inf"))
    for number in range(rounds + 1):  # the first round warms up
        for name, run in runs.items():
            start = clock()
            run()
            if device != "cpu":
                torch.cuda.synchronize()
            if number:
                best[name] = min(best[name], clock() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--clock", default="wall", choices=sorted(CLOCKS))
    options = parser.parse_args()
    clock = CLOCKS[options.clock]
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    placed = {"device": options.device, "dtype": getattr(torch, options.dtype)}
    ours = Dnabert2(Dnabert2Config(vocab_size=VOCABULARY, num_hidden_layers=options.layers)).eval()
    bert = BertForMaskedLM(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            num_hidden_layers=options.layers,
            num_attention_heads=HEADS,
            intermediate_size=4608,
            attn_implementation="sdpa",
        )
    ).eval()
    ours.to(**placed)
    bert.to(**placed)
    report: dict[str, object] = {
        "torch": torch.__version__,
        "device": options.device,
        "dtype": options.dtype,
        "threads": options.threads,
        "clock": options.clock,
        "layers": options.layers,
        "parameters": {
            "dnabert-2": sum(each.numel() for each in ours.parameters()),
            "bert": sum(each.numel() for each in bert.parameters()),
        },
    }
    with torch.inference_mode():
        ids = torch.randint(5, VOCABULARY, (8, 512), device=options.device)
        seconds = fastest(
            {"dnabert-2": lambda: ours(input_ids=ids), "bert": lambda: bert(input_ids=ids)},
            options.rounds,
            options.device,
            clock,
        )
        report["512 tokens, batch 8"] = {
            **seconds,
            "ratio to bert (at most 1.15)": seconds["dnabert-2"] / seconds["bert"],
        }
        lengths = torch.randint(16, 513, (16,), generator=torch.Generator().manual_seed(1))
        mixed = torch.randint(5, VOCABULARY, (16, 512), device=options.device)
        place = torch.arange(512, device=options.device)
        mask = (place < lengths.to(options.device)[:, None]).long()
        seconds = fastest(
            {
                "unpadded": lambda: ours(input_ids=mixed, attention_mask=mask),
                "padded": lambda: ours(input_ids=mixed),
                "bert, masked": lambda: bert(input_ids=mixed, attention_mask=mask),
            },
            options.rounds,
            options.device,
            clock,
        )
        report["16 to 512 tokens, batch 16"] = {
            **seconds,
            "real tokens": int(mask.sum()) / mask.numel(),
            "gain over padded (at least 1.5)": seconds["padded"] / seconds["unpadded"],
            "gain over bert": seconds["bert, masked"] / seconds["unpadded"],
        }
    json.dump(report, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
