"""A network that isn't there: every attempt to reach one is refused and written down."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


@contextmanager
def no_network(attempts: list[str]) -> Iterator[None]:
    """Refuse connections and name look-ups of this process; ``attempts`` gathers their targets."""

    def refuse(*arguments: Any, **_: Any) -> NoReturn:
        target = [each for each in arguments if not isinstance(each, socket.socket)]
        attempts.append(str(target[0]) if target else "somewhere")
        raise OSError("the conformance kit allows no network")

    names = ("connect", "connect_ex", "sendto")
    methods = {name: getattr(socket.socket, name) for name in names}
    functions = {name: getattr(socket, name) for name in ("getaddrinfo", "gethostbyname")}
    try:
        for name in methods:
            setattr(socket.socket, name, refuse)
        for name in functions:
            setattr(socket, name, refuse)
        yield
    finally:
        for name in methods:  # the methods of the class below are found again
            delattr(socket.socket, name)
            if getattr(socket.socket, name, None) is not methods[name]:
                setattr(socket.socket, name, methods[name])
        for name, function in functions.items():
            setattr(socket, name, function)
