"""The selective scan: one meaning (``reference``), several engines, chosen at run time.

``reference``  what is computed, position by position: the one to read
``plain``      chunks of PyTorch operations: any device, nothing compiled (``chunked``)
``native``     a C kernel for CPUs, compiled by the machine's compiler at first use
``triton``     Triton kernels for CUDA, compiled at first use (``triton_scan``)
``mamba-ssm``  the kernels of that package, where it happens to be installed
"""

from .engines import ENGINES, Engine, engine_for, engine_name
from .reference import gated

__all__ = ["ENGINES", "Engine", "engine_for", "engine_name", "gated"]
