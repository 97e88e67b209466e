"""One story on real input, as one HTML page: ask the selector, run what it chose, see what it learned.

    python docs/demo/demo.py --output FOLDER

Writes ``demo.html`` (needs nothing else: open it in a browser), its pictures as PNG, and what was said
in ``selection.txt``. No weights are downloaded: the models come with the plugins.
"""

from __future__ import annotations

import argparse
import base64
import time
from html import escape
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import story

import dnallm_core as dnallm

COLOURS = ("#4477aa", "#ccbb44", "#ee6677")
STYLE = """
body { font: 16px/1.55 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem; color: #222 }
img { max-width: 100%; } pre { background: #f6f6f4; padding: .8rem; overflow-x: auto; font-size: 13px }
h2 { margin-top: 2.5rem; } .said { color: #555 } table { border-collapse: collapse }
td, th { padding: .2rem .8rem; border-bottom: 1px solid #ddd; text-align: right }
td:first-child, th:first-child { text-align: left }
"""


class Page:
    """Chapters in order; pictures are kept beside the page, and within it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def chapter(self, title: str, text: str) -> None:
        """A heading and what it is about."""
        print(f"\n{title}\n{text}", flush=True)
        self.parts.append(f"<h2>{escape(title)}</h2><p>{escape(text)}</p>")

    def say(self, text: str) -> None:
        """A sentence of results."""
        print(text, flush=True)
        self.parts.append(f"<p>{escape(text)}</p>")

    def listing(self, text: str) -> None:
        """Text as a terminal shows it."""
        self.parts.append(f"<pre>{escape(text)}</pre>")

    def picture(self, figure: Any, name: str, what: str) -> None:
        """A figure, and in words what it shows."""
        path = self.folder / name
        figure.savefig(path, dpi=110)
        plt.close(figure)
        data = base64.b64encode(path.read_bytes()).decode()
        self.parts.append(f'<img alt="{escape(what)}" src="data:image/png;base64,{data}">')

    def write(self, seconds: float) -> Path:
        """The page."""
        path = self.folder / "demo.html"
        body = "\n".join(self.parts)
        path.write_text(
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>dnallm: four small '
            f"things</title><style>{STYLE}</style></head><body><h1>What small models of DNA have "
            "learned</h1><p>Four chapters on a tenth of the genome of <em>Escherichia coli</em> 536 "
            "that the models were never shown. All runs on a CPU, with weights that come with the "
            f"plugins.</p>{body}<p class='said'>{seconds:.0f} s.</p></body></html>\n",
            encoding="utf-8",
        )
        return path


def main() -> None:
    """Tell the story."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"))
    parser.add_argument("--quick", action="store_true", help="less of everything, for a test")
    options = parser.parse_args()
    begun = time.monotonic()
    page = Page(options.output)
    sequence, genes = story.held_out()
    models = choose(page)
    embed(page, models["embedding"], sequence, genes, 20 if options.quick else 80)
    scan(page, models["variant-effect"], sequence, genes)
    generate(page, models["generation"], sequence, *((2, 300) if options.quick else (12, 1_500)))
    print(f"\nWrote {page.write(time.monotonic() - begun)}: open it in a browser.")


def choose(page: Page) -> dict[str, str]:
    """Chapter 1; the id of the model for each task."""
    page.chapter(
        "1. Which model?",
        "Each task is put to the selector, with what this machine has and without downloads. It "
        "answers with a ranking and its reasons, and says why each other model was refused.",
    )
    text = []
    chosen = {}
    for task, selection in story.selections().items():
        text.append(f"$ dnallm select --task {task} --weights bundled --length {story.WINDOW}")
        lines = selection.explain().splitlines()
        text += [*lines[:14], *(["…"] if len(lines) > 14 else []), ""]
        chosen[task] = selection.best.id
    page.listing("\n".join(text))
    (page.folder / "selection.txt").write_text("\n".join(text))
    page.say("Chosen: " + ", ".join(f"{model} for {task}" for task, model in chosen.items()) + ".")
    return chosen


def embed(page: Page, name: str, sequence: str, genes: list[Any], each: int) -> None:
    """Chapter 2."""
    page.chapter(
        "2. Does it know a gene when it sees one?",
        f"Pieces of {story.PIECE} bp, from the middle of genes on either strand and from between "
        f"genes, become vectors by {name}. It was told of no gene in training.",
    )
    model = dnallm.load(name, device="auto")
    chosen = story.pieces(sequence, genes, each)
    places = [place for place, _ in chosen]
    texts = [piece for _, piece in chosen]
    vectors = model.embed(texts)
    points, shares = story.projected(vectors)
    figure, axes = plt.subplots(figsize=(7.5, 5.5), layout="constrained")
    for place, colour in zip(story.PLACES, COLOURS, strict=True):
        rows = [i for i, each_place in enumerate(places) if each_place == place]
        axes.scatter(
            *points[rows].T, s=18, alpha=0.75, color=colour, label=f"{place} ({len(rows)})"
        )
    axes.set_xlabel(f"first principal component ({shares[0]:.0%} of the variance)")
    axes.set_ylabel(f"second ({shares[1]:.0%})")
    axes.legend(frameon=False)
    axes.set_title(f"Pieces of an unseen genome, embedded by {name}", loc="left")
    page.picture(
        figure, "embeddings.png", "Embeddings of genes and of what lies between, projected"
    )
    counts = np.stack([story.spectrum([piece], 3) for piece in texts]).astype(np.float32)
    page.say(
        f"Of the pieces, {story.neighbours_agree(vectors, places):.0%} have neighbours (the five "
        f"nearest vectors) mostly of their own kind; {story.neighbours_agree(counts, places):.0%} by "
        "counts of 3-mers on both strands, and 33 % by chance."
    )


def scan(page: Page, name: str, sequence: str, genes: list[Any]) -> None:
    """Chapter 3."""
    gene = story.chosen_gene(genes)
    page.chapter(
        "3. Does it mind what breaks a protein?",
        f"Every substitution of a gene of {gene.end - gene.start:,} bp is scored by {name}: the "
        "log-likelihood of the new base less that of the old, given all around it.",
    )
    model = dnallm.load(name, device="auto")
    table, effects = story.scanned(model, sequence, gene)
    figure, (heat, kinds) = plt.subplots(
        2, 1, figsize=(10, 6.5), height_ratios=(1, 1.7), layout="constrained"
    )
    grid = np.where(table[:180] == 0, np.nan, table[:180]).T
    limit = float(np.nanmax(np.abs(grid)))
    shown = heat.imshow(grid, aspect="auto", cmap="RdBu", vmin=-limit, vmax=limit)
    heat.set_yticks(range(4), "ACGT")
    heat.set_xlabel("base of the gene (the first 60 codons); white: the reference's own base")
    figure.colorbar(shown, ax=heat, label="effect (nats)")
    bins = [each / 4 for each in range(-18, 15)]
    for kind, colour in zip(story.KINDS, COLOURS, strict=True):
        kinds.hist(
            effects[kind], bins=bins, density=True, histtype="step", linewidth=1.8, color=colour,
            label=f"{kind} ({len(effects[kind]):,})",
        )  # fmt: skip
        kinds.axvline(median(effects[kind]), color=colour, linestyle=":")
    kinds.set_xlabel("effect (nats): harmful is negative; dotted: medians")
    kinds.set_ylabel("density")
    kinds.legend(frameon=False)
    page.picture(figure, "scan.png", "Effects of all substitutions, by what they do to the protein")
    middle = {kind: median(effects[kind]) for kind in story.KINDS}
    medians = ", ".join(f"{kind} {value:.2f}" for kind, value in middle.items())
    learned = "It also rates synonymous changes milder than missense ones."
    if middle["synonymous"] <= middle["missense"]:
        learned = (
            "It has not learned that synonymous changes are milder than missense ones: it is small, "
            "and one genome holds few relatives of a gene."
        )
    page.say(
        f"Median effects in nats: {medians}. A stop-gaining substitution is rated below a synonymous "
        f"one in {story.auroc(effects['stop gained'], effects['synonymous']):.0%} of the pairs (50 % is "
        f"chance). {learned} One gene is an example: the model's card has the figure for 40 genes, "
        "with an interval and beside tables of counts."
    )


def generate(page: Page, name: str, sequence: str, count: int, length: int) -> None:
    """Chapter 4."""
    page.chapter(
        "4. Does what it writes look real?",
        f"{name} continues {count} stretches of the genome by {length:,} bp each. What it writes is "
        "held against real stretches, and against the same bases shuffled.",
    )
    model = dnallm.load(name, device="auto")
    written = story.generated(model, sequence, count, length, seed=1)
    places = np.linspace(30_000, len(sequence) - 30_000, count).astype(int)
    real = [sequence[place : place + length] for place in places]
    groups = {"real": real, "written": written, "shuffled": story.shuffled(real)}
    spectra = {key: story.spectrum(each) for key, each in groups.items()}
    frames = {key: story.reading_frames(each) for key, each in groups.items()}
    figure, (words, orfs) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    for key, colour in (("shuffled", COLOURS[1]), ("written", COLOURS[0])):
        agree = np.corrcoef(spectra["real"], spectra[key])[0, 1]
        words.scatter(
            spectra["real"] * 1e3, spectra[key] * 1e3, s=12, alpha=0.7, color=colour,
            label=f"{key} (r = {agree:.2f})",
        )  # fmt: skip
    top = max(each.max() for each in spectra.values()) * 1e3
    words.plot([0, top], [0, top], color="#999", linewidth=0.8)
    words.set_xlabel("real 4-mers, in a thousand")
    words.set_ylabel("4-mers in a thousand")
    words.legend(frameon=False)
    for (key, lengths), colour in zip(frames.items(), ("#222222", *COLOURS[:2]), strict=True):
        ordered = np.sort(lengths)[::-1]
        orfs.plot(ordered, np.arange(1, len(ordered) + 1), color=colour, label=key, linewidth=1.8)
    orfs.set_yscale("log")
    orfs.set_xlabel("length of an open reading frame (bp), or more")
    orfs.set_ylabel("how many")
    orfs.legend(frameon=False)
    page.picture(figure, "generated.png", "4-mers and open reading frames, real, written, shuffled")
    longest = ", ".join(f"{key} {max(each, default=0):,} bp" for key, each in frames.items())
    reached = max(frames["written"], default=0) / max(frames["real"], default=1)
    learned = (
        "" if reached > 0.6 else " It has learned the words of this genome, and not its genes."
    )
    page.say(
        f"4-mers of what it wrote agree with real ones to r = "
        f"{np.corrcoef(spectra['real'], spectra['written'])[0, 1]:.2f} (shuffled: "
        f"{np.corrcoef(spectra['real'], spectra['shuffled'])[0, 1]:.2f}). The longest open reading "
        f"frames: {longest}.{learned}"
    )


if __name__ == "__main__":
    main()
