"""Clients as they are in the field, whole or cut at any byte and come back by themselves, all hear one and the same."""

import asyncio
import random
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.browser import Heard, open_browser, site
from tests.support.clients import BrowserPage, Client, Hearing, curl, eventsource_of_npm, httpx_sse
from tests.support.cuts import Cut, CuttingRelay, cutting
from tests.support.events import numbered, sse
from tests.support.gateway import Listener, served
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network
from tests.support.texts import LONG_MESSAGE, hurtful_message

_CLIENTS = ("a browser", "eventsource", "fetch-event-source", "httpx-sse", "curl")
_WAYS = ("whole", "cut", "cut behind an id")
# They end the stream at its end by themselves; an EventSource comes back once more and is told 204.
_COME_BACK = ("a browser", "eventsource")
# It takes an id for heard once it has read the line, and forgets the event if the blank line does not come.
_HASTY = "fetch-event-source"
# Over plain HTTP Chromium takes what has come of a head for the whole, and gives up for good; over TLS it does not.
_IN_CHROMIUM = ("a browser", "fetch-event-source")
_WITHIN_S = 60.0
_MORE_WITHIN_S = 400.0
_MESSAGES = 300


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What a client heard, and how it went on the way to it."""

    heard: list[Heard]
    cuts: list[bytes]
    told_204: int


@dataclass(frozen=True, kw_only=True)
class Play:
    """A job as everybody saw it who watched."""

    seed: int
    plain: list[Heard]
    watched: dict[tuple[str, str], Watched]


@dataclass(frozen=True, kw_only=True)
class Watching:
    """A client, a cable to the gateway of its own, and what it has heard up to now."""

    name: str
    way: str
    client: Client
    cable: CuttingRelay
    hearing: Hearing

    def expect_cuts(self, rng: random.Random, *, part: list[bytes], times: int, first: bool) -> None:
        """While a part comes: at random, or once in the first part behind an event's id."""
        without_the_long_line = len(b"".join(part[:-2]))
        if self.way == "cut":
            within = rng.choice([without_the_long_line, without_the_long_line + len(LONG_MESSAGE)]) // times
            self.cable.cut(*(Cut(after=rng.randint(1, within)) for _ in range(times)))
        elif self.way == "cut behind an id" and first:
            self.cable.cut(Cut(after=rng.randint(1, without_the_long_line // 2), behind_an_id=True))

    async def watch(self, path: str) -> None:
        """Until it is done for good."""
        await self.client(self.cable.url + path, self.hearing)
        self.hearing.end()

    def watched(self) -> Watched:
        """How it went."""
        told_204 = self.cable.carried.count(b"HTTP/1.1 204 ")
        return Watched(heard=self.hearing.heard, cuts=self.cable.cuts, told_204=told_204)


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Half of what there is to say was said before the clients came, and they are cut once then, and twice in the other."""
    with ThreadPoolExecutor(1) as apart:  # an event loop of its own, for the tests' loops come and go
        return apart.submit(
            asyncio.run, _played(tmp_path_factory.mktemp("play"), cuts=(1, 2), within_s=_WITHIN_S)
        ).result()


@pytest.fixture(params=_CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """One of them."""
    if request.param == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return str(request.param)


def test_a_client_that_is_not_cut_hears_what_a_plain_read_does(play: Play, client: str) -> None:
    """Whatever stands in the messages, and no matter which half came live."""
    watched = play.watched[client, "whole"]

    assert _numbers(watched.heard) == _numbers(play.plain)
    assert watched.heard == play.plain
    assert watched.cuts == []


def test_a_client_cut_at_random_bytes_hears_what_a_plain_read_does(play: Play, client: str) -> None:
    """In a head, in the middle of a character, in an id: it comes back by its own rules and has missed nothing."""
    watched = play.watched[client, "cut"]

    assert _numbers(watched.heard) == _numbers(play.plain), f"seed {play.seed}, cut behind {watched.cuts}"
    assert watched.heard == play.plain, f"seed {play.seed}"
    assert len(watched.cuts) == 3


def test_an_event_cut_before_its_blank_line_is_told_again(play: Play, client: str) -> None:
    """It was not dispatched, so that its id, read already, is not where the client stands."""
    watched = play.watched[client, "cut behind an id"]

    (cut,) = watched.cuts
    lost = int(cut.rpartition(b"id: ")[2])
    without = [event for event in play.plain if event[0] != lost]
    # At this one byte no server can help a client that takes an id on sight, if the bytes reach it before the bad news.
    allowed = [play.plain, without] if client == _HASTY else [play.plain]
    assert watched.heard in allowed, f"seed {play.seed}, cut behind {cut!r}"


@pytest.mark.parametrize("way", _WAYS)
def test_after_the_end_a_client_stays_away(play: Play, client: str, way: str) -> None:
    """An EventSource, which comes back after whatever end, is told 204 and does not come again."""
    watched = play.watched[client, way]

    assert [name for _, name, _ in watched.heard][-1:] == ["end"]
    assert watched.told_204 == (1 if client in _COME_BACK else 0)


@pytest.mark.full
@pytest.mark.timeout(_MORE_WITHIN_S)
async def test_clients_cut_again_and_again_hear_what_a_plain_read_does(tmp_path: Path) -> None:
    """The same with forty cuts each."""
    often = await _played(tmp_path, cuts=(5,) * 8, within_s=_MORE_WITHIN_S)

    for (client, way), watched in often.watched.items():
        if way != "cut behind an id":
            assert watched.heard == often.plain, f"{client}, {way}, seed {often.seed}"
            assert len(watched.cuts) == (40 if way == "cut" else 0)


async def _played(folder: Path, *, cuts: Sequence[int], within_s: float) -> Play:
    """One half of what is said before anybody watches and the rest in parts, each with so many cuts."""
    seed = random.getrandbits(32)
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(scripted_network())
        origin = await stack.enter_async_context(site())
        settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN, "GATEWAY_CORS_ORIGINS": origin}
        gateway = stack.enter_context(served(folder, **settings))
        client = await stack.enter_async_context(gateway.client())
        watching = await _everybody(stack, gateway.url, origin=origin)
        try:
            async with asyncio.timeout(within_s):
                await _told(network, Listener(gateway, client), watching, cuts=cuts, seed=seed)
        except TimeoutError:  # whoever has not heard it all by now has to answer for it
            await _ended(network)
        plain = numbered(sse(await Listener(gateway, client).bytes_of(f"/v1/jobs/{network.job_id}/events")))
    return Play(
        seed=seed,
        plain=[(event.id, event.name, event.data) for event in plain],
        watched={(one.name, one.way): one.watched() for one in watching},
    )


async def _everybody(stack: AsyncExitStack, url: str, *, origin: str) -> list[Watching]:
    """Every client in every way."""
    page = await BrowserPage.at(origin, await stack.enter_async_context(open_browser()))
    clients: list[Client] = [page.eventsource, eventsource_of_npm, page.fetch_event_source, httpx_sse, curl]
    return [
        Watching(
            name=name,
            way=way,
            client=client,
            cable=await stack.enter_async_context(
                cutting(url, spares_ids=name == _HASTY and way == "cut", spares_heads=name in _IN_CHROMIUM)
            ),
            hearing=Hearing(),
        )
        for name, client in zip(_CLIENTS, clients, strict=True)
        for way in _WAYS
        if name != "curl" or shutil.which("curl")
    ]


async def _told(
    network: ScriptedNetwork,
    listener: Listener,
    watching: list[Watching],
    *,
    cuts: Sequence[int],
    seed: int,
) -> None:
    """The first part before they come, and each other once everybody has heard all before it."""
    rng = random.Random(seed)  # noqa: S311  (it keeps no secret)
    path = f"/v1/jobs/{network.job_id}/events"
    await network.router_says("running")
    async with asyncio.TaskGroup() as clients:
        for number, (part, times) in enumerate(zip(_parts(len(cuts)), cuts, strict=True)):
            first = number == 0
            for one in watching:
                one.expect_cuts(rng, part=part, times=times, first=first)
            await network.stream_says(*part)
            if first:
                await _written_down(listener, path, said=part[-1])
                for one in watching:
                    clients.create_task(one.watch(path), name=one.name)
            await asyncio.gather(*(one.hearing.hears(part[-1].decode()) for one in watching))
        await _ended(network)


async def _ended(network: ScriptedNetwork) -> None:
    await network.stream_ends("complete")
    await network.router_says("complete", finished="2026-03-01T09:31:00.000000Z", result={"asset_id": None})


async def _written_down(listener: Listener, path: str, *, said: bytes) -> None:
    """Return once the gateway knows it."""
    async with listener.listening(path) as events:
        async for event in events:
            if event.data == said.decode():
                return


def _parts(how_many: int) -> list[list[bytes]]:
    """One half, and the other in parts that are alike; the last word of each is its own."""
    half, size = _MESSAGES // 2, _MESSAGES // 2 // (how_many - 1)
    starts = [0, *range(half, _MESSAGES, size)][:how_many]
    ends = [*starts[1:], _MESSAGES]
    return [
        [*(hurtful_message(number) for number in range(start, end)), LONG_MESSAGE, b'"part %d is over"' % place]
        for place, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def _numbers(heard: list[Heard]) -> list[int]:
    return [number for number, _, _ in heard]
