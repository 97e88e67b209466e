"""Variants through PlantCaduceus: a masked forward a position, against one forward an allele.

    python variants.py [--model plantcaduceus-l20] [--variants 10000] [--window 512] [--rounds 2]

Random weights, random bases, every substitution of neighbouring positions, both strands. ``ours``
is ``Model.variant_effects``: one masked forward serves the three alternatives of a position, and
both strands, since the network is equivariant. ``plain`` is what a loop does on the same windows:
one forward an alternative allele, each strand by itself, one window a call. The two take turns on
``--sample`` positions; then, with ``--variants``, all of them are scored once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import find_implementation
from dnallm_core.sequences.alphabet import reverse_complement
from dnallm_core.sequences.tokenizers import tokenizer_for

SHORE = 1_000  # bases before the first variant: every window lies whole in the sequence


def random_model(name: str) -> Any:
    """A model of a published shape with random weights."""
    facts = catalog()[name]
    family = find_implementation(facts)
    config = family.read_config(None, facts.config, None)
    torch.manual_seed(0)
    tokenizer = tokenizer_for(facts.tokenizer, folder=None, vocabulary_size=config.vocab_size)
    return family(facts, family.build(config).eval(), tokenizer)


def substitutions(sequence: str, positions: int) -> list[tuple[int, str, str]]:
    """The three of each of some positions: (1-based position, reference, alternative)."""
    return [
        (at + 1, sequence[at], other)
        for at in range(SHORE, SHORE + positions)
        for other in "ACGT"
        if other != sequence[at]
    ]


def plainly(model: Any, sequence: str, listed: list[tuple[int, str, str]], window: int) -> None:
    """One forward an alternative allele and strand, one window a call."""
    for position, _, other in listed:
        start = position - 1 - window // 2
        text = sequence[start : position - 1] + other + sequence[position : start + window]
        for strand in (text, reverse_complement(text)):
            ids = torch.tensor([model.tokenizer.encode(strand).ids])
            with torch.inference_mode():
                model.module(input_ids=ids)


def seconds(call: Callable[[], Any]) -> tuple[float, float]:
    """Clock and processor seconds of one call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    """Measure and print one JSON object, then another for the whole list."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="plantcaduceus-l20")
    parser.add_argument("--window", type=int, default=512)
    parser.add_argument("--sample", type=int, default=16, help="positions of the comparison")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--variants", type=int, default=0, help="then score so many")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model = random_model(given.model)
    positions = max(given.sample, -(-given.variants // 3))
    places = np.random.default_rng(0).integers(0, 4, positions + 2 * SHORE)
    sequence = np.frombuffer(b"ACGT", np.uint8)[places].tobytes().decode()
    result = {**vars(given), "engine": model.module.engine}
    if given.rounds:
        listed = substitutions(sequence, given.sample)
        ours, plain = [], []
        for _ in range(given.rounds):
            ours.append(
                seconds(lambda: model.variant_effects(sequence, listed, window=given.window))
            )
            plain.append(seconds(lambda: plainly(model, sequence, listed, given.window)))
        each = [statistics.median(one[1] for one in both) / len(listed) for both in (ours, plain)]
        clocks = [statistics.median(one[0] for one in both) for both in (ours, plain)]
        result |= {
            "ours_variants_a_second": round(len(listed) / clocks[0], 2),
            "plain_variants_a_second": round(len(listed) / clocks[1], 2),
            "ours_cpu_s_a_variant": round(each[0], 3),
            "plain_cpu_s_a_variant": round(each[1], 3),
            "multiple": round(each[1] / each[0], 1),
        }
        print(json.dumps(result), flush=True)
    if given.variants:
        listed = substitutions(sequence, positions)[: given.variants]
        done, wall, processor, total = 0, 0.0, 0.0, 0.0
        for start in range(0, len(listed), 600):
            batch = listed[start : start + 600]
            found: list[Any] = []
            clock, spent = seconds(
                lambda batch=batch, found=found: found.append(  # type: ignore[misc]
                    model.variant_effects(sequence, batch, window=given.window)
                )
            )
            done, wall, processor = done + len(batch), wall + clock, processor + spent
            total += float(np.abs(found[0]).sum())
            if not np.isfinite(found[0]).all():
                raise SystemExit("an effect is not finite")
            print(
                json.dumps(
                    {
                        "variants": done,
                        "wall_s": round(wall, 1),
                        "cpu_s": round(processor, 1),
                        "variants_a_cpu_second": round(done / processor, 2),
                        "mean_size_of_effect": round(total / done, 4),
                    }
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
