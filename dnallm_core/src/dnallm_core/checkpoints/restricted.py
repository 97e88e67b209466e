"""The restricted unpickler: tensors and plain containers come out, every other global is inert.

Nothing that a pickle names is imported or called. The names that ``torch.save`` writes stand for
functions of this file, which only note what a tensor is; its bytes are mapped later.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import torch


class Placeholder:
    """Stands where a file held an object that is neither a tensor nor a plain container.

    ``stands_for`` is the global that the pickle named. Arguments, state and items are dropped.
    """

    __slots__ = ()
    stands_for: ClassVar[str] = "?"

    def __new__(cls, *_args: Any, **_keywords: Any) -> Placeholder:
        """An inert object, whatever it was to be made of."""
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_keywords: Any) -> None:
        pass

    def __setstate__(self, *_state: Any) -> None:
        pass

    def __call__(self, *_args: Any, **_keywords: Any) -> Placeholder:
        """Itself: a call does nothing."""
        return self

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _item: Any) -> None:
        """Swallow an item."""

    def extend(self, _items: Any) -> None:
        """Swallow items."""

    def add(self, _item: Any) -> None:
        """Swallow an item."""

    def __repr__(self) -> str:
        return f"<inert {self.stands_for}>"


@dataclass(frozen=True)
class Storage:
    """A storage that the pickle refers to: its record, element type and length."""

    record: str
    dtype: torch.dtype | None  # None: untyped bytes
    elements: int

    def __setstate__(self, _state: Any) -> None:
        pass


@dataclass(frozen=True)
class Stored:
    """A tensor before its bytes are mapped."""

    storage: Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, _state: Any) -> None:
        pass


class _Known:
    """One of our own functions under the name of the global that it replaces.

    A wrapper rather than the function, so that a pickle cannot set attributes on it.
    """

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, _state: Any) -> None:
        pass


def _broken(what: str) -> NoReturn:
    raise pickle.UnpicklingError(what)


def _integers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, (tuple, list)):
        _broken("a shape that is no list of numbers")
    if not all(isinstance(each, int) and each >= 0 for each in values):
        _broken("a shape with impossible numbers")
    return tuple(values)


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, *_rest: Any) -> Stored:
    if not isinstance(storage, Storage) or storage.dtype is None:
        _broken("a tensor without a storage")
    return Stored(storage, storage.dtype, *_geometry(offset, size, stride))


def _rebuild_tensor_v3(
    storage: Any, offset: Any, size: Any, stride: Any, _grad: Any, _hooks: Any, dtype: Any, *_: Any
) -> Stored:
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        _broken("a tensor without a storage")
    return Stored(storage, dtype, *_geometry(offset, size, stride))


def _geometry(offset: Any, size: Any, stride: Any) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    sizes, strides = _integers(size), _integers(stride)
    if not isinstance(offset, int) or offset < 0 or len(sizes) != len(strides):
        _broken("a tensor with an impossible shape")
    return offset, sizes, strides


def _rebuild_parameter(data: Any, *_rest: Any) -> Any:
    return data


def _encode(text: Any, encoding: Any = "latin1", *_rest: Any) -> bytes:
    """Bytes as pickle's protocol 2 writes them."""
    if not isinstance(text, str) or encoding != "latin1":
        _broken("bytes in another encoding")
    return text.encode("latin1")


_STORAGES: dict[str, torch.dtype | None] = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
    "ComplexFloatStorage": torch.complex64,
    "ComplexDoubleStorage": torch.complex128,
    "UntypedStorage": None,
}
_KNOWN: dict[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v3": _rebuild_tensor_v3,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": _rebuild_parameter,
    "torch.Size": lambda *args: tuple(*args),
    "collections.OrderedDict": lambda *args: OrderedDict(*args),
    "collections.defaultdict": lambda *_args: {},
    "builtins.set": lambda *args: set(*args),
    "builtins.frozenset": lambda *args: frozenset(*args),
    "__builtin__.set": lambda *args: set(*args),
    "_codecs.encode": _encode,
}


class _StorageType(_Known):
    """The name of an element type, as a pickle gives it with a storage."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: torch.dtype | None) -> None:
        super().__init__(lambda *_args: _broken("a storage made by hand"))
        self.dtype = dtype


class _Restricted(pickle.Unpickler):
    """Rebuilds tensors and plain containers; any other global is an inert class of its own."""

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a global; nothing is imported."""
        full = f"{module}.{name}"
        if full in _KNOWN:
            return _Known(_KNOWN[full])
        if module in ("torch", "torch.storage") and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        if module == "torch" and isinstance(vars(torch).get(name), torch.dtype):
            return vars(torch)[name]
        return type("Inert", (Placeholder,), {"__slots__": (), "stands_for": full})

    def persistent_load(self, pid: Any) -> Storage:
        """A storage: ``("storage", type, record, device, elements)``."""
        match pid:
            case ("storage", _StorageType(dtype=dtype), str(record), _, int(elements)):
                return Storage(record, dtype, elements)
        _broken("a reference to something that is no storage")


def _check_opcodes(data: bytes) -> None:
    """Refuse a pickle whose memo would be far larger than itself (it would fill the memory)."""
    for opcode, argument, _position in pickletools.genops(data):
        if opcode.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) > len(data):
            _broken("its list of objects is larger than itself")


def unpickled(data: bytes) -> Any:
    """The tree in a pickle, with ``Stored`` in place of tensors.

    Raises whatever a broken pickle makes the unpickler raise.
    """
    _check_opcodes(data)
    return _Restricted(io.BytesIO(data), encoding="utf-8").load()
