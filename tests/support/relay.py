"""What lies between two programs on a network: a relay that carries bytes, and drops its connections when it is told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

_PIECE = 1 << 16


class Relay:
    """An address of its own in front of a target, which may move."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.url = ""
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def drop(self) -> None:
        """Break off every connection that is open, without a goodbye, and see them end."""
        carrying = [task for task in self._open.values() if task]
        for writer in self._open:
            writer.transport.abort()
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
                await _first_of(_pump(reader, far_writer), _pump(far_reader, writer))
            finally:
                self._open.pop(far_writer)
                far_writer.transport.abort()
        except OSError:
            return  # nobody is at the target: the connection ends, as it does where a cable is pulled
        finally:
            self._open.pop(writer)
            writer.transport.abort()


@asynccontextmanager
async def relay(target: str) -> AsyncIterator[Relay]:
    """It listens on a port of its own, for as long as the block lasts."""
    between = Relay(target)
    listening = await asyncio.start_server(between.carry, "127.0.0.1", 0)
    between.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        listening.close()
        await between.drop()


async def _first_of(*pumps: asyncio.Future[None]) -> None:
    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    for pump in pumps:
        pump.cancel()
    await asyncio.gather(*pumps, return_exceptions=True)


def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> asyncio.Future[None]:
    async def pump() -> None:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()

    return asyncio.create_task(pump(), name="a relay's pump")
