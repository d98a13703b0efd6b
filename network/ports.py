"""Ports that stay: chosen once, kept while they can be had."""

import secrets
import socket
import time

# Below the range from which the kernel takes the near end of outgoing connections.
_LOWEST, _HIGHEST = 20_000, 31_999
_TRIES = 200
_PATIENCE_S = 3.0
_PAUSE_S = 0.05


class NoFreePort(Exception):
    """Nothing in the range can be bound."""


def keep_or_choose(host: str, *, known: int | None, taken: set[int]) -> int:
    """The known port if it can be bound soon, else a free one that is not in `taken`."""
    if known is not None and known not in taken and _free_soon(host, known):
        return known
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_HIGHEST - _LOWEST + 1)
        if port not in taken and _is_free(host, port):
            return port
    raise NoFreePort(f"no free port between {_LOWEST} and {_HIGHEST} on {host}")


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address, ready for a server."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio turns off Nagle's delay for the connections it accepts.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _free_soon(host: str, port: int) -> bool:
    # The parts of a network that was killed a moment ago are still leaving.
    deadline = time.monotonic() + _PATIENCE_S
    while not _is_free(host, port):
        if time.monotonic() > deadline:
            return False
        time.sleep(_PAUSE_S)
    return True


def _is_free(host: str, port: int) -> bool:
    try:
        with bind(host, port) as bound:
            bound.listen(1)
    except OSError:
        return False
    return True
