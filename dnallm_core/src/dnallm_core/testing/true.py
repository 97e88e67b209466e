"""Tier *true*: what the manifest declares is proved on the network itself."""

from __future__ import annotations

from typing import Any

from ..models.protocols import (
    Attends,
    CarriesState,
    Embeds,
    HasReceptiveField,
    PredictsBases,
    PredictsMaskedBases,
    PredictsRates,
    TakesAlignment,
)
from .promise import NotApplicable, check, require
from .subject import FamilySubject, ModelSubject, bases, changed

STILL = 1e-5  # less than this of their size is rounding
EQUIVARIANT = 1e-3

_NEEDS: dict[str, tuple[type, ...]] = {
    "embedding": (Embeds,),
    "token-embedding": (Embeds,),
    "classification": (Embeds,),
    "token-classification": (Embeds,),
    "regression": (Embeds,),
    "masked-prediction": (PredictsBases,),
    "scoring": (PredictsBases, PredictsRates),
    "variant-effect": (PredictsBases, PredictsRates, Embeds),
    "generation": (CarriesState,),
}


@check("C201", "true", "family")
def check_tasks_and_protocols_agree(subject: FamilySubject) -> None:
    """Each declared task has the protocol that it is done by, and each protocol its task."""
    tasks = set(subject.facts.tasks)
    for task in subject.facts.tasks:
        require(
            any(subject.keeps(each) for each in _NEEDS[task]),
            f"it declares {task} and is no {' or '.join(e.__name__ for e in _NEEDS[task])}",
        )
    if subject.keeps(Embeds):
        require("embedding" in tasks, "it embeds, and does not declare embedding")
    if subject.keeps(PredictsBases):
        able = {"scoring", "variant-effect", "masked-prediction", "generation"}
        require(bool(tasks & able), "it predicts bases, and declares no task that needs it")
    aligned = "alignment" in subject.facts.inputs
    require(
        aligned == subject.keeps(TakesAlignment),
        "its inputs and its protocol TakesAlignment disagree",
    )
    if subject.keeps(CarriesState):
        require(subject.facts.direction == "causal", "it carries a state and is not causal")


@check("C202", "true", "family")
def check_causal_models_do_not_look_ahead(subject: FamilySubject) -> None:
    """Declared causal: a later base, changed, moves no earlier answer."""
    if subject.facts.direction != "causal":
        raise NotApplicable("it is not declared causal")
    from .example import difference

    ids = subject.ids(subject.length)
    for place in (subject.length // 2, subject.length - 1):
        other = changed(ids, place, subject.ids_of_bases)
        for one, two in zip(subject.outputs(ids), subject.outputs(other), strict=True):
            apart = difference(two[:, :place], one[:, :place])
            require(
                apart <= STILL,
                f"declared causal, it looks ahead: the base at {place} moves earlier answers "
                f"by {apart:.1e}",
            )


@check("C203", "true", "family")
def check_direction_is_as_declared(subject: FamilySubject) -> None:
    """Earlier bases move later answers; later bases move earlier ones in bidirectional models alone."""
    ids = subject.ids(subject.length)
    place = subject.length // 2
    other = changed(ids, place, subject.ids_of_bases)
    pairs = list(zip(subject.outputs(ids), subject.outputs(other), strict=True))
    forward = any(not _equal(a[:, place + 1 :], b[:, place + 1 :]) for a, b in pairs)
    backward = any(not _equal(a[:, :place], b[:, :place]) for a, b in pairs)
    require(forward, "no later answer feels an earlier base")
    if subject.facts.direction == "bidirectional":
        require(backward, "declared bidirectional, no earlier answer feels a later base")


@check("C204", "true", "family")
def check_reverse_complement_is_as_declared(subject: FamilySubject) -> None:
    """Declared equivariant, a sequence and its reverse complement have one answer; else they have two."""
    import torch

    from .example import difference

    declared = subject.facts.reverse_complement
    if declared == "augmented":
        raise NotApplicable("it was trained with both strands: a fact of its training")
    if subject.facts.direction == "causal" and declared == "none":
        raise NotApplicable("a causal model reads one strand")
    model = subject.model
    if isinstance(model, TakesAlignment):
        raise NotApplicable("its alignment would have to be turned round")
    table = subject.tokenizer.base_ids
    if table is None:
        raise NotApplicable("its tokens are not one base each")
    order = [table[each] for each in "ACGT"]
    ids = subject.ids(subject.length, rows=2)
    complement = dict(zip(order, reversed(order), strict=True))
    turned = torch.tensor([[complement[int(each)] for each in row] for row in ids.flip(1)])
    with torch.no_grad():
        if isinstance(model, PredictsBases):
            here = model.token_logits(subject.inputs(ids))[..., order]
            there = model.token_logits(subject.inputs(turned))[..., order]
        elif isinstance(model, PredictsRates):
            here = model.substitution_logits(subject.inputs(ids))
            there = model.substitution_logits(subject.inputs(turned))
        else:
            raise NotApplicable("it predicts no bases")
    apart = difference(there.flip(1).flip(-1), here)
    if declared == "equivariant":
        require(
            apart <= EQUIVARIANT,
            f"declared equivariant, the reverse complement's answers are {apart:.1e} away",
        )
    else:
        require(apart > EQUIVARIANT, "both strands answer alike, and `none` is declared")


@check("C205", "true", "model")
def check_parameters_are_as_declared(subject: ModelSubject) -> None:
    """The declared number of parameters is that of the network of its settings, counted on meta."""
    if subject.facts.parameters is None:
        raise NotApplicable("it declares no number")
    require(
        subject.parameters == subject.facts.parameters,
        f"declared {subject.facts.parameters:,}; the network has {subject.parameters:,}",
    )


@check("C206", "true", "model")
def check_longest_input_fits_the_network(subject: ModelSubject) -> None:
    """The declared longest input is within the positions that the network's settings give it."""
    facts = subject.facts
    positions = getattr(subject.config, "max_position_embeddings", None)
    if facts.length_limit != "hard" or not isinstance(positions, int):
        raise NotApplicable("its settings set no limit")
    tokens = facts.max_tokens
    if tokens is None and facts.max_length and facts.resolution:
        tokens = int(facts.max_length / facts.resolution)
    if tokens is None:
        raise NotApplicable("it declares no length")
    require(
        tokens <= positions,
        f"declared {tokens:,} tokens; the network has {positions:,} positions",
    )


@check("C207", "true", "model")
def check_vocabulary_fits_the_network(subject: ModelSubject) -> None:
    """The network of its settings has a row for every token of the declared tokenizer."""
    from ..sequences.tokenizers.undecided import UndecidedTokenizer

    size = getattr(subject.config, "vocab_size", None)
    require(
        not isinstance(_tokenizer(subject), UndecidedTokenizer),
        f"no declared tokenizer fits a network of {size} tokens",
    )


@check("C208", "true", "family")
def check_receptive_field_holds(subject: FamilySubject) -> None:
    """Beyond the declared receptive field no base moves an answer; within twice its span some does."""
    model = subject.model
    if not isinstance(model, HasReceptiveField):
        raise NotApplicable("it declares none")
    left, right = model.receptive_field()
    length = left + right + 9
    if length > min(subject.room, 4096):
        raise NotApplicable("the field is wider than its example")
    ids = subject.ids(length)
    middle = left + 4
    for place, felt in ((middle - left - 1, False), (middle + right + 1, False)):
        other = changed(ids, place, subject.ids_of_bases)
        for one, two in zip(subject.outputs(ids), subject.outputs(other), strict=True):
            moved = not _equal(one[:, middle], two[:, middle])
            require(moved == felt, f"an answer feels a base {abs(place - middle)} tokens away")
    near = [
        changed(ids, place, subject.ids_of_bases)
        for place in {middle - max(1, left // 2), middle + max(1, right // 2)}
    ]
    plain = subject.outputs(ids)
    for other in near:
        found = subject.outputs(other)
        require(
            any(not _equal(a[:, middle], b[:, middle]) for a, b in zip(plain, found, strict=True)),
            "the declared field is more than twice as wide as the true one",
        )


@check("C209", "true", "family")
def check_state_carries_the_past(subject: FamilySubject) -> None:
    """In any pieces, the state handed on, a sequence has the logits of the whole; rows can be kept."""
    import torch

    from .example import difference

    model = subject.model
    if not isinstance(model, CarriesState) or not isinstance(model, PredictsBases):
        raise NotApplicable("it carries no state")
    ids = subject.ids(subject.length, rows=2)
    with torch.no_grad():
        whole = model.token_logits({"input_ids": ids})
        for cuts in ((1,), (subject.length // 2,), (3, 4, 5), (subject.length - 1,)):
            state, found, begin = None, [], 0
            for end in (*cuts, subject.length):
                step = model.advance(ids[:, begin:end], state)
                found.append(step.logits)
                state, begin = step.state, end
            apart = difference(torch.cat(found, dim=1), whole)
            require(
                apart <= 1e-3, f"cut at {', '.join(map(str, cuts))}, logits are {apart:.1e} away"
            )
        half = subject.length // 2
        step = model.advance(ids[:, :half], None)
        state = model.select_rows(step.state, torch.tensor([1]))
        kept = model.advance(ids[1:, half:], state).logits
        both = model.advance(ids[:, half:], step.state).logits
    apart = difference(kept, whole[1:, half:])
    require(apart <= 1e-3, f"the state of one row, kept alone, answers otherwise by {apart:.1e}")
    require(
        both.shape == whole[:, half:].shape and difference(both, whole[:, half:]) <= 1e-3,
        "once some of its rows were selected, a state no longer answers as before",
    )


@check("C210", "true", "family")
def check_masked_bases_agree_with_single_passes(subject: FamilySubject) -> None:
    """Masks that share work answer as a forward pass each."""
    from .example import difference

    model = subject.model
    if not isinstance(model, PredictsMaskedBases):
        raise NotApplicable("it shares no work between masks")
    import torch

    mask = subject.tokenizer.mask_id
    if mask is None:
        raise NotApplicable("it has no mask token")
    ids = subject.ids(subject.length)[0]
    middle = subject.length // 2
    places = torch.tensor([0, middle, middle + 1, subject.length - 1])
    with torch.no_grad():
        found = model.masked_logits(ids, places, mask)
        plain = PredictsMaskedBases.masked_logits(model, ids, places, mask)
    apart = difference(found, plain)
    require(apart <= 1e-3, f"they are {apart:.1e} away")


@check("C211", "true", "family")
def check_attention_sums_to_one(subject: FamilySubject) -> None:
    """Shown attention is a share for every token, in every layer; a causal model's looks back alone."""
    model = subject.model
    if not isinstance(model, Attends):
        raise NotApplicable("it shows no attention")
    import torch

    with torch.no_grad():
        layers = model.attention_weights(subject.inputs(subject.ids(subject.length)))
    for each in layers:
        apart = float((each.sum(-1) - 1).abs().max())
        require(apart < 1e-3, f"shares sum to one within {apart:.1e}")
        if subject.facts.direction == "causal":
            ahead = float(each.triu(1).abs().max())
            require(ahead == 0, "a causal model attends to what comes later")


@check("C212", "true", "model")
def check_resolution_is_as_declared(subject: ModelSubject) -> None:
    """A token stands for as many bases as declared, on average over a sequence."""
    declared = subject.facts.resolution
    if declared is None:
        raise NotApplicable("it declares none")
    text = bases(900, seed=11)
    tokens = _tokenizer(subject).encode(text, special_tokens=False).ids
    found = len(text) / max(1, len(tokens))
    require(
        abs(found - declared) <= 0.2 * declared,
        f"declared {declared:g} bp a token; {found:.2f} bp in a sequence by chance",
    )


@check("C213", "true", "family")
def check_alignment_is_read(subject: FamilySubject) -> None:
    """A model that needs an alignment answers otherwise for another alignment."""
    model: Any = subject.model
    if not isinstance(model, TakesAlignment):
        raise NotApplicable("it takes none")
    ids = subject.ids(subject.length)
    inputs = subject.inputs(ids)
    rows = model.encode_alignment(["A" * ids.shape[1]] * model.aligned_species())
    asked: Any = model
    import torch

    with torch.no_grad():
        one = asked.token_states(inputs)
        two = asked.token_states({**inputs, "aux_features": rows[None]})
    require(not _equal(one, two), "the alignment changes nothing")


def _tokenizer(subject: ModelSubject) -> Any:
    """The tokenizer that the manifest's rules give a network of the model's settings."""
    from ..sequences.tokenizers import tokenizer_for

    size = getattr(subject.config, "vocab_size", None)
    tables = subject.facts.tokenizer
    specs = tables if isinstance(tables, tuple) else (tables,)
    fits = [each for each in specs if each.get("vocabulary_size") in (None, size)]
    whole = all("vocabulary" in each or each["kind"] == "byte" for each in fits or specs)
    if not isinstance(size, int) or not whole:
        raise NotApplicable("its vocabulary comes with its checkpoint")
    return tokenizer_for(specs, vocabulary_size=size)


def _equal(first: Any, second: Any) -> bool:
    from .example import difference

    return difference(second, first) <= STILL
