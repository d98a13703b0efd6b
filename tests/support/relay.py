"""What lies between two programs on a network: a relay that carries bytes, and fails them as networks do when it is told to.

It can drop its connections, hold what goes one way or both, be slow, and refuse to be connected to.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import TypeVar
from urllib.parse import urlsplit

_PIECE = 1 << 16
_LOOPBACK = "127.0.0.1"
_TURNS = 10  # of the loop; it takes three


async def let_in() -> None:
    """Until whoever has come is let in: a server that is closed in the middle of that leaves their socket open."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


class Way(Enum):
    """A direction: to the target, or back from it."""

    THERE = "there"
    BACK = "back"


BOTH = (Way.THERE, Way.BACK)


class Relay:
    """An address of its own in front of a target, which may move."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self.delay_s = 0.0  # of every piece, either way
        self._port = 0
        self._listening: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._pumps: set[asyncio.Task[None]] = set()
        self._free = {way: asyncio.Event() for way in Way}
        self.let_go()

    async def admit(self) -> None:
        """Listen, at the same address every time."""
        self._listening = await asyncio.start_server(self.carry, _LOOPBACK, self._port)
        self._port = self._listening.sockets[0].getsockname()[1]
        self.url = f"http://{_LOOPBACK}:{self._port}"

    def refuse(self) -> None:
        """Nobody listens any more; connections that are open stay."""
        if self._listening is not None:
            self._listening.close()

    def hold(self, *ways: Way) -> None:
        """Carry nothing more in these directions, and break nothing off: what comes waits until it is let go."""
        for way in ways:
            self._free[way].clear()

    def let_go(self) -> None:
        """Carry on, in both directions."""
        for free in self._free.values():
            free.set()

    async def drop(self) -> None:
        """Break off every connection that is open, without a goodbye, and see them end."""
        carrying = [task for task in self._open.values() if task]
        for writer in self._open:
            writer.transport.abort()
        for pump in self._pumps:
            pump.cancel()  # what is held goes with its connection
        if carrying:
            await asyncio.wait(carrying)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until one side of it ends."""
        self._open[writer] = asyncio.current_task()
        try:
            address = urlsplit(self.target)
            far_reader, far_writer = await asyncio.open_connection(address.hostname, address.port)
            self._open[far_writer] = None
            try:
                await self._first_of(
                    self._pump(reader, far_writer, way=Way.THERE), self._pump(far_reader, writer, way=Way.BACK)
                )
            finally:
                self._open.pop(far_writer)
                far_writer.transport.abort()
        except OSError:
            return  # nobody is at the target: the connection ends, as it does where a cable is pulled
        finally:
            self._open.pop(writer)
            writer.transport.abort()

    async def _first_of(self, *pumps: asyncio.Task[None]) -> None:
        self._pumps.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pumps.difference_update(pumps)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, way: Way) -> asyncio.Task[None]:
        async def pump() -> None:
            while piece := await reader.read(_PIECE):
                await self._free[way].wait()
                await asyncio.sleep(self.delay_s)
                writer.write(piece)
                await writer.drain()

        return asyncio.create_task(pump(), name="a relay's pump")


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    """One to this address, for as long as the block lasts."""
    async with laid(Relay(target)) as between:
        yield between


R = TypeVar("R", bound=Relay)


@asynccontextmanager
async def laid(between: R) -> AsyncIterator[R]:
    """It listens on a port of its own, for as long as the block lasts."""
    await between.admit()
    try:
        yield between
    finally:
        await let_in()
        between.refuse()
        await between.drop()
