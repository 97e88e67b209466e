"""Measure the first-party models that are small enough for this machine, into their plugins' facts.

    python tools/measure_first_party.py [--most 150e6] [--lengths 128,256,512,1024] [MODEL ...]

One process holds the libraries; a model whose measurement fails is named, and the rest go on.
"""

from __future__ import annotations

import argparse
import time

from dnallm_core.catalog import catalog
from dnallm_core.errors import DnallmError
from dnallm_core.measuring import measure, write_plugin_facts
from dnallm_core.measuring.measure import Runner


def main() -> None:
    """Measure, and print one line a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--most", type=float, default=150e6, help="parameters")
    parser.add_argument("--lengths", default="128,256,512,768,1024,1536,2048", help="tokens")
    parser.add_argument("--batches", default="1,3")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--time", type=float, default=90.0, help="seconds a model")
    options = parser.parse_args()
    zoo = catalog()
    chosen = [zoo[name] for name in options.models] or [
        model
        for model in zoo.values()
        if model.installed and model.parameters and model.parameters <= options.most
    ]
    wanted = [int(each) for each in options.lengths.split(",")]
    runner = Runner()
    for model in chosen:
        most = model.max_tokens or int((model.max_length or 10**9) / (model.resolution or 1.0))
        lengths = [length for length in wanted if length <= most]
        if len(lengths) < 4:
            lengths = sorted({most * part // 8 for part in (1, 2, 4, 5, 6, 8)})
        started = time.monotonic()
        try:
            found = measure(
                model,
                lengths=lengths,
                batches=[int(each) for each in options.batches.split(",")],
                threads=options.threads,
                budget=options.time,
                runner=runner,
            )
        except DnallmError as error:
            print(f"{model.id}: {error}", flush=True)
            continue
        path = write_plugin_facts(model, found.record)
        measured = found.record["measured"]
        print(
            f"{model.id}: {measured['runs']} runs, held over {measured['held_over']:.1%}, under "
            f"{measured['held_under']:.1%}, {time.monotonic() - started:.0f} s, {path.name}",
            flush=True,
        )
        for rows, tokens, real, guess, deviation in found.table():
            print(
                f"    {rows} x {tokens}: {real / 1e6:.0f} MB, {guess / 1e6:.0f}, {deviation:+.1%}"
            )


if __name__ == "__main__":
    main()
