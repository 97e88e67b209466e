"""What a task costs beside a plain batched loop over the same module, and beside the bare network.

A tiny network shows the machinery's own cost; each pair takes turns in one process, and seconds are
processor time, the best of a few rounds.

    python benchmarks/tasks.py [loops] [variants] [genome] [--rounds 3]

``loops``: embedding, scores and logits of short sequences, and variants, memory and file, beside
plain loops. ``variants``: an equivariant network's masked marginals beside two forwards a variant,
batch 32. ``genome``: embedding of a stretch in windows; the share of the time that the network takes.
What reading takes without a model is measured by ``reading.py``.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dnallm_core.catalog import catalog
from dnallm_core.loading import build, find_implementation
from dnallm_core.models import Embeds, Model, PredictsBases
from dnallm_core.sequences.alphabet import reverse_complement
from dnallm_core.sequences.files import Genome, Record, Variant
from dnallm_core.sequences.tokenizers import tokenizer_for
from dnallm_core.tasks.embedding import embed_file
from dnallm_core.tasks.scoring import logits_file, score_file
from dnallm_core.tasks.variants import score_variants

WINDOW = 128


class Tiny(PredictsBases, Embeds, Model):
    """Stock BERT or GPT-2, two layers of width 16."""

    def token_states(self, inputs: Any, layer: int = -1) -> torch.Tensor:
        """See ``Embeds``."""
        return self.module(**inputs, output_hidden_states=True).hidden_states[layer]


def tiny(causal: bool = False) -> Tiny:
    """A model with the facts of a published family and a network that costs almost nothing."""
    from transformers import BertConfig, BertForMaskedLM, GPT2Config, GPT2LMHeadModel

    family = catalog().family("hyenadna" if causal else "caduceus")
    assert family is not None
    facts = replace(
        family,
        reverse_complement="none",
        special_tokens_in_mean=True,
        max_length=1024,
        max_tokens=1024,
    )
    specs = facts.tokenizer if isinstance(facts.tokenizer, tuple) else (facts.tokenizer,)
    tokenizer = tokenizer_for(specs, folder=None, vocabulary_size=None)
    torch.manual_seed(0)
    size = tokenizer.vocabulary_size
    network: Any
    if causal:
        network = GPT2LMHeadModel(
            GPT2Config(vocab_size=size, n_embd=16, n_layer=2, n_head=2, n_positions=1026)
        )
    else:
        network = BertForMaskedLM(
            BertConfig(
                vocab_size=size,
                hidden_size=16,
                num_hidden_layers=2,
                num_attention_heads=2,
                intermediate_size=32,
                max_position_embeddings=1026,
            )
        )
    return Tiny(facts, network.eval(), tokenizer, provenance={"model": "tiny", "device": "cpu"})


def caduceus(width: int, layers: int) -> Model:
    """An equivariant network with random weights."""
    family = catalog().family("caduceus")
    assert family is not None
    implementation = find_implementation(family)
    published = catalog()["caduceus-ps-1k-d118"]
    arguments = {**published.config, "d_model": width, "n_layer": layers}
    config = implementation.read_config(None, arguments, None)
    network = build(implementation, config).to_empty(device="cpu")
    torch.manual_seed(0)
    network.init_weights()
    specs = family.tokenizer if isinstance(family.tokenizer, tuple) else (family.tokenizer,)
    tokenizer = tokenizer_for(specs, folder=None, vocabulary_size=None)
    facts = replace(published, reverse_complement="equivariant", special_tokens_in_mean=True)
    return implementation(facts, network.eval(), tokenizer, provenance={"device": "cpu"})


def seconds(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def compared(name: str, plain: Callable[[], Any], ours: Callable[[], Any], rounds: int) -> float:
    """Print and return ours over plain, the best of rounds that take turns."""
    plain(), ours()
    pairs = [(seconds(plain), seconds(ours)) for _ in range(rounds)]
    base, mine = (min(each) for each in zip(*pairs, strict=True))
    print(f"{name:<32} plain {base:7.2f} s   ours {mine:7.2f} s   {mine / base:5.2f} x", flush=True)
    return mine / base


# --- plain loops: rows in the order given, 64 at a time, padded, one forward a batch ------------


def batches(model: Model, texts: list[str]) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    for at in range(0, len(texts), 64):
        ids = [model.tokenizer.encode(text).ids for text in texts[at : at + 64]]
        longest = max(map(len, ids))
        yield (
            torch.tensor([row + [0] * (longest - len(row)) for row in ids]),
            torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids]),
        )


@torch.inference_mode()
def plain_embed(model: Model, texts: list[str]) -> np.ndarray:
    found = []
    for ids, mask in batches(model, texts):
        states = model.module(
            input_ids=ids, attention_mask=mask, output_hidden_states=True
        ).hidden_states[-1]
        found.append((states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True))
    return torch.cat(found).numpy()


@torch.inference_mode()
def plain_score(model: Model, texts: list[str]) -> np.ndarray:
    found = []
    for ids, mask in batches(model, texts):
        logits = model.module(input_ids=ids, attention_mask=mask).logits[:, :-1]
        bases = torch.nn.functional.pad(mask[:, 2:], (0, 1))  # the token behind them not counted
        taken = torch.log_softmax(logits, -1).gather(2, ids[:, 1:, None])[..., 0] * bases
        found.append(taken.sum(1) / bases.sum(1))
    return torch.cat(found).numpy()


@torch.inference_mode()
def plain_logits(model: Model, texts: list[str]) -> list[np.ndarray]:
    found = []
    for ids, mask in batches(model, texts):
        logits = model.module(input_ids=ids, attention_mask=mask).logits
        found += [row[: int(kept.sum())].numpy() for row, kept in zip(logits, mask, strict=True)]
    return found


@torch.inference_mode()
def plain_masked(
    model: Model, genome: str, variants: list[tuple[int, str, str]], window: int, batch: int = 32
) -> np.ndarray:
    """Two forwards a variant: the masked window on each strand."""
    ids = model.tokenizer.base_ids
    assert ids is not None
    found = []
    for first in range(0, len(variants), batch):
        total: Any = 0
        for turned in (False, True):
            rows, places, refs, alts = [], [], [], []
            for position, ref, alt in variants[first : first + batch]:
                low = min(max(position - 1 - window // 2, 0), len(genome) - window)
                text, at = genome[low : low + window], position - 1 - low
                if turned:
                    text, at = reverse_complement(text), window - 1 - at
                    ref, alt = reverse_complement(ref), reverse_complement(alt)
                encoding = model.tokenizer.encode(text)
                place = encoding.offsets.index((at, at + 1))
                row = list(encoding.ids)
                row[place] = model.tokenizer.mask_id or 0
                rows.append(row)
                places.append(place)
                refs.append(ids[ref])
                alts.append(ids[alt])
            each = torch.arange(len(rows))
            logits = model.module(input_ids=torch.tensor(rows)).logits[each, torch.tensor(places)]
            total = total + logits[each, torch.tensor(alts)] - logits[each, torch.tensor(refs)]
        found.append(total / 2)
    return torch.cat(found).numpy()


# --- what is measured ---------------------------------------------------------------------------


def sequences(count: int, low: int, high: int, seed: int = 0) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices("ACGT", k=draw.randint(low, high))) for _ in range(count)]


def drawn_variants(genome: str, count: int) -> list[tuple[int, str, str]]:
    draw = random.Random(2)
    return [
        (place, genome[place - 1], draw.choice([b for b in "ACGT" if b != genome[place - 1]]))
        for place in sorted(draw.sample(range(1, len(genome) + 1), count))
    ]


def loops(folder: Path, rounds: int) -> None:
    texts = sequences(4000, 20, 150)
    records = [Record(f"r{number}", text, "", "-", number) for number, text in enumerate(texts)]
    masked, causal = tiny(), tiny(causal=True)
    options: dict[str, Any] = {"overwrite": True, "quiet": True}
    target = folder / "out.npz"
    np.testing.assert_allclose(masked.embed(texts), plain_embed(masked, texts), atol=1e-4)
    np.testing.assert_allclose(causal.score(texts), plain_score(causal, texts), atol=1e-4)
    for name, plain, memory, task, model in (
        ("embed", plain_embed, "embed", embed_file, masked),
        ("score (causal)", plain_score, "score", score_file, causal),
        ("logits", plain_logits, "logits", logits_file, causal),
    ):
        loop = partial(plain, model, texts)
        filed = partial(task, model, records, target, **options)
        compared(f"{name}, in memory", loop, partial(getattr(model, memory), texts), rounds)
        compared(f"{name}, file to file", loop, filed, rounds)
    (text,) = sequences(1, 30_000, 30_000, 1)
    (folder / "genome.fa").write_text(f">c\n{text}\n")
    chosen = drawn_variants(text, 1200)
    listed = [Variant("c", *each, "", "", number) for number, each in enumerate(chosen)]
    with Genome(folder / "genome.fa") as genome:
        compared(
            "variants (masked), file to file",
            lambda: plain_masked(masked, text, chosen, WINDOW),
            lambda: score_variants(masked, listed, genome, target, window=WINDOW, **options),
            rounds,
        )


def variants(folder: Path, rounds: int) -> None:
    model = caduceus(64, 4)
    (text,) = sequences(1, 30_000, 30_000, 1)
    chosen = drawn_variants(text, 96)
    expected = plain_masked(model, text, chosen, 512)
    found = model.variant_effects(text, chosen, window=512)
    worst = np.abs(found - expected).max() / np.abs(expected).max()
    print(f"equivariant network: worst deviation {worst:.1e} of the largest effect")
    ratio = compared(
        "variants (equivariant, 512 bp)",
        lambda: plain_masked(model, text, chosen, 512),
        lambda: model.variant_effects(text, chosen, window=512),
        rounds,
    )
    print(f"{1 / ratio:.1f} times the rate of two forwards a variant")


def genome(folder: Path, rounds: int) -> None:
    model = caduceus(64, 4)
    (text,) = sequences(1, 200_000, 200_000, 1)
    inside = [0.0]
    forward = model.module.forward

    def timed(*arguments: Any, **named: Any) -> Any:
        began = time.thread_time()
        try:
            return forward(*arguments, **named)
        finally:
            inside[0] += time.thread_time() - began

    model.module.forward = timed  # type: ignore[method-assign]
    record = [Record("c", text, "", "-", 0)]
    peaks = []
    for length in (len(text) // 4, len(text)):
        inside[0] = 0.0
        part = [record[0]._replace(sequence=text[:length])]
        took = seconds(
            lambda part=part: embed_file(
                model, part, folder / "g.npy", window=512, overwrite=True, quiet=True
            )
        )
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(
            f"embedding {length:,} bp: {took:.1f} s, {100 * inside[0] / took:.0f} % in the network, "
            f"peak {peaks[-1]:.0f} MiB",
            flush=True,
        )


def main() -> None:
    """Measure what is asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", nargs="*", help="loops, variants, genome (default: all)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    for each in (loops, variants, genome):
        if not options.what or each.__name__ in options.what:
            with tempfile.TemporaryDirectory() as folder:
                each(Path(folder), options.rounds)


if __name__ == "__main__":
    main()
