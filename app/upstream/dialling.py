"""How a connection is made to a host that has several addresses, of which some may be dead."""

import asyncio
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

P = TypeVar("P", bound=asyncio.Protocol)

_HEAD_START_S = 0.25

_Try = asyncio.Task[tuple[asyncio.Transport, P]]


class Dialling(Generic[P]):
    """Connects `protocol` to a host, as the one that its certificate names if there is to be TLS."""

    def __init__(self, protocol: Callable[[], P], host: str, port: int, *, tls: ssl.SSLContext | None) -> None:
        self._protocol = protocol
        self._host = host
        self._port = port
        self._tls = tls
        self._tries: list[_Try[P]] = []

    async def first(self) -> P:
        """By the first address that answers; each has a head start over the next. Raises OSError."""
        loop = asyncio.get_running_loop()
        addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        through = None
        try:
            for number, (family, _, _, _, address) in enumerate(addresses, start=1):
                self._tries.append(asyncio.create_task(self._by(family, *address[:2])))
                through = await (self._any() if number == len(addresses) else self._soon())
                if through is not None:
                    return through.result()[1]
            return self._tries[-1].result()[1]
        finally:
            await _give_up([one for one in self._tries if one is not through])

    async def _by(self, family: int, address: str, port: int) -> tuple[asyncio.Transport, P]:
        name = self._host if self._tls else None
        return await asyncio.get_running_loop().create_connection(
            self._protocol, address, port, family=family, ssl=self._tls, server_hostname=name
        )

    async def _soon(self) -> _Try[P] | None:
        """A try that is through before the next address has its turn. None: none is."""
        await asyncio.wait([self._tries[-1]], timeout=_HEAD_START_S)
        return self._through()

    async def _any(self) -> _Try[P] | None:
        """A try that is through. None: all have failed."""
        while self._through() is None and (pending := [one for one in self._tries if not one.done()]):
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        return self._through()

    def _through(self) -> _Try[P] | None:
        return next((one for one in self._tries if one.done() and one.exception() is None), None)


async def _give_up(tries: Sequence[_Try[P]]) -> None:
    for one in tries:
        one.cancel()
    if tries:
        await asyncio.wait(tries)
    for one in tries:
        if not one.cancelled() and one.exception() is None:
            one.result()[0].abort()
