"""Hard requirements held against a manifest: for each, what is missing and the nearest change."""

from __future__ import annotations

from collections.abc import Callable, Collection

from .. import values
from ..manifest import words
from ..manifest.model import ModelManifest
from .decisions import Check, Refusal
from .requirements import Requirements


def capability_refusals(
    asked: Requirements, model: ModelManifest, local: Collection[str]
) -> list[Refusal]:
    """Every requirement that has nothing to do with hardware and that ``model`` does not keep."""
    found = []
    for name, rule in _RULES:
        wanted = getattr(asked, name)
        if wanted is not None:
            refusal = rule(wanted, model)
            if refusal is not None:
                found.append(refusal)
    if asked.weights not in (None, "any"):
        refusal = _weights(asked.weights, model, local)
        if refusal is not None:
            found.append(refusal)
    return found


def kept(asked: Requirements, model: ModelManifest) -> list[Check]:
    """The same requirements with the facts that they were held against, for an accepted model."""
    source = "; ".join(model.sources[:2])
    facts = {
        "task": f"it does {', '.join(model.tasks)}",
        "trained_on": f"trained on {', '.join(model.trained_on.domains) or 'nothing stated'}",
        "length": _length_fact(model),
        "direction": model.direction,
        "architecture": model.architecture,
        "scaling": f"time grows {model.scaling.time}",
        "resolution": f"{model.resolution:g} bp a token" if model.resolution else "not stated",
        "inputs": f"it reads {', '.join(model.inputs)}",
        "licence": model.licence.id or "none declared",
        "weights": "bundled" if model.is_bundled else (model.weights.hub or "no hub"),
    }
    return [
        Check(name, f"asked {value}; {facts[name]}", source)
        for name, value in asked.asked().items()
        if name in facts
    ]


def _length_fact(model: ModelManifest) -> str:
    if model.max_length is None:
        return "no longest input is stated"
    kind = {"hard": "more is an error", "trained": "it was trained up to there", "none": "no limit"}
    return f"up to {values.show_length(model.max_length)} ({kind[model.length_limit]})"


def _task(wanted: str, model: ModelManifest) -> Refusal | None:
    if wanted in model.tasks:
        return None
    return Refusal(
        "task",
        wanted,
        tuple(model.tasks),
        f"does not do {wanted}; it does {', '.join(model.tasks)}",
        f"ask for {_nearest_task(wanted, model.tasks)}" if model.tasks else "",
    )


_INSTEAD = {
    "scoring": ("variant-effect", "masked-prediction", "generation"),
    "variant-effect": ("scoring", "embedding"),
    "generation": ("scoring", "masked-prediction"),
    "masked-prediction": ("scoring",),
    "token-classification": ("token-embedding", "classification"),
    "classification": ("embedding", "regression"),
    "regression": ("embedding", "classification"),
    "token-embedding": ("embedding",),
    "embedding": ("token-embedding",),
}


def _nearest_task(wanted: str, tasks: Collection[str]) -> str:
    return next((each for each in _INSTEAD.get(wanted, ()) if each in tasks), next(iter(tasks)))


def _trained_on(wanted: str, model: ModelManifest) -> Refusal | None:
    domains = model.trained_on.domains
    if wanted in domains:
        return None
    seen = ", ".join(domains) or "domains that no source states"
    return Refusal(
        "trained_on",
        wanted,
        tuple(domains),
        f"was not trained on {wanted}; it has seen {seen}",
        f"ask for `domain` = {wanted} instead: it ranks by evidence and refuses nothing",
    )


def _length(wanted: int, model: ModelManifest) -> Refusal | None:
    most = model.max_length
    if most is None or wanted <= most or model.length_limit == "none":
        return None
    verb = "takes" if model.length_limit == "hard" else "was trained on"
    return Refusal(
        "length",
        wanted,
        most,
        f"{verb} at most {values.show_length(most)}; asked are {values.show_length(wanted)}",
        f"fits from windows of {values.show_length(most)}",
    )


def _direction(wanted: str, model: ModelManifest) -> Refusal | None:
    if wanted == model.direction:
        return None
    return Refusal(
        "direction", wanted, model.direction, f"is {model.direction}, not {wanted}",
        f"allow {model.direction}",
    )  # fmt: skip


def _architecture(wanted: str, model: ModelManifest) -> Refusal | None:
    if wanted == model.architecture:
        return None
    return Refusal(
        "architecture", wanted, model.architecture,
        f"is {_article(model.architecture)}, not {_article(wanted)}", f"allow {model.architecture}",
    )  # fmt: skip


def _article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _scaling(wanted: str, model: ModelManifest) -> Refusal | None:
    if words.GROWTHS.index(model.scaling.time) <= words.GROWTHS.index(wanted):
        return None
    return Refusal(
        "scaling", wanted, model.scaling.time,
        f"takes {model.scaling.time} time in length; asked is {wanted} at most",
        f"allow {model.scaling.time}",
    )  # fmt: skip


def _resolution(wanted: float, model: ModelManifest) -> Refusal | None:
    if model.resolution is not None and model.resolution <= wanted:
        return None
    shown = "an unstated number of" if model.resolution is None else f"{model.resolution:g}"
    fix = "" if model.resolution is None else f"allow {model.resolution:g} bp a token"
    return Refusal(
        "resolution", wanted, model.resolution,
        f"has {shown} bp a token; asked are {wanted:g} at most", fix,
    )  # fmt: skip


def _inputs(wanted: tuple[str, ...], model: ModelManifest) -> Refusal | None:
    lacking = [each for each in model.inputs if each not in ("sequence", *wanted)]
    if not lacking:
        return None
    return Refusal(
        "inputs", tuple(model.inputs), tuple(wanted),
        f"reads {' and '.join(model.inputs)}; at hand is {' and '.join(wanted)}",
        f"give inputs = {','.join(model.inputs)}",
    )  # fmt: skip


def _licence(wanted: str, model: ModelManifest) -> Refusal | None:
    terms = model.licence
    named = terms.id or "no licence that anyone declares"
    if wanted == "any":
        return None
    if wanted == "commercial":
        if terms.commercial:
            return None
        denied = terms.commercial is False
        why = "does not allow" if denied else "is not known to allow"
        return Refusal(
            "licence", wanted, terms.id, f"{named} {why} commercial use",
            "ask its authors for terms, or ask for licence = any",
        )  # fmt: skip
    options = {each.lower() for each in wanted.split(",")}
    if (terms.id or "").lower() in options:
        return None
    if "commercial" in options and terms.commercial:
        return None
    fix = f"allow {terms.id}" if terms.id else "ask for licence = any"
    return Refusal("licence", wanted, terms.id, f"has {named}, not {wanted}", fix)


def _weights(wanted: str, model: ModelManifest, local: Collection[str]) -> Refusal | None:
    if model.is_bundled or (wanted == "local" and model.id in local):
        return None
    where = model.weights.hub or model.weights.url or "a place that is not stated"
    if wanted == "bundled":
        return Refusal(
            "weights", wanted, where, f"its weights do not ship in a plugin: they are at {where}",
            f"dnallm pull {model.id}, and ask for weights = local",
        )  # fmt: skip
    return Refusal(
        "weights", wanted, where, f"its weights are not on this machine but at {where}",
        f"dnallm pull {model.id}",
    )  # fmt: skip


_RULES: tuple[tuple[str, Callable[..., Refusal | None]], ...] = (
    ("task", _task),
    ("trained_on", _trained_on),
    ("length", _length),
    ("direction", _direction),
    ("architecture", _architecture),
    ("scaling", _scaling),
    ("resolution", _resolution),
    ("inputs", _inputs),
    ("licence", _licence),
)
