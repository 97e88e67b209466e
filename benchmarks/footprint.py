"""Predicted against measured peak memory: every recorded run of every model, and the derived terms too.

    python benchmarks/footprint.py

Within 10 % or 64 MB, and never under by more than 5 %, is what a record is meant to keep; the last
column is what would have been predicted had nobody measured.
"""

from __future__ import annotations

from dnallm_core.catalog import catalog
from dnallm_core.footprint import Records, prediction
from dnallm_core.measuring.fitting import FLOOR

MEGABYTE = 10**6


def main() -> None:
    """Print a row a run and a verdict a model."""
    records = Records()
    print(f"{'model':34}{'rows':>5}{'tokens':>8}{'measured':>10}{'predicted':>10}{'derived':>10}")
    for model in catalog().values():
        for record in records.of(model):
            if record.device != "cpu":
                continue
            missed = 0
            for rows, tokens, measured, _ in record.measured.get("points", ()):
                cost = prediction(
                    model, batch=rows, dtype=record.dtype, mode=record.mode, records=records
                )
                formulas = prediction(
                    model, batch=rows, dtype=record.dtype, mode=record.mode
                ).growths
                guesses = [sum(g.at(tokens) for g in each) for each in (cost.growths, formulas)]
                gap = guesses[0] - measured
                missed += abs(gap) > max(FLOOR, 0.1 * measured) or -gap > max(
                    FLOOR, 0.05 * measured
                )
                print(
                    f"{model.id:34}{rows:5}{tokens:8,}{measured / MEGABYTE:9,.0f}M"
                    f"{guesses[0] / MEGABYTE:9,.0f}M{guesses[1] / MEGABYTE:9,.0f}M"
                )
            print(
                f"{model.id}: {missed} of {len(record.measured.get('points', ()))} runs outside\n"
            )


if __name__ == "__main__":
    main()
