"""Viewers as they are: they stall, are cut, come back and go again; each is told every event once, in order."""

import asyncio
import random
import socket
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.support.events import SseReader, numbered, sse
from tests.support.gateway import Listener, served
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network

_SMALL_WINDOW = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]  # so that whoever does not read is noticed soon
_SAID_BYTES = 400
_BURST = 40
_LONGEST_STALL_S, _LONGEST_PAUSE_S = 0.8, 0.05
_WITHIN_S = 500


@dataclass(frozen=True, kw_only=True)
class Size:
    """How many watch, and how much is said."""

    viewers: int
    messages: int


class Restless:
    """A viewer that never stays for long; `ids` has what it was told."""

    def __init__(self, url: str, rng: random.Random) -> None:
        self.ids: list[int] = []
        self.visits = 0
        self._url = url
        self._rng = rng
        self._at_the_end = False

    async def watch(self) -> None:
        """Until the end was told."""
        transport = httpx.AsyncHTTPTransport(socket_options=_SMALL_WINDOW)
        async with httpx.AsyncClient(transport=transport, timeout=30, trust_env=False) as client:
            while not self._at_the_end:
                self.visits += 1
                try:
                    await self._visit(client)
                except httpx.TransportError:
                    continue  # cut off by the other side: it had stalled for too long

    async def _visit(self, client: httpx.AsyncClient) -> None:
        headers = {"Last-Event-ID": str(self.ids[-1])} if self.ids else {}
        patience = self._rng.choice([self._rng.randrange(2_000), self._rng.randrange(200_000), 10**9])
        reader = SseReader()
        async with client.stream("GET", self._url, headers=headers) as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_raw():
                events = numbered(reader.feed(piece[:patience]))
                self.ids += [event.id for event in events]
                self._at_the_end = self._at_the_end or any(event.name == "end" for event in events)
                patience -= len(piece)
                if patience <= 0:
                    return
                if self._rng.random() < 0.01:
                    await asyncio.sleep(self._rng.uniform(0, _LONGEST_STALL_S))


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(Size(viewers=20, messages=1_000), id="20000-events"),
        pytest.param(
            Size(viewers=50, messages=10_200),
            id="510000-events",
            marks=[pytest.mark.full, pytest.mark.timeout(_WITHIN_S)],
        ),
    ],
)
async def test_whoever_stalls_is_cut_and_comes_back_is_told_each_event_once(tmp_path: Path, size: Size) -> None:
    """Whether it was caught up from memory or from the database, whether it left by itself or was cut off."""
    seed = random.getrandbits(32)
    rng = random.Random(seed)  # noqa: S311  (it keeps no secret)
    async with scripted_network() as network:
        settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN, "GATEWAY_STALL_S": "0.4"}
        with served(tmp_path, **settings) as gateway:
            await network.router_says("running")
            path = f"/v1/jobs/{network.job_id}/events"
            async with gateway.client() as client:
                await Listener(gateway, client).until_phase(network.job_id, "in_progress")
                viewers = [Restless(gateway.url + path, random.Random(rng.random())) for _ in range(size.viewers)]  # noqa: S311
                async with asyncio.TaskGroup() as watching:
                    for viewer in viewers:
                        watching.create_task(viewer.watch())
                    await _say(network, rng, messages=size.messages)
                told = [event.id for event in numbered(sse(await Listener(gateway, client).bytes_of(path)))]

    assert len(told) > size.messages
    for viewer in viewers:
        assert viewer.ids == told, f"seed {seed}: {_first_difference(viewer.ids, told)}"
    assert sum(viewer.visits for viewer in viewers) > 2 * size.viewers


async def _say(network: ScriptedNetwork, rng: random.Random, *, messages: int) -> None:
    """In bursts, with pauses between them, up to the end."""
    said = 0
    while said < messages:
        burst = min(rng.randint(1, _BURST), messages - said)
        await network.stream_says(*(b'"%0*d"' % (_SAID_BYTES, said + n) for n in range(burst)))
        said += burst
        await asyncio.sleep(rng.uniform(0, _LONGEST_PAUSE_S))
    await network.stream_ends("complete")
    await network.router_says("complete", finished="2026-03-01T09:31:00.000000Z", result={"asset_id": None})


def _first_difference(heard: list[int], told: list[int]) -> str:
    place = next((n for n, (one, other) in enumerate(zip(heard, told, strict=False)) if one != other), len(heard))
    return f"after {heard[max(0, place - 3) : place]} came {heard[place : place + 3]} and not {told[place : place + 3]}"
