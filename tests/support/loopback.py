"""A small HTTP server on loopback that does what it is told, also what no server should; it writes down what it saw."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from tests.support.relay import let_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers every request in the same way."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.seen: list[Seen] = []
        self.url = ""
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, then the connection ends."""
        self._open[writer] = asyncio.current_task()
        try:
            self.seen.append(await _request(reader))
            await self.answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            del self._open[writer]
            writer.close()

    async def hang_up(self) -> None:
        """Break every open connection off, and see them end."""
        serving = [task for task in self._open.values() if task]
        for writer in self._open:
            writer.transport.abort()
        if serving:
            await asyncio.wait(serving)


def answers(status: int, body: bytes = b"", *, kind: str = "application/json", **headers: str) -> Answer:
    """A whole answer."""

    async def answer(writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Said", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode() + body)
        await writer.drain()

    return answer


async def hangs(writer: asyncio.StreamWriter) -> None:
    """Took the request and never answers."""
    await writer.wait_closed()


async def drops(writer: asyncio.StreamWriter) -> None:
    """Took the request and breaks the connection off."""
    writer.transport.abort()


async def breaks_off(writer: asyncio.StreamWriter) -> None:
    """Breaks off in the middle of an answer."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    await writer.drain()


async def babbles(writer: asyncio.StreamWriter) -> None:
    """Speaks no HTTP at all."""
    writer.write(b"220 ready when you are\r\n")
    await writer.drain()


@asynccontextmanager
async def loopback(answer: Answer) -> AsyncIterator[Server]:
    """The server, listening on a port of its own."""
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    try:
        yield server
    finally:
        await let_in()
        listening.close()
        await server.hang_up()


async def _request(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
    body = await _chunks(reader) if "transfer-encoding" in headers else b""
    body += await reader.readexactly(int(headers.get("content-length", "0")))
    return Seen(method=method, target=target, headers=headers, body=body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readexactly(2)
    return body
