"""Which bases an answer of a network rests on: integrated gradients over its embedding, by captum.

Integrated gradients (Sundararajan et al. 2017, eq. 1) follow the answer from a baseline, in which
every base is a token that says nothing, to the sequence: what the bases get sums to the difference of
the two answers (completeness). A token's share is divided equally among the bases that it covers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import CapabilityError, RequirementError
from .batching import require
from .protocols import PredictsBases, TakesAlignment

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ..sequences.tokenizers import Encoding
    from .model import Model

METHODS = ("integrated-gradients", "gradient-x-input")
Answer = Callable[["Tensor"], "Tensor"]
"""Ids (rows, tokens) to one number a row, differentiable."""


class Question(NamedTuple):
    """What is asked of one sequence: its ids, what each token stands for, and the answer to them."""

    ids: list[int]
    offsets: list[tuple[int, int]]
    answer: Answer


class Attribution(NamedTuple):
    """``bases`` (bp,): each one's share; ``answer`` and that of the ``baseline``; what is ``missed``.

    ``missed``: how far the shares' sum is from the difference of the two answers.
    """

    bases: NDArray[np.float64]
    answer: float
    baseline: float
    missed: float


def attribution(
    model: Model,
    question: Question,
    *,
    method: str = "integrated-gradients",
    steps: int = 64,
    tokens: int = 16_384,
) -> Attribution:
    """Shares of a sequence's bases in the answer to a question.

    ``steps``: points on the way from the baseline; ``tokens``: of a batch at most. The baseline has
    the tokenizer's mask for every token of bases, else its unknown or padding token.

    Raises CapabilityError where the network reads no embedding of each token, RequirementError where
    captum is not installed.
    """
    import numpy as np
    import torch

    if method not in METHODS:
        raise RequirementError(
            f"No method is called {method!r}.", hint=f"There are {', '.join(METHODS)}."
        )
    captum = needed()
    answer = question.answer
    ids = torch.tensor([question.ids], device=model.device)
    stands_for_bases = torch.tensor([end > start for start, end in question.offsets])
    baseline = ids.clone()
    baseline[:, stands_for_bases] = _nothing(model)
    layer = embedding_layer(model, answer, ids)
    rows = max(1, tokens // ids.shape[1])
    with torch.no_grad():
        ends = [float(answer(each)[0]) for each in (ids, baseline)]
    if method == "gradient-x-input":
        found = captum.LayerGradientXActivation(answer, layer).attribute(ids)
    else:
        found = captum.LayerIntegratedGradients(answer, layer).attribute(
            ids, baselines=baseline, n_steps=steps, internal_batch_size=rows
        )
    shares = found[0].detach().double().sum(-1).cpu().numpy()  # (tokens,)
    length = max((end for _, end in question.offsets), default=0)
    bases = np.zeros(length)
    for share, (start, end) in zip(shares, question.offsets, strict=True):
        if end > start:
            bases[start:end] += share / (end - start)
    return Attribution(bases, ends[0], ends[1], float(abs(bases.sum() - (ends[0] - ends[1]))))


def needed() -> Any:
    """captum.attr; RequirementError says how to install it."""
    try:
        return importlib.import_module("captum.attr")
    except ModuleNotFoundError:
        raise RequirementError(
            "For attributions, captum is needed, which is not installed.",
            hint="pip install 'dnallm-core[attribute]' brings it.",
        ) from None


def embedding_layer(model: Model, answer: Answer, ids: Tensor) -> nn.Module:
    """The module that turns ids (batch, tokens) into vectors (batch, tokens, width), called once.

    That is the network's table of embeddings; where it is read more than once (both strands), the
    nearest module around it that is called once. CapabilityError where there is none.
    """
    import torch

    name = model.manifest.id
    if isinstance(model, TakesAlignment):
        raise CapabilityError(f"{name} reads an alignment beside the sequence: no attributions.")
    network = model.module
    paths = [path for path, each in network.named_modules() if isinstance(each, torch.nn.Embedding)]
    if not paths:
        raise CapabilityError(
            f"{name} reads its bases without a table of embeddings, along which gradients would be "
            "followed.",
            hint="`dnallm scan` asks it the same question by changing one base after another.",
        )
    while paths:
        found = next((path for path in paths if _reads_once(network, path, answer, ids)), None)
        if found is not None:
            module: nn.Module = network.get_submodule(found)
            return module
        around = dict.fromkeys(path.rpartition(".")[0] for path in paths)
        paths = [path for path in around if path]
    raise CapabilityError(
        f"{name} looks its bases up in more than one place, and no module of it reads them once.",
        hint="`dnallm scan` asks it the same question by changing one base after another.",
    )


def _reads_once(network: Any, path: str, answer: Answer, ids: Tensor) -> bool:
    """Whether a module is called once, with the ids, and gives a vector for each."""
    import torch

    calls: list[bool] = []

    def note(_: Any, inputs: Any, output: Any) -> None:
        given = inputs[0] if inputs else None
        reads = isinstance(given, torch.Tensor) and torch.equal(given, ids)
        calls.append(reads and isinstance(output, torch.Tensor) and output.shape[:-1] == ids.shape)

    hook = network.get_submodule(path).register_forward_hook(note)
    try:
        with torch.no_grad():
            answer(ids)
    finally:
        hook.remove()
    return calls == [True]


def _nothing(model: Model) -> int:
    tokenizer = model.tokenizer
    for each in (tokenizer.mask_id, tokenizer.unknown_id, tokenizer.pad_id):
        if each is not None:
            return int(each)
    raise CapabilityError(f"{model.manifest.id} has no token that stands for no base.")


def likelihood(model: Model, encoding: Encoding, at: int | None = None) -> Question:
    """The log-likelihood of the base ``at`` a place (0-based), or of the sequence.

    Of a base: a masked model has its token masked, a causal one sees those before it. Of a sequence,
    in one pass: a causal model's own; a masked model's predictions of each token in the sight of all,
    which is not the pseudo-likelihood. What is predicted stays what the sequence has while the input
    moves from the baseline to it.

    Raises CapabilityError where the model predicts no bases, RequirementError where no token stands
    for the base.
    """
    import torch

    require(model, PredictsBases, "has no head that predicts tokens", "scoring")
    causal = model.manifest.direction == "causal"
    ids = list(encoding.ids)
    wanted = [end > start for start, end in encoding.offsets]
    if at is not None:
        wanted = [start <= at < end for start, end in encoding.offsets]
        if sum(wanted) != 1:
            raise RequirementError(
                f"{model.manifest.id} reads base {at + 1:,} in {sum(wanted)} tokens, not in one of "
                "its own.",
                hint="Ask for the whole sequence.",
            )
        if not causal:
            ids[wanted.index(True)] = _nothing(model)
    targets = torch.tensor(encoding.ids, device=model.device)
    counted = torch.tensor(wanted, device=model.device)
    if causal:
        targets, counted = targets[1:], counted[1:]

    def answer(given: Tensor) -> Tensor:
        network: Any = model
        logits = network.token_logits({"input_ids": given}).float()[:, : len(targets)]
        chances = logits.log_softmax(-1).gather(2, targets.expand(len(given), -1)[..., None])
        found: Tensor = chances[..., 0].masked_fill(~counted, 0.0).sum(1)
        return found

    return Question(ids, encoding.offsets, answer)
