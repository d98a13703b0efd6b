"""How many connections there are at a time, and which of them are kept for the next request."""

import asyncio
import sys

import httpx

from app.upstream.connection import Connection, Origin


class Pool:
    """So many places. Who comes when all are taken waits for one, in the order of coming."""

    def __init__(self, *, at_once: int = sys.maxsize, kept_idle_s: float = 0) -> None:
        self._places = asyncio.Semaphore(at_once)
        self._kept_idle_s = kept_idle_s
        self._idle: list[Connection] = []  # the one that was used last stands last
        self._sweeping: asyncio.TimerHandle | None = None

    async def enter(self, *, within_s: float | None) -> None:
        """Take a place. Raises httpx.PoolTimeout."""
        try:
            async with asyncio.timeout(within_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("All connections are taken.") from error

    def leave(self, connection: Connection | None = None) -> None:
        """Give the place back, and with it a connection: it is kept, if it can be."""
        self._places.release()
        if connection is None:
            return
        if not (self._kept_idle_s and connection.is_free):
            connection.abort()
            return
        connection.idle_since_s = _now_s()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweep_after(self._kept_idle_s)

    def kept(self, origin: Origin) -> Connection | None:
        """One from before that leads there. None: there is none that still does."""
        for at in range(len(self._idle) - 1, -1, -1):
            if self._idle[at].origin == origin:
                connection = self._idle.pop(at)
                if connection.is_quiet and not self._is_old(connection):
                    return connection
                connection.abort()
        return None

    def close(self) -> None:
        """End what is idle, and keep nothing any more."""
        self._kept_idle_s = 0
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    def _sweep_after(self, seconds: float) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(seconds, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        old = [one for one in self._idle if self._is_old(one)]
        self._idle = self._idle[len(old) :]
        for connection in old:
            connection.abort()
        if self._idle:
            self._sweep_after(self._idle[0].idle_since_s + self._kept_idle_s - _now_s())

    def _is_old(self, connection: Connection) -> bool:
        return _now_s() - connection.idle_since_s >= self._kept_idle_s


def _now_s() -> float:
    return asyncio.get_running_loop().time()
