"""How a connection is made to a host that has several addresses, of which some may be dead."""

import asyncio
import socket
from collections.abc import Sequence

_HEAD_START_S = 0.25

_Dialling = asyncio.Task[socket.socket]


async def dialled(host: str, port: int) -> socket.socket:
    """A socket connected to the first address that answers; each has a head start over the next. Raises OSError."""
    addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    tries: list[_Dialling] = []
    through: _Dialling | None = None
    try:
        for family, _, _, _, address in addresses:
            tries.append(asyncio.create_task(_connected(family, address)))
            last = len(tries) == len(addresses)
            through = await (_first_of(tries) if last else _soon(tries))
            if through is not None:
                return through.result()
        return tries[-1].result()
    finally:
        await _give_up([one for one in tries if one is not through])


async def _connected(family: int, address: tuple[object, ...]) -> socket.socket:
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(opened, address)
    except BaseException:
        opened.close()
        raise
    return opened


async def _soon(tries: Sequence[_Dialling]) -> _Dialling | None:
    """One that is through before the next address has its turn. None: none is."""
    await asyncio.wait([tries[-1]], timeout=_HEAD_START_S)
    return _through(tries)


async def _first_of(tries: Sequence[_Dialling]) -> _Dialling | None:
    """One that is through. None: all have failed."""
    pending = {one for one in tries if not one.done()}
    while pending and _through(tries) is None:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    return _through(tries)


def _through(tries: Sequence[_Dialling]) -> _Dialling | None:
    return next((one for one in tries if one.done() and one.exception() is None), None)


async def _give_up(tries: Sequence[_Dialling]) -> None:
    for one in tries:
        one.cancel()
    if tries:
        await asyncio.wait(tries)
    for one in tries:
        if not one.cancelled() and one.exception() is None:
            one.result().close()
