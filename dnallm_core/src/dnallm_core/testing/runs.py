"""Tier *runs*: a small network of the family keeps the house's rules for calling and answering."""

from __future__ import annotations

from typing import Any

from ..models.protocols import Embeds, PredictsBases, PredictsRates
from .promise import NotApplicable, check, require
from .subject import FamilySubject, float_dtype

CLOSE = 2e-4  # float32, other order of summation
SAME_PLACE = 2e-3  # other alignment of the row in memory: transforms and scans sum in other blocks


@check("C101", "runs", "family")
def check_builds_and_loads(subject: FamilySubject) -> None:
    """The network builds without memory, is filled with every tensor, and is in eval mode."""
    module = subject.model.module
    meta = [name for name, each in module.named_parameters() if each.is_meta]
    meta += [name for name, each in module.named_buffers() if each.is_meta]
    require(not meta, f"nothing filled {', '.join(meta[:4])}")
    require(not module.training, "it is in training mode")


@check("C102", "runs", "family")
def check_computes_its_buffers(subject: FamilySubject) -> None:
    """Loaded through the meta device, it answers as when its class makes it on the CPU."""
    ids = subject.ids(subject.length)
    built = subject.outputs(ids, module=subject.reference)
    for ours, theirs in zip(subject.outputs(ids), built, strict=True):
        _close(ours, theirs, "loading changes the answers", CLOSE)


@check("C103", "runs", "family")
def check_returns_what_networks_return(subject: FamilySubject) -> None:
    """``last_hidden_state`` always, ``logits`` where there is a head, all of them finite numbers."""
    import torch

    from .example import answer

    ids = subject.ids(subject.length, rows=2)
    found = subject.call(ids)
    states = answer(found, "last_hidden_state")
    require(states is not None, "last_hidden_state is not set")
    assert states is not None
    require(states.ndim == 3 and states.shape[0] == 2, f"last_hidden_state is {_shape(states)}")
    if isinstance(subject.model, PredictsBases):
        logits = answer(found, "logits")
        require(logits is not None, "it predicts bases, and logits are not set")
        assert logits is not None
        require(
            logits.shape[:2] == ids.shape, f"logits are {_shape(logits)} for {_shape(ids)} tokens"
        )
        size = int(getattr(subject.config, "vocab_size", 0))
        require(logits.shape[2] >= size, f"logits are over {logits.shape[2]} of {size} tokens")
    for each in subject.outputs(ids):
        require(each.shape[:2] == ids.shape, f"{_shape(each)} for {_shape(ids)} tokens")
        require(bool(torch.isfinite(each).all()), "some answers are no numbers")


@check("C104", "runs", "family")
def check_hidden_states_are_in_order(subject: FamilySubject) -> None:
    """``hidden_states`` come on request: the embedding, one a block, last what the head reads."""
    from .example import answer

    ids = subject.ids(subject.length)
    plain = subject.call(ids)
    require(getattr(plain, "hidden_states", None) is None, "they come without being asked for")
    found = subject.call(ids, output_hidden_states=True)
    states = found.hidden_states
    require(states is not None and len(states) >= 2, "they don't come when asked for")
    last = answer(found, "last_hidden_state")
    assert last is not None
    same = states[-1].shape == last.shape and bool((states[-1] == last).all())
    require(same, "the last of them is not last_hidden_state")
    blocks = _blocks(subject.config)
    if blocks is not None:
        require(
            len(states) == blocks + 1, f"{len(states)} states for an embedding and {blocks} blocks"
        )
    _close(last, answer(plain, "last_hidden_state"), "asking for them changes the answer", CLOSE)


@check("C105", "runs", "family")
def check_is_deterministic(subject: FamilySubject) -> None:
    """The same input gives the same answer, whatever was asked before."""
    ids, other = subject.ids(subject.length), subject.ids(subject.length, seed=5)
    first = subject.outputs(ids)
    subject.outputs(other)
    for before, after in zip(first, subject.outputs(ids), strict=True):
        require(bool((before == after).all()), "two calls with one input differ")


@check("C106", "runs", "family")
def check_all_ones_mask_is_none(subject: FamilySubject) -> None:
    """A mask of ones alone answers as no mask."""
    import torch

    ids = subject.ids(subject.length, rows=2)
    for masked, plain in zip(
        subject.outputs(ids, torch.ones_like(ids)), subject.outputs(ids), strict=True
    ):
        _close(masked, plain, "a mask of ones changes the answer", CLOSE)


@check("C107", "runs", "family")
def check_padding_on_the_right_is_unseen(subject: FamilySubject) -> None:
    """Real tokens answer as in the unpadded row, whatever stands behind them under the mask."""
    _padded(subject, right=True)


@check("C108", "runs", "family")
def check_padding_on_the_left_is_unseen(subject: FamilySubject) -> None:
    """Real tokens answer as in the unpadded row, whatever stands before them under the mask."""
    _padded(subject, right=False)


@check("C109", "runs", "family")
def check_rows_do_not_feel_each_other(subject: FamilySubject) -> None:
    """A row's answer does not depend on what else is in its batch, nor on its place there."""
    import torch

    ids = subject.ids(subject.length, rows=3)
    together = subject.outputs(ids)
    alone = subject.outputs(ids[1:2])
    turned = subject.outputs(torch.flip(ids, [0]))
    for whole, one, back in zip(together, alone, turned, strict=True):
        _close(whole[1:2], one, "a row answers otherwise alone", CLOSE)
        _close(back[2], whole[0], "a row answers otherwise in another place", CLOSE)


@check("C110", "runs", "family")
def check_length_ends_as_declared(subject: FamilySubject) -> None:
    """Up to the limit all is well; one token above, an error, a warning or nothing, as declared."""
    import warnings
    from dataclasses import replace

    from ..errors import SequenceError
    from ..models.batching import encode
    from .subject import bases

    if not subject.keeps(Embeds):
        raise NotApplicable("it does not embed")
    tokenizer = subject.tokenizer
    model = subject.model
    if "alignment" in subject.facts.inputs:
        raise NotApplicable("it is asked with an alignment")
    kind = subject.facts.length_limit
    if tokenizer.base_ids is None:
        raise NotApplicable("its tokens are not one base each")
    added = len(tokenizer.encode("ACGT").ids) - 4
    room = model.context_tokens or subject.facts.max_tokens
    limit = (
        min(room or 64, 600) if kind != "hard" else min(subject.facts.max_tokens or 64, room or 64)
    )
    facts = model.manifest
    try:
        model.manifest = replace(facts, max_tokens=limit)
        for extra in (-1, 0, 1):
            text = bases(max(1, limit - added + extra))
            vectors = None
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                try:
                    encode(model, [text])
                    refused = False
                    if kind != "hard" or limit + extra <= (room or limit):
                        vectors = model.embed(text)
                except SequenceError:
                    refused = True
            warned = any("extrapolation" in str(each.message) for each in caught)
            expected = {"hard": (extra > 0, False), "trained": (False, extra > 0)}
            wanted = expected.get(kind, (False, False))
            require(
                (refused, warned) == wanted,
                f"{limit + extra} of {limit} tokens ({kind}): refused {refused}, warned {warned}",
            )
            if vectors is not None:
                require(bool((vectors == vectors).all()), f"no numbers at {limit + extra} tokens")
    finally:
        model.manifest = facts


@check("C111", "runs", "family")
def check_does_every_declared_task(subject: FamilySubject) -> None:
    """Everything that the manifest says it can be asked is answered, in numbers."""
    import numpy as np

    model, tasks = subject.model, subject.facts.tasks
    _ = subject.tokenizer
    if "alignment" in subject.facts.inputs:
        raise NotApplicable("it is asked with an alignment")
    from .subject import bases

    texts = [bases(max(48, subject.length), seed=each) for each in (1, 2)]
    if {"embedding", "classification", "regression"} & set(tasks):
        vectors = model.embed(texts)
        require(vectors.shape[0] == 2 and vectors.dtype == np.float32, f"embed: {vectors.shape}")
        require(bool(np.isfinite(vectors).all()), "embed: no numbers")
    if "token-embedding" in tasks:
        found = model.embed_tokens(texts[0])
        require(
            len(found.vectors) == len(found.offsets), "embed_tokens: vectors and offsets differ"
        )
    if "scoring" in tasks:
        scores = np.asarray(model.score(texts), dtype=np.float64)
        require(scores.shape == (2,), f"score: {scores.shape}")
        require(bool((scores < 0).all() and np.isfinite(scores).all()), "score: no log-likelihoods")
    if "variant-effect" in tasks:
        place = 20
        other = "A" if texts[0][place] != "A" else "C"
        effects = np.asarray(model.variant_effects(texts[0], [(place + 1, texts[0][place], other)]))
        require(bool(np.isfinite(effects).all()), "variant_effects: no numbers")
    if "generation" in tasks:
        (made,) = model.generate(texts[0], max_new_bases=12, seed=0)
        require(len(made.sequence) > 0, "generate: nothing came")


@check("C112", "runs", "family")
def check_offsets_are_where_tokens_stand(subject: FamilySubject) -> None:
    """A token's offsets are the bases that it spells, in order, and together they are the sequence."""
    from .subject import bases

    tokenizer, text = subject.tokenizer, bases(60, seed=3)
    encoding = tokenizer.encode(text)
    require(len(encoding.ids) == len(encoding.offsets), "there are not as many offsets as ids")
    covered = [False] * len(text)
    last = 0
    for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        if start == end:
            continue
        require(0 <= start < end <= len(text), f"offsets {start}, {end} in {len(text)} bp")
        require(start >= last, "offsets go backwards")
        last = start
        covered[start:end] = [True] * (end - start)
        spelt = tokenizer.spelling(token)
        if spelt:
            require(
                spelt.upper() == text[start:end],
                f"token {token} spells {spelt} and is said to stand for {text[start:end]}",
            )
    lost = {at for start, end in tokenizer.losses(text).spans for at in range(start, end)}
    gaps = [at for at, seen in enumerate(covered) if not seen and at not in lost]
    require(not gaps, f"no token stands for the base at {gaps[:3]}")


@check("C113", "runs", "family")
def check_ids_are_in_the_vocabulary(subject: FamilySubject) -> None:
    """Every id that the tokenizer gives has a row in the network's table, for any letters."""
    tokenizer = subject.tokenizer
    size = int(getattr(subject.config, "vocab_size", 0)) or None
    if size is None:
        raise NotApplicable("its configuration has no vocab_size")
    for text in ("ACGTN" * 8, "acgtn" * 8, "RYKMSWBDHV" * 4, "-*.X" * 8):
        ids = tokenizer.encode(text).ids
        beyond = [each for each in ids if not 0 <= each < size]
        require(not beyond, f"ids {beyond[:3]} of {text[:6]} are beyond {size}")


@check("C114", "runs", "family")
def check_decodes_what_it_encoded(subject: FamilySubject) -> None:
    """Decoding the ids of a sequence spells the sequence."""
    from .subject import bases

    tokenizer, text = subject.tokenizer, bases(60, seed=4)
    encoding = tokenizer.encode(text)
    standing = [end - start for start, end in encoding.offsets]
    if sum(standing) > len(text):
        raise NotApplicable("its tokens overlap")
    found = tokenizer.decode(encoding.ids)
    require(found.upper() == text, f"{text[:12]} comes back as {found[:12]}")


@check("C115", "runs", "family")
def check_needs_no_network(subject: FamilySubject) -> None:
    """Importing, building, loading and asking reach for no network."""
    subject.outputs(subject.ids(subject.length))
    tries = subject.network_attempts
    require(not tries, f"it tried to reach {', '.join(sorted(set(tries))[:3])}")


@check("C116", "runs", "family")
def check_leaves_the_process_as_it_was(subject: FamilySubject) -> None:
    """Loading and asking change no global state: default dtype, gradients, random numbers."""
    import random

    import torch

    def state() -> tuple[Any, ...]:
        return (
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            torch.are_deterministic_algorithms_enabled(),
            torch.get_num_threads(),
            torch.initial_seed(),
            hash(torch.get_rng_state().numpy().tobytes()),
            hash(random.getstate()),
        )

    from . import example

    names = ("default dtype", "gradients", "determinism", "threads", "seed", "chance", "random")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(71_077)  # nobody else's seed
        torch.set_default_dtype(torch.float32)
        before = state()
        try:
            module = example.loaded(subject.implementation, subject.config, subject.tensors)
            subject.outputs(subject.ids(subject.length), module=module)
            after = state()
        finally:
            torch.set_default_dtype(torch.float32)
    moved = [name for name, a, b in zip(names, before, after, strict=True) if a != b]
    require(not moved, f"it changed {', '.join(moved)}")


@check("C117", "runs", "family")
def check_half_precision_stays_close(subject: FamilySubject) -> None:
    """In bfloat16, where it is declared sound, answers are finite and near those in float32."""
    import torch

    from . import example

    if "bfloat16" not in subject.facts.dtypes:
        raise NotApplicable("bfloat16 is not among its dtypes")
    half = example.loaded(
        subject.implementation, subject.config, subject.tensors, float_dtype("bfloat16")
    )
    wrong = [
        name
        for name, each in half.named_parameters()
        if each.is_floating_point() and each.dtype not in (torch.bfloat16, torch.float32)
    ]
    require(not wrong, f"{', '.join(wrong[:3])} did not become bfloat16")
    ids = subject.ids(subject.length)
    for ours, theirs in zip(subject.outputs(ids, module=half), subject.outputs(ids), strict=True):
        apart = example.difference(ours, theirs)
        require(apart < 0.15, f"answers in bfloat16 are {apart:.0%} away")


@check("C118", "runs", "family")
def check_every_parameter_learns(subject: FamilySubject) -> None:
    """A loss over the answers has a gradient in every parameter (``extra.no_gradient`` excuses some)."""
    import re

    import torch

    model = subject.model
    excused = subject.facts.extra.get("no_gradient", ())
    module = model.module
    with torch.enable_grad():
        inputs = subject.inputs(subject.ids(subject.length, rows=2))
        found = [model.token_states(inputs)] if isinstance(model, Embeds) else []
        if isinstance(model, PredictsBases):
            found.append(model.token_logits(inputs))
        if isinstance(model, PredictsRates):
            found.append(model.substitution_logits(inputs))
        pooled = getattr(model.module(**inputs), "pooler_output", None)
        found += [pooled] if pooled is not None else []
        if not found:
            raise NotApplicable("it answers for no token")
        chance = torch.Generator().manual_seed(2)
        loss = sum((each * torch.randn(each.shape, generator=chance)).sum() for each in found)
        try:
            loss.backward()  # type: ignore[union-attr]
            still = [
                name
                for name, each in module.named_parameters()
                if each.requires_grad
                and (each.grad is None or not bool(each.grad.abs().sum() > 0))
                and not any(re.fullmatch(pattern, name) for pattern in excused)
            ]
        finally:
            module.zero_grad(set_to_none=True)
    require(not still, f"no gradient reaches {', '.join(still[:4])} ({len(still)} in all)")


def _padded(subject: FamilySubject, *, right: bool) -> None:
    import torch

    if not subject.implementation.pads:
        raise NotApplicable("it never shares a batch between lengths (pads is false)")
    extra = 7
    if subject.room < subject.length + extra:
        raise NotApplicable("its example has no room for padding")
    ids = subject.ids(subject.length)
    filler = subject.ids(extra, seed=9)
    parts = [ids, filler] if right else [filler, ids]
    ones, zeros = torch.ones_like(ids), torch.zeros_like(filler)
    mask = torch.cat([ones, zeros] if right else [zeros, ones], dim=1)
    places = slice(0, subject.length) if right else slice(extra, None)
    side = "behind" if right else "before"
    inputs_plain = subject.inputs(ids)
    if "aux_features" in inputs_plain and not right:
        raise NotApplicable("its alignment would move with the padding")
    for padded, plain in zip(
        subject.outputs(torch.cat(parts, dim=1), mask), subject.outputs(ids), strict=True
    ):
        _close(padded[:, places], plain, f"padding {side} a row changes its answers", SAME_PLACE)


def _close(ours: Any, theirs: Any, what: str, bound: float) -> None:
    from .example import difference

    require(ours.shape == theirs.shape, f"{what}: {_shape(ours)} against {_shape(theirs)}")
    apart = difference(ours, theirs)
    require(apart <= bound, f"{what}: by {apart:.1e} of their size (bound {bound:.0e})")


def _blocks(config: Any) -> int | None:
    for name in ("num_hidden_layers", "n_layer", "num_layers", "n_layers"):
        value = getattr(config, name, None)
        if isinstance(value, int):
            return value
    return None


def _shape(tensor: Any) -> str:
    return " x ".join(str(each) for each in tensor.shape)
