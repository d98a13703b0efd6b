"""A Router and its Access Point on loopback that do right by docs/router-api.md, but for the faults a test sets, at the level
of bytes: over connections that are kept alive, and with clocks of their own.
"""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID, uuid4

import msgspec
from msgspec.structs import replace

from app.domain.jobs import Owner
from app.domain.reports import StreamAddress
from tests.support.loopback import Seen
from tests.support.news import report

TOKEN = "the-token-of-globex"  # noqa: S105  (opens nothing)
JSON = "application/json"
NDJSON = "application/x-ndjson"
ME = {"user": "owner@globex", "team": "globex", "role": "owner"}

_LIFE_SIGN_S = 0.2
_PIECE = b" " * (1 << 16)
_RESET = struct.pack("ii", 1, 0)


class Exchange:
    """A request whose head has come, and the way to answer it. `nth` counts the requests of its connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, nth: int, clock: timedelta
    ) -> None:
        self.nth = nth
        self.method = ""
        self.target = ""
        self.headers: dict[str, str] = {}
        self.sent = 0
        self._reader = reader
        self._writer = writer
        self._clock = clock

    async def begin(self) -> None:
        """Read the head."""
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        self.method, self.target, _ = head[0].split(" ")
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}

    async def body(self) -> bytes:
        """Read the rest."""
        return await self._reader.readexactly(int(self.headers.get("content-length", "0")))

    async def chunks(self) -> None:
        """Read the rest of one whose length nobody knew."""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            await self._reader.readexactly(size + 2)
        await self._reader.readexactly(2)

    async def head(self, status: int, **headers: str) -> None:
        """The first part of an answer."""
        said = {"Date": format_datetime(datetime.now(UTC) + self._clock, usegmt=True), **headers}
        lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {text}" for name, text in said.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self._writer.write(data)
        await self._writer.drain()
        self.sent += len(data)

    async def chunk(self, data: bytes) -> None:
        """A piece of an answer whose length nobody knows."""
        await self.send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def answer(self, status: int, body: bytes, *, kind: str = JSON, **headers: str) -> None:
        """A whole answer, after which the connection may be used again."""
        await self.head(status, Content_Type=kind, Content_Length=str(len(body)), **headers)
        await self.send(body)

    async def closed(self) -> None:
        """Wait until the connection is cut."""
        await self._writer.wait_closed()
        raise ConnectionResetError

    def reset(self) -> None:
        """End the connection as a crash does."""
        there: socket.socket = self._writer.get_extra_info("socket")
        there.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()
        raise ConnectionResetError


Fault = Callable[[Exchange], Awaitable[None]]


class Misbehaving:
    """Says what a test tells it to, and writes down what it was asked.

    `faults` are by method and path, `fault` is for all else; without one it is answered as it should be. The clock of all
    it says is `clock` ahead.
    """

    def __init__(self) -> None:
        self.url = ""
        self.seen: list[Seen] = []
        self.faults: dict[tuple[str, str], Fault] = {}
        self.fault: Fault | None = None
        self.clock = timedelta()
        self.epoch = "an-epoch"
        self.changes_read_from: list[tuple[str, str]] = []
        self.streams_read_from: list[str] = []
        self._breaks: set[str] = set()
        self._documents: dict[str, bytes] = {}
        self._changes: list[bytes] = []
        self._lines: dict[str, list[bytes]] = {}
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._listening: asyncio.Server | None = None
        self._news = asyncio.Condition()
        self._port = 0

    def times(self, method: str, path: str) -> int:
        """How often this was asked for."""
        return len([one for one in self.seen if (one.method, urlsplit(one.target).path) == (method, path)])

    async def admit(self) -> None:
        """Listen, at the same address every time."""
        self._listening = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._listening.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def refuse(self) -> None:
        """Nobody is there any more, and who was spoken to is cut off."""
        if self._listening is not None:
            self._listening.close()
        serving = [task for task in self._open.values() if task]
        for writer in self._open:
            writer.transport.abort()
        if serving:
            await asyncio.wait(serving)

    async def router_says(self, job_id: str, market_status: str, **facts: Any) -> None:
        """The Router's document of the job changes, and its feed tells so."""
        document = self._document(job_id, market_status, **facts)
        self._documents[job_id] = document
        line = {"epoch": self.epoch, "sequence": len(self._changes) + 1, "job": msgspec.Raw(document)}
        async with self._news:
            self._changes.append(msgspec.json.encode(line) + b"\n")
            self._news.notify_all()

    async def stream_says(self, job_id: str, *messages: object) -> None:
        """Messages of the Access Point."""
        for message in messages:
            await self._stream(job_id, kind="message", message=message)

    async def stream_ends(self, job_id: str, outcome: str) -> None:
        """The end marker."""
        await self._stream(job_id, kind="end", outcome=outcome)

    def breaks_in_next_line(self, path: str) -> None:
        """The next line that is told there breaks off in its middle, once."""
        self._breaks.add(path)

    async def is_replaced(self, epoch: str) -> None:
        """Another storage, which knows none of the jobs; whoever listens is cut off."""
        self.epoch = epoch
        self._changes = []
        self._documents.clear()
        async with self._news:
            self._news.notify_all()

    def document(self, job_id: str) -> bytes:
        """What the Router says of a job."""
        return self._documents[job_id]

    def _document(self, job_id: str, market_status: str, **facts: Any) -> bytes:
        said = report(
            len(self._changes) + 1,
            market_status,
            epoch=self.epoch,
            id=UUID(job_id),
            owner=Owner(user="ann", team="globex"),
        )
        now = datetime.now(UTC) + self.clock
        times = {name: now for name in ("created", "submitted", "started", "finished") if getattr(said, name)}
        address = StreamAddress(url=f"{self.url}/v1/jobs/{job_id}/stream", token="the token of the stream")  # noqa: S106
        stream = None if market_status == "created" else address
        return msgspec.json.encode(replace(said, **{"changed": now, "stream": stream, **times, **facts}))

    async def _stream(self, job_id: str, **said: object) -> None:
        lines = self._lines.setdefault(job_id, [])
        when = (datetime.now(UTC) + self.clock).isoformat().replace("+00:00", "Z")
        line = {"epoch": "point", "sequence": len(lines) + 1, "when": when, **said}
        async with self._news:
            lines.append(json.dumps(line).encode() + b"\n")
            self._news.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open[writer] = asyncio.current_task()
        nth = 0
        try:
            while True:
                nth += 1
                await self._exchange(Exchange(reader, writer, nth=nth, clock=self.clock))
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            del self._open[writer]
            writer.close()

    async def _exchange(self, exchange: Exchange) -> None:
        await exchange.begin()
        address = urlsplit(exchange.target)
        self.seen.append(Seen(method=exchange.method, target=exchange.target, headers=exchange.headers, body=b""))
        fault = self.faults.get((exchange.method, address.path), self.fault)
        if fault is not None:
            await fault(exchange)
            return
        await exchange.body()
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        await self._answer(exchange, address.path.strip("/").split("/"), query)

    async def _answer(self, exchange: Exchange, path: list[str], query: Mapping[str, str]) -> None:
        match exchange.method, path:
            case "GET", ["ping"]:
                await exchange.answer(200, _bytes({"epoch": self.epoch}))
            case "GET", ["v1", "me"]:
                await exchange.answer(200, _bytes({**ME, "epoch": self.epoch}))
            case "GET", ["v1", "changes"]:
                await self._feed(exchange, query)
            case "GET", ["v1", "jobs"]:
                await exchange.answer(200, _bytes({"items": []}))
            case "GET", ["v1", "assets"]:
                await exchange.answer(200, _bytes({"items": []}))
            case "POST", ["v1", "jobs"]:
                await exchange.answer(201, self._document(str(uuid4()), "created"))
            case "GET", ["v1", "jobs", job_id, "stream"]:
                await self._status_stream(exchange, job_id, query)
            case "GET", ["v1", "jobs", job_id]:
                await self._job(exchange, job_id)
            case _:
                await exchange.answer(404, _bytes({"error": {"code": "not-found", "detail": "No such thing."}}))

    async def _job(self, exchange: Exchange, job_id: str) -> None:
        if job_id in self._documents:
            await exchange.answer(200, self._documents[job_id])
        else:
            await exchange.answer(404, _bytes({"error": {"code": "not-found", "detail": "No such job."}}))

    async def _feed(self, exchange: Exchange, query: Mapping[str, str]) -> None:
        self.changes_read_from.append((query.get("epoch", ""), query.get("after", "")))
        after = int(query.get("after", "0")) if query.get("epoch") == self.epoch else 0
        place = {"epoch": self.epoch, "sequence": after}
        first = _bytes({**place, "head": max(after, len(self._changes))})
        await self._told(exchange, self._changes, after, first=first + b"\n", quiet=_bytes(place) + b"\n")

    async def _status_stream(self, exchange: Exchange, job_id: str, query: Mapping[str, str]) -> None:
        self.streams_read_from.append(query.get("after", ""))
        lines = self._lines.setdefault(job_id, [])
        await self._told(exchange, lines, int(query.get("after", "0")), first=b"\n", quiet=b"\n")

    async def _told(self, exchange: Exchange, lines: list[bytes], after: int, *, first: bytes, quiet: bytes) -> None:
        path = urlsplit(exchange.target).path
        await exchange.head(200, Content_Type=NDJSON, Transfer_Encoding="chunked")
        await exchange.chunk(first)
        while path != "/v1/changes" or lines is self._changes:
            if after < len(lines):
                await self._tell(exchange, path, lines[after])
                after += 1
            elif not await self._something_new():
                await exchange.chunk(quiet)
        exchange.reset()

    async def _tell(self, exchange: Exchange, path: str, line: bytes) -> None:
        if path in self._breaks:
            self._breaks.discard(path)
            await exchange.chunk(line[: len(line) // 2])
            exchange.reset()
        await exchange.chunk(line)

    async def _something_new(self) -> bool:
        try:
            async with asyncio.timeout(_LIFE_SIGN_S), self._news:
                return await self._news.wait()
        except TimeoutError:
            return False


# Faults


async def hangs_before_the_body(exchange: Exchange) -> None:
    """Saw who asks for what, and says nothing."""
    await exchange.closed()


async def hangs(exchange: Exchange) -> None:
    """Took the request and says nothing."""
    await exchange.body()
    await exchange.closed()


async def drips(exchange: Exchange) -> None:
    """Answers a byte at a time and is never done: no single wait is long."""
    await exchange.body()
    await exchange.head(200, Content_Type=JSON, Content_Length="100000")
    while True:
        await exchange.send(b" ")
        await asyncio.sleep(0.05)  # it is the fault itself


async def drips_its_head(exchange: Exchange) -> None:
    """The same before anything of the answer can be read."""
    await exchange.body()
    await exchange.send(b"HTTP/1.1 200 Said\r\nX: ")
    while True:
        await exchange.send(b"x")
        await asyncio.sleep(0.05)  # it is the fault itself


async def drops(exchange: Exchange) -> None:
    """Took the request and breaks the connection off."""
    await exchange.body()
    exchange.reset()


async def breaks_off(exchange: Exchange) -> None:
    """Dies in the middle of an answer."""
    await exchange.body()
    await exchange.head(200, Content_Type=JSON, Content_Length="1000")
    await exchange.send(b'{"epoch"')
    exchange.reset()


async def floods(exchange: Exchange) -> None:
    """Offers a gigabyte; how much of it was taken stands in `sent`."""
    await exchange.body()
    await exchange.head(200, Content_Type=JSON, Content_Length=str(1 << 30))
    while exchange.sent < 1 << 30:
        await exchange.send(_PIECE)


async def floods_its_head(exchange: Exchange) -> None:
    """Begins to answer without end."""
    await exchange.body()
    await exchange.send(b"HTTP/1.1 200 Said\r\n")
    while True:
        await exchange.send(b"X: " + b"x" * 1000 + b"\r\n")


def says(status: int, body: bytes, *, kind: str = JSON, **headers: str) -> Fault:
    """A whole answer that may be nonsense."""

    async def fault(exchange: Exchange) -> None:
        await exchange.body()
        await exchange.answer(status, body, kind=kind, **headers)

    return fault


def drops_kept(otherwise: Fault) -> Fault:
    """Takes a request that came by a connection from before, and breaks that off; answers those that come by their own."""

    async def fault(exchange: Exchange) -> None:
        if exchange.nth == 1:
            await otherwise(exchange)
            return
        await exchange.body()
        exchange.reset()

    return fault


@asynccontextmanager
async def misbehaving() -> AsyncIterator[Misbehaving]:
    """It listens on a port of its own, for as long as the block lasts."""
    router = Misbehaving()
    await router.admit()
    try:
        yield router
    finally:
        await router.refuse()


def _bytes(content: object) -> bytes:
    return json.dumps(content).encode()
