"""The gateway dies in the middle of jobs: what a viewer was shown stays true, and the jobs are followed to their end."""

import asyncio
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.support.events import Event, SseReader, joined, numbered, sse
from tests.support.gateway import NDJSON, Caller, Finished, Gateway, inference_by
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.recount import counted

_HEARD_AT_MOST = 40


class Viewer:
    """Watches the feed, comes back after every cut with the id of the last event, and keeps what it was shown."""

    def __init__(self, gateway: Gateway) -> None:
        self.shown: dict[int, bytes] = {}
        self.repeated: list[int] = []
        self._gateway = gateway
        self._last = 0
        self._news = asyncio.Condition()

    async def watch(self, url: str) -> None:
        """Until the stream breaks."""
        headers = {"Last-Event-ID": str(self._last)}
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            try:
                async with client.stream("GET", "/v1/events", headers=headers) as answer:
                    await self._keep(answer)
            except httpx.TransportError:
                return  # that was the kill

    async def until_shown(self, count: int) -> None:
        """Return once so many more events were shown."""
        wanted = len(self.shown) + count
        async with asyncio.timeout(60), self._news:
            await self._news.wait_for(lambda: len(self.shown) >= wanted)

    async def _keep(self, answer: httpx.Response) -> None:
        reader = SseReader()
        async for piece in answer.aiter_raw():
            async with self._news:
                for event in numbered(reader.feed(piece)):
                    if event.id in self.shown:
                        self.repeated.append(event.id)
                    self.shown[event.id] = event.raw
                    self._last = event.id
                self._news.notify_all()


@pytest.mark.parametrize("kills", [10, pytest.param(200, marks=[pytest.mark.full, pytest.mark.timeout(3600)])])
async def test_nothing_a_viewer_was_shown_is_lost_or_renumbered(
    own_gateway: Gateway, running_network: RunningNetwork, finished: Finished, kills: int
) -> None:
    """Written, then told: SIGKILL at random moments, while jobs run that say a lot.

    After each the file is whole, and what is counted in it is what it holds.
    """
    database = own_gateway.data_dir / "gateway.db"
    body = inference_by(finished.regression["result"]["asset_id"])
    body["params"]["batch_size"] = 1
    viewer = Viewer(own_gateway)
    jobs = []

    for _ in range(kills):
        jobs.append(running_network.submit({**body, "job_name": "followed through kills"})["id"])
        watching = asyncio.create_task(viewer.watch(own_gateway.url))
        await viewer.until_shown(random.randint(1, _HEARD_AT_MOST))  # noqa: S311  (a moment, no secret)
        own_gateway.kill9()
        await watching
        assert _integrity(database) == "ok"
        counted(database)
        await asyncio.to_thread(own_gateway.start)

    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        streams = [await caller.until_end(job_id) for job_id in jobs]
        last = max(stream[-1].id for stream in streams)
        log = await caller.bytes_until(lambda heard: _reaches(heard, last), "/v1/events", after="0")
    kept = {event.id: event.raw for event in numbered(sse(log))}
    assert viewer.repeated == []
    assert len(viewer.shown) >= kills
    assert {number: kept.get(number) for number in viewer.shown} == viewer.shown
    for job_id, stream in zip(jobs, streams, strict=True):
        assert stream[-1].json["phase"] == "complete"
        assert _messages(stream) == _messages_of_the_access_point(running_network, job_id)


async def test_a_job_that_ends_while_the_gateway_is_dead_is_complete_afterwards(
    own_gateway: Gateway, running_network: RunningNetwork
) -> None:
    """Nothing hangs on the gateway's life."""
    async with own_gateway.client() as client:
        job_id = await Caller(own_gateway, running_network, client).started(REGRESSION)
    own_gateway.kill9()

    await asyncio.to_thread(running_network.reached, job_id, {"complete"})
    await asyncio.to_thread(own_gateway.start)

    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        stream = await caller.until_end(job_id)
        job = await caller.get(f"/v1/jobs/{job_id}")
    assert stream[-1].json["phase"] == "complete"
    assert (job["phase"], job["status"]) == ("complete", 4)
    assert _messages(stream) == _messages_of_the_access_point(running_network, job_id)


async def test_a_stop_ends_open_streams_cleanly_and_they_go_on_at_the_next_process(
    own_gateway: Gateway, running_network: RunningNetwork
) -> None:
    """No viewer sees a broken answer, and none misses what came between."""
    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        job = await caller.waiting(REGRESSION)
        path = f"/v1/jobs/{job['id']}/events"
        opened = [asyncio.Event() for _ in range(12)]
        viewers = [
            asyncio.create_task(_watched(client, path if number % 2 else "/v1/events", number, opened[number]))
            for number in range(12)
        ]
        async with asyncio.timeout(30):
            await asyncio.gather(*(one.wait() for one in opened))
        code = await asyncio.to_thread(own_gateway.stop)
        streams = await asyncio.gather(*viewers)  # one that was cut would raise here
    await asyncio.to_thread(own_gateway.start)

    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        caller.accept(job)
        whole = await caller.bytes_of(path)
        first = numbered(sse(streams[1]))
        rest = await caller.bytes_of(path, headers={"Last-Event-ID": str(first[-1].id)})
    assert code == 0
    assert joined(first) + joined(numbered(sse(rest))) == joined(numbered(sse(whole)))


async def _watched(client: httpx.AsyncClient, path: str, number: int, opened: asyncio.Event) -> bytes:
    """The whole stream, to its orderly end; every third viewer reads lines."""
    heard = b""
    async with client.stream("GET", path, headers=NDJSON if number % 3 == 2 else {}) as answer:
        async for piece in answer.aiter_raw():
            heard += piece
            opened.set()
    return heard


def _integrity(database: Path) -> str:
    with closing(sqlite3.connect(database)) as db:
        return str(db.execute("PRAGMA integrity_check").fetchone()[0])


def _reaches(heard: bytes, last: int) -> bool:
    return f"\nid: {last}\n\n".encode() in heard


def _messages(stream: Sequence[Event]) -> list[bytes]:
    return [event.data.encode() for event in stream if event.name == "message"]


def _messages_of_the_access_point(network: RunningNetwork, job_id: str) -> list[bytes]:
    lines = [line for line in network.stream(job_id) if b'"kind":"message"' in line]
    return [line.partition(b'"message":')[2].removesuffix(b"}") for line in lines]
