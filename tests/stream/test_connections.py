"""Many connections: how many there may be, and what is left when they go, or when the server does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.events import Event, numbered, sse
from tests.support.fakes import until
from tests.support.gateway import WITHIN_S, Gateway, Listener, served
from tests.support.processes import sockets_of
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network

_LOOK_AGAIN_S = 0.01
_KEEPALIVE = "02"
_END_OF_BODY = b"\r\n0\r\n\r\n"


class Wire:
    """A viewer by hand: the request is written, and whatever comes is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.heard = b""
        self._reader = reader
        self._writer = writer

    async def begun(self) -> bytes:
        """The answer's first line, once the snapshot is there or all of a refusal."""
        while b"\n\n" not in self.heard and b"}" not in self.heard:
            self.heard += await self._reader.read(1 << 16)
        return self.heard.partition(b"\r\n")[0]

    async def to_the_end(self) -> bytes:
        """Everything, up to the end of the answer or of the connection."""
        while not self.heard.endswith(_END_OF_BODY) and (piece := await self._reader.read(1 << 16)):
            self.heard += piece
        return self.heard

    @property
    def port(self) -> int:
        """Of this side."""
        port: int = self._writer.get_extra_info("sockname")[1]
        return port

    def cut(self) -> None:
        """Gone without a word to the application."""
        self._writer.transport.abort()


@asynccontextmanager
async def viewer(gateway: Gateway, path: str, *, behind_it: str = "", body: bytes = b"") -> AsyncIterator[Wire]:
    """A connection that asks for a stream, perhaps with a body, and perhaps for something behind it."""
    address = urlsplit(gateway.url)
    async with asyncio.timeout(WITHIN_S):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for target in filter(None, (path, behind_it)):
            writer.write(f"GET {target} HTTP/1.1\r\nHost: {address.netloc}\r\n".encode() + _with_body(body))
        wire = Wire(reader, writer)
        try:
            yield wire
        finally:
            wire.cut()


@asynccontextmanager
async def streaming(folder: Path, **settings: str) -> AsyncIterator[tuple[Gateway, ScriptedNetwork, str]]:
    """A gateway, a network that says what it is told to, and the path of a job's stream."""
    async with scripted_network() as network:
        with served(folder, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN, **settings) as gateway:
            await network.router_says("running")
            async with gateway.client() as client:
                await Listener(gateway, client).until_phase(network.job_id, "in_progress")
            await until(lambda: network.streams_opened > 0)
            yield gateway, network, f"/v1/jobs/{network.job_id}/events"


async def test_one_more_than_there_may_be_is_refused_and_let_in_when_one_has_gone(tmp_path: Path) -> None:
    """The refusal says what the limit is, and nobody who is in is thrown out for somebody who comes."""
    async with streaming(tmp_path, GATEWAY_STREAMS_EACH="3") as (gateway, _, path), AsyncExitStack() as open_:
        wires = [await open_.enter_async_context(viewer(gateway, one)) for one in (path, path, "/v1/events")]
        first = [await wire.begun() for wire in wires]
        async with gateway.client() as client:
            refused = await client.get(path)
            wires[0].cut()
            await _let_in(gateway, path)
            page = await client.get("/v1/jobs")

    assert first == [b"HTTP/1.1 200 OK"] * 3
    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
    assert "3 streams" in refused.json()["detail"]
    assert page.status_code == 200


async def test_there_is_a_limit_for_all_together(tmp_path: Path) -> None:
    """However many keys there are."""
    async with streaming(tmp_path, GATEWAY_STREAMS_AT_MOST="1") as (gateway, _, path), viewer(gateway, path) as one:
        await one.begun()
        async with gateway.client() as client:
            refused = await client.get("/v1/events")

    assert (refused.status_code, refused.json()["code"]) == (429, "too-many-streams")
    assert "1 streams are open" in refused.json()["detail"]


@pytest.mark.parametrize("viewers", [100, pytest.param(1_000, marks=pytest.mark.full)])
async def test_of_many_who_go_at_once_nothing_is_left(tmp_path: Path, viewers: int) -> None:
    """Their sockets are closed and their places are free, and others can come."""
    async with streaming(tmp_path, GATEWAY_STREAMS_EACH=str(viewers)) as (gateway, network, path):
        before = sockets_of(gateway.pid)
        for _ in range(2):
            async with AsyncExitStack() as open_:
                wires = [await open_.enter_async_context(viewer(gateway, path)) for _ in range(viewers)]
                assert {await wire.begun() for wire in wires} == {b"HTTP/1.1 200 OK"}
            await network.stream_says(b'"nobody is there"')
            await _until_closed(gateway, before)

        async with viewer(gateway, path) as one:
            assert await one.begun() == b"HTTP/1.1 200 OK"


async def test_a_viewer_with_another_request_behind_the_stream_leaves_nothing_either(tmp_path: Path) -> None:
    """That request waits for the stream's end, and nothing is read behind it: that the viewer has gone shows by a ping."""
    async with streaming(tmp_path, GATEWAY_STREAMS_EACH="1", GATEWAY_PING_S="0.2") as (gateway, _, path):
        async with viewer(gateway, path, behind_it="/livez") as one:
            await one.begun()
        await _let_in(gateway, path)


async def test_a_body_behind_a_stream_ends_it_in_good_order(tmp_path: Path) -> None:
    """Nobody reads it: it is let go of up to the limit, and beyond that nothing can be heard behind it."""
    async with streaming(tmp_path, GATEWAY_BODY_LIMIT="1000") as (gateway, _, path):
        async with viewer(gateway, path, body=b"x" * 5_000) as one:
            answer = await one.to_the_end()
        errors = [line for line in gateway.log.splitlines() if '"level": "error"' in line]

    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(_END_OF_BODY)
    assert errors == []


async def test_the_system_looks_whether_a_viewer_is_still_there(tmp_path: Path) -> None:
    """One whose machine is gone says no goodbye; a connection that is quiet is asked now and then."""
    async with streaming(tmp_path) as (gateway, _, path), viewer(gateway, path) as one:
        await one.begun()

        assert _timer(gateway, one) == _KEEPALIVE


@pytest.mark.timeout(300)
@pytest.mark.parametrize("viewers", [50, pytest.param(500, marks=pytest.mark.full)])
async def test_at_a_stop_all_streams_end_cleanly_and_go_on_in_the_next_process(tmp_path: Path, viewers: int) -> None:
    """None is broken off, and none misses or hears twice what is said between the two."""
    async with streaming(tmp_path) as (gateway, network, path):
        async with AsyncExitStack() as open_:
            wires = [await open_.enter_async_context(viewer(gateway, path)) for _ in range(viewers)]
            for wire in wires:
                await wire.begun()
            await network.stream_says(*(b'"before %d"' % n for n in range(50)))
            stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
            bodies = await asyncio.gather(*(wire.to_the_end() for wire in wires))
            assert await stopping == 0
        await network.stream_says(*(b'"between %d"' % n for n in range(50)))
        await network.stream_ends("complete")
        await network.router_says("complete", finished="2026-03-01T09:31:00.000000Z", result={"asset_id": None})
        gateway.start()
        async with gateway.client() as client:
            whole = numbered(sse(await Listener(gateway, client).bytes_of(path)))
            heard = [numbered(sse(_content(body))) for body in bodies]
            rest = {last: await _rest(client, path, last) for last in {_last(events) for events in heard}}

    assert [body for body in bodies if not body.endswith(_END_OF_BODY)] == []
    assert len(whole) > 100
    for events in heard:
        assert [event.raw for event in events + rest[_last(events)]] == [event.raw for event in whole]


async def _rest(client: httpx.AsyncClient, path: str, last: int) -> list[Event]:
    return numbered(sse((await client.get(path, headers={"Last-Event-ID": str(last)})).content))


def _with_body(body: bytes) -> bytes:
    """The rest of a request; its body in a chunk, so that nobody knows at first how long it is."""
    return b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"\r\n"


def _last(events: list[Event]) -> int:
    return events[-1].id if events else 0


def _content(answer: bytes) -> bytes:
    """The body, out of its chunks."""
    rest, body = answer.partition(b"\r\n\r\n")[2], b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return body


async def _let_in(gateway: Gateway, path: str) -> None:
    """Try until there is a place: when one has gone is not told."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            async with viewer(gateway, path) as one:
                if await one.begun() == b"HTTP/1.1 200 OK":
                    return
            await asyncio.sleep(_LOOK_AGAIN_S)


async def _until_closed(gateway: Gateway, sockets: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while sockets_of(gateway.pid) > sockets:  # noqa: ASYNC110  (a process rings no bell for this)
            await asyncio.sleep(_LOOK_AGAIN_S)


def _timer(gateway: Gateway, wire: Wire) -> str:
    """Which timer of the gateway's side of the connection runs, as Linux shows it."""
    ours, theirs = urlsplit(gateway.url).port, wire.port
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, timer = (line.split()[place] for place in (1, 2, 5))
        if (int(local.partition(":")[2], 16), int(remote.partition(":")[2], 16)) == (ours, theirs):
            return timer.partition(":")[0]
    raise AssertionError("there is no such connection")
