"""Going on when memory runs out: the same work in smaller batches, said once."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TypeVar

from ..errors import ResourceError

Result = TypeVar("Result")


class BatchLimit:
    """How many tokens go through the network at once; halved whenever memory runs out."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens

    def attempt(self, work: Callable[[int], Result]) -> Result:
        """``work(tokens a batch)``, again with half as many after running out of memory.

        A smaller batch computes the same function; its sums may be rounded otherwise (a few units
        in the last place of float32).
        """
        while True:
            try:
                return work(self.tokens)
            except (MemoryError, RuntimeError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.tokens <= 1:
                    raise ResourceError(
                        "A single sequence needs more memory than there is.",
                        hint="Use shorter windows, bfloat16, or a smaller model.",
                    ) from error
                self.tokens = max(1, self.tokens // 2)
                _release()
                warnings.warn(
                    f"Memory ran out; going on with batches of {self.tokens:,} tokens.",
                    stacklevel=2,
                )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory, of the machine or a GPU, ran out."""
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or (
        "out of memory" in text or "can't allocate memory" in text or "not enough memory" in text
    )


def _release() -> None:
    import gc

    gc.collect()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
