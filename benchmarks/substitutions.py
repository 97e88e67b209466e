"""Every substitution of the human mitochondrial genome by ``dnallm scan``, beside a plain loop.

Networks of published size with random weights. The plain loop takes one forward pass a variant over
the windows that the command was given (masked networks: that base masked), for ``--sample`` of the
variants, in the same process and with as many threads; its effects are held against those that the
command wrote. Seconds are wall clock; loading is left out of both.

``--positions`` scans that many bases in the middle instead of all of them: the work that neighbours
share is then shared by fewer, so that the rate can only be too low. What a masked model's widest
stretch costs a base is fixed by its network: on two cores the whole genome takes gpn-brassicales
about 50 minutes and gpn-animal-promoter 20 hours.

The aligned models read a row of the orangutan's genome for each of their species, by a simple rule:
its circle turned to begin where the human's does (at the same tRNA), then laid along it as in
``phage_alignment.py``.

    python benchmarks/substitutions.py [--models NAME ...] [--positions N] [--sample 12] [--threads 2]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pysam
import torch
from dnallm_core.cli.main import run
from dnallm_core.sequences.alignment import open_alignment
from dnallm_core.sequences.alphabet import reverse_complement

import dnallm_core

DATA = Path(__file__).parents[2] / "shared/data"
START = "GTTTATGTAGCTTA"  # of the first tRNA, in human and orangutan
WHOLE = 16_569
# model -> family, window (bp), strands
MODELS = {
    "phylogpn": ("phylogpn", 481, 2),
    "gpn-brassicales": ("gpn", WHOLE, 1),
    "gpn-animal-promoter": ("gpn", WHOLE, 1),
    "gpn-msa-sapiens": ("gpn-msa", 128, 2),
}


def beside(name: str) -> Any:
    """Another script of this folder."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def prepared(name: str, folder: Path, data: Path) -> list[str]:
    """Genome, alignment and a random checkpoint in ``folder``; the flags that name them."""
    phages = beside("phage_alignment")
    ((contig, human),) = phages.read_fasta(data / "human_mtdna.fa.gz").items()
    (folder / "genome.fa").write_text(f">{contig}\n{human}\n")
    flags = ["--genome", str(folder / "genome.fa")]
    if not name.startswith("gpn-msa"):
        beside("gpn").random_network(name).save_pretrained(folder / name)
        return flags
    species = dnallm_core.catalog()[name].extra["species"]
    phages.random_checkpoint(folder / name, len(species), 12)
    (orang,) = phages.read_fasta(data / "orangutan_mtdna.fa.gz").values()
    turned = orang[len(orang) - human.index(START) :] + orang[: len(orang) - human.index(START)]
    (row,) = phages.laid_along(human, [turned])
    rows = [(contig, human), *((each, row) for each in species)]
    (folder / "aligned.fa").write_text("".join(f">{each}\n{text}\n" for each, text in rows))
    return [*flags, "--alignment", str(folder / "aligned.fa")]


class Plain:
    """One forward pass a variant over its window, without anything shared."""

    def __init__(self, family: str, folder: Path, text: str, window: int, strands: int) -> None:
        self.model = dnallm_core.load(family, weights=folder, device="cpu", dtype="float32")
        self.text, self.window, self.strands = text, window, strands
        self.rates = hasattr(self.model, "substitution_logits")
        self.aligned: Any = None

    def effect(self, position: int, ref: str, alt: str) -> float:
        """Of a substitution at a 0-based position, the mean of the strands."""
        low = min(max(position - self.window // 2, 0), len(self.text) - self.window)
        text, at = self.text[low : low + self.window], position - low
        rows = None
        if self.rates:
            left, right = self.model.receptive_field()
            padded = "-" * left + self.text + "-" * right
            text, at = padded[position : position + left + 1 + right], left
        if self.aligned is not None:
            rows = self.aligned.fetch("MT_human", low, low + self.window)[1:]
        found = self._one(text, at, ref, alt, rows)
        if self.strands == 2:
            turned = rows and [reverse_complement(row) for row in rows]
            bases = [reverse_complement(each) for each in (ref, alt)]
            found += self._one(reverse_complement(text), len(text) - 1 - at, *bases, turned)
        return found / self.strands

    def _one(self, text: str, at: int, ref: str, alt: str, rows: list[str] | None) -> float:
        tokenizer = self.model.tokenizer
        pads = len(text) - len(text.strip("-"))
        ids = list(tokenizer.encode(text.strip("-"), special_tokens=False).ids)
        before = len(text) - len(text.lstrip("-"))
        ids = [tokenizer.pad_id or 0] * before + ids + [tokenizer.pad_id or 0] * (pads - before)
        if self.rates:
            row = self.model.substitution_logits({"input_ids": torch.tensor([ids])})[0, 0]
            return float(row["ACGT".index(alt)] - row["ACGT".index(ref)])
        ids[at] = tokenizer.mask_id
        inputs = {"input_ids": torch.tensor([ids])}
        if rows is not None:
            inputs["aux_features"] = self.model.encode_alignment(rows)[None]
        row = self.model.module(**inputs).logits[0, at]
        names = tokenizer.base_ids
        return float(row[names[alt]] - row[names[ref]])


def measured(name: str, options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    family, window, strands = MODELS[name]
    flags = prepared(name, folder, options.data)
    text = (folder / "genome.fa").read_text().split("\n")[1]
    count = options.positions or len(text)
    first = (len(text) - count) // 2
    output = folder / f"{name}.vcf.gz"
    command = [
        "scan", family, "--weights", str(folder / name), *flags, "--window", str(window),
        "--region", f"MT_human:{first + 1}-{first + count}", "-o", str(output), "--quiet",
        "--device", "cpu", "--dtype", "float32", *["--one-strand"] * (strands == 1),
    ]  # fmt: skip
    assert run(command) == 0
    seconds = json.loads(Path(f"{output}.run.json").read_text())["seconds"]
    with pysam.VariantFile(str(output)) as file:
        rows = [(row.pos - 1, row.ref, row.alts[0], row.info["DNALLM"][0]) for row in file]
    assert len(rows) == 3 * count
    plain = Plain(family, folder / name, text, window, strands)
    if "--alignment" in flags:
        species = dnallm_core.catalog()[name].extra["species"]
        plain.aligned = open_alignment(folder / "aligned.fa", contig="MT_human").select(species)
    sample = [rows[at] for at in np.linspace(0, len(rows) - 1, options.sample).astype(int)]
    with torch.inference_mode():
        plain.effect(*sample[0][:3])
        began = time.perf_counter()
        expected = np.array([plain.effect(*each[:3]) for each in sample])
        loop = (time.perf_counter() - began) / len(sample)
    worst = np.abs(expected - [each[3] for each in sample]).max() / np.abs(expected).max()
    return {
        "model": name,
        "window_bp": window,
        "strands": strands,
        "variants": len(rows),
        "seconds": round(seconds, 1),
        "variants_a_second": round(len(rows) / seconds, 2),
        "plain_sample": len(sample),
        "plain_variants_a_second": round(1 / loop, 3),
        "multiple": round(loop * len(rows) / seconds, 1),
        "worst_difference_of_largest_effect": float(f"{worst:.2g}"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--positions", type=int, default=0, help="0: all")
    parser.add_argument("--sample", type=int, default=12, help="variants of the plain loop")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measured(name, options, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
