"""Tier *reproduces*: the published weights give the authors' numbers."""

from __future__ import annotations

from ..errors import DnallmError
from .promise import NotApplicable, check, require
from .subject import ModelSubject


@check("C301", "reproduces", "model")
def check_gives_the_authors_numbers(subject: ModelSubject) -> None:
    """With the published weights, the check vectors come out as the authors' own code gave them."""
    if subject.facts.check is None:
        raise NotApplicable("it has no check vectors")
    if not subject.with_weights:
        raise NotApplicable("the published weights were not asked for (--weights)")
    import dnallm_core

    try:
        model = dnallm_core.load(
            subject.facts.id, device="cpu", dtype="float32", offline=True, check=False
        )
        from ..weights.check import hold

        hold(
            model.manifest,
            model.provenance,
            lambda sequence: [float(each) for each in model.embed(sequence)[0]],
        )
    except DnallmError as error:
        require(False, str(error))
