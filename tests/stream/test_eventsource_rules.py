"""What the HTML standard asks of a server of events: our streams as its own algorithm reads them, and as a browser does."""

import asyncio
import json
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from itertools import chain, pairwise
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import BrowserContext

from app.domain.events import Kind
from tests.support.browser import listen, open_browser, page_at
from tests.support.eventsource import Dispatched, EventStreamParser
from tests.support.gateway import WITHIN_S, Caller, Finished, Listener, served
from tests.support.keys import guarded_gateway
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.relay import relay
from tests.support.scripted import TOKEN, ScriptedNetwork, scripted_network
from tests.support.texts import LONG_MESSAGE, hurtful_message

_SAID = [*(hurtful_message(number) for number in range(112)), LONG_MESSAGE]
_STREAMS = {
    "a job's": ("/v1/jobs/{job_id}/events", "json"),
    "a job's, as text": ("/v1/jobs/{job_id}/events", "text"),
    "the feed": ("/v1/events", "json"),
    "the feed, as text": ("/v1/events", "text"),
}
_OWN_EVENTS_OF_EVENTSOURCE = {"open", "error"}
_PAGE = "https://app.example"
_PING = b"\n: ping\n"  # a message may say the same within its line


# The algorithm, held against the standard's own examples


@pytest.mark.parametrize(
    ("stream", "dispatched"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n",
            [("message", "first event", "1"), ("message", "second event", "")],
        ),
        ("data\n\ndata\ndata\n\ndata:", [("message", "", ""), ("message", "\n", "")]),
        ("data:test\n\ndata: test\n\n", [("message", "test", "")] * 2),
        ("event: add\ndata: 1\r\n\r\nevent: remove\rdata: 2\r\r", [("add", "1", ""), ("remove", "2", "")]),
        ("\ufeffdata: a\n\n\ufeffdata: b\n\n", [("message", "a", "")]),
        ("id: 1\n\ndata: a\n\ndata: b\nid: 2\0\n\n", [("message", "a", "1"), ("message", "b", "1")]),
    ],
)
def test_the_algorithm_is_the_standards(stream: str, dispatched: list[tuple[str, str, str]]) -> None:
    """Or what follows would show nothing."""
    assert EventStreamParser().feed(stream.encode()) == [Dispatched(*one) for one in dispatched]


@given(st.text(st.sampled_from("\r\n: dataide\0é"), max_size=60), st.lists(st.integers(0, 60)))
def test_the_algorithm_does_not_depend_on_where_the_pieces_end(stream: str, cuts: list[int]) -> None:
    """Also between a CR and its LF, or within a character."""
    raw, parser = stream.encode(), EventStreamParser()
    places = [0, *sorted(cuts), len(raw)]

    dispatched = chain.from_iterable(parser.feed(raw[start:end]) for start, end in pairwise(places))

    assert list(dispatched) == EventStreamParser().feed(raw)


# Our streams


@pytest.fixture(scope="module")
def streams(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of each for a job that said all that hurts; with pings where nothing came, and broken off after one."""
    with ThreadPoolExecutor(1) as apart:  # an event loop of its own, for the tests' loops come and go
        return apart.submit(asyncio.run, _read(tmp_path_factory.mktemp("streams"))).result()


@pytest.fixture(params=list(_STREAMS))
def stream(streams: dict[str, bytes], request: pytest.FixtureRequest) -> bytes:
    """One of them."""
    return streams[request.param]


def test_a_stream_is_utf_8_without_a_byte_order_mark(stream: bytes) -> None:
    """Whatever else it were would be read as UTF-8 all the same."""
    assert stream.decode("utf-8", errors="strict")
    assert not stream.startswith("\ufeff".encode())


def test_no_line_ends_but_by_a_line_feed(stream: bytes) -> None:
    """A CR ends one, wherever it stands: no message may bring one along."""
    assert b"\r" not in stream


def test_only_fields_of_the_standard_are_sent_and_each_has_a_value(stream: bytes) -> None:
    """Others are ignored; an id without a value would make a client forget where it is."""
    parser = EventStreamParser()
    parser.feed(stream)

    assert {name for name, _ in parser.fields} == {"event", "data", "id", "retry"}
    assert [field for field in parser.fields if not field[1]] == []


def test_an_id_is_a_number_that_grows(stream: bytes) -> None:
    """In ASCII and without a NUL, so that it comes back as Last-Event-ID as it went."""
    parser = EventStreamParser()
    ids = [event.last_event_id for event in parser.feed(stream)]

    assert [value for name, value in parser.fields if name == "id"] == ids
    assert [one for one in ids if not (one.isascii() and one.isdecimal())] == []
    assert [int(one) for one in ids] == sorted({int(one) for one in ids})


def test_the_reconnection_time_is_understood(stream: bytes) -> None:
    """Digits alone: anything else is ignored, and everybody comes back after what the browser thinks good."""
    parser = EventStreamParser()
    parser.feed(stream)

    assert [int(value) for name, value in parser.fields if name == "retry"] == [parser.reconnection_time_ms]


def test_every_block_is_an_event_and_no_comment_is(stream: bytes) -> None:
    """One of comments alone, or of an id alone, would be none to a browser and an empty one to others."""
    parser = EventStreamParser()
    dispatched = parser.feed(stream)

    assert len(dispatched) == stream.count(b"\n\n") == len([name for name, _ in parser.fields if name == "data"])
    assert set(parser.comments) == {"ping"}


def test_no_name_is_one_of_eventsources_own(stream: bytes) -> None:
    """An event named `error` would call a page's onerror."""
    names = {event.type for event in EventStreamParser().feed(stream)}

    assert names <= {*Kind, "snapshot", "text"}
    assert names & _OWN_EVENTS_OF_EVENTSOURCE == set()
    assert set(Kind) & _OWN_EVENTS_OF_EVENTSOURCE == set()


@pytest.mark.parametrize("which", ["a job's", "the feed"])
def test_every_message_is_dispatched_as_it_was_said(streams: dict[str, bytes], which: str) -> None:
    """Line ends, fields and blank lines within a text are its own affair."""
    dispatched = [
        json.loads(event.data) for event in EventStreamParser().feed(streams[which]) if event.type == "message"
    ]

    assert [one["message"] if which == "the feed" else one for one in dispatched] == [json.loads(one) for one in _SAID]


def test_what_is_cut_before_its_blank_line_is_neither_dispatched_nor_passed_over(stream: bytes) -> None:
    """At every byte: where a browser would go on is behind the last event that the page has seen."""
    parser, last = EventStreamParser(), ""

    for place in range(len(stream)):
        for event in parser.feed(stream[place : place + 1]):
            last = event.last_event_id
        assert parser.last_event_id == last, f"cut behind {stream[:place][-80:]!r}"


# The answer


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", None])
@pytest.mark.parametrize("path", ["/v1/jobs/{job_id}/events", "/v1/events"])
async def test_a_stream_is_200_and_says_what_it_is(
    caller: Caller, finished: Finished, path: str, accept: str | None
) -> None:
    """Any other status or type, and an EventSource gives up for good."""
    request = caller.client.build_request("GET", path.format(job_id=finished.inference["id"]))
    del request.headers["Accept"]
    if accept:
        request.headers["Accept"] = accept

    answer = await caller.client.send(request, stream=True)
    await answer.aclose()

    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/event-stream; charset=utf-8")


@pytest.mark.parametrize("path", ["/v1/jobs/{job_id}/events/", "/v1/events/", "//v1/events", "/V1/events"])
async def test_no_stream_is_somewhere_else(caller: Caller, finished: Finished, path: str) -> None:
    """A redirect to another origin would lose the credentials; so nothing is ever redirected."""
    answer = await caller.client.get(path.format(job_id=finished.inference["id"]))

    assert answer.status_code == 404
    assert "Location" not in answer.headers


async def test_a_listed_page_may_read_whatever_is_answered(
    running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """With credentials `*` is no permission, and a refusal without permission is no refusal that a page can read."""
    folder = tmp_path_factory.mktemp("listing")
    with guarded_gateway(folder, running_network, GATEWAY_CORS_ORIGINS=_PAGE) as listing:
        async with listing.client("sam") as client, listing.gateway.client() as stranger:
            caller = Caller(listing.gateway, running_network, client)
            job = await caller.waiting(REGRESSION)
            await client.post(f"/v1/jobs/{job['id']}/cancel")
            await caller.until_end(job["id"])
            events, unknown = (f"/v1/jobs/{one}/events" for one in (job["id"], uuid4()))
            answers = [
                await _answered(asking, path, **headers)
                for asking, path, headers in (
                    (client, events, {}),
                    (client, "/v1/events", {}),
                    (client, events, {"Last-Event-ID": str(10**18)}),
                    (stranger, events, {}),
                    (client, unknown, {}),
                    (client, events, {"Last-Event-ID": "x"}),
                )
            ]

    assert [answer.status_code for answer in answers] == [200, 200, 204, 401, 404, 422]
    assert {answer.headers["Access-Control-Allow-Origin"] for answer in answers} == {_PAGE}
    assert {answer.headers["Access-Control-Allow-Credentials"] for answer in answers} == {"true"}
    assert [answer for answer in answers if "Origin" not in answer.headers["Vary"].split(", ")] == []


# A browser


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    """One without a past."""
    async with open_browser() as opened:
        yield opened


async def test_a_browser_gives_up_what_is_no_stream_and_what_is_over(
    browser: BrowserContext, caller: Caller, finished: Finished
) -> None:
    """At once and for good, whatever the status, and without an event."""
    page = await page_at(browser, f"{caller.gateway.url}/")
    job = f"/v1/jobs/{finished.inference['id']}"
    told = {
        job: 200,  # a job's document, which is JSON
        f"{job}/events?after={10**18}": 204,
        f"/v1/jobs/{uuid4()}/events": 404,
        f"{job}/events?after=x": 422,
    }

    listeners = {path: await listen(page, path) for path in told}
    for listener in listeners.values():
        await listener.closed()

    assert {path: (await caller.client.get(path)).status_code for path in told} == told
    assert [await listener.heard() for listener in listeners.values()] == [[]] * len(told)


async def test_a_browser_that_comes_back_stands_where_it_stood(
    browser: BrowserContext, watcher: Listener, network: ScriptedNetwork
) -> None:
    """Its `lastEventId` goes neither back nor ahead, whatever the address said that it was opened with."""
    await network.router_says("running")
    await network.stream_says(b'"before"')
    await watcher.until_phase(network.job_id, "in_progress")
    async with relay(watcher.gateway.url) as between:
        listener = await listen(await page_at(browser, f"{between.url}/"), f"/v1/jobs/{network.job_id}/events?after=0")
        await listener.hears("message", "before")
        await between.drop()
        await listener.opened(2)
        await network.stream_says(b'"after"')
        await listener.hears("message", "after")
        heard = await listener.heard()

    first, second = (place for place, (_, name, _) in enumerate(heard) if name == "snapshot")
    assert (first, heard[first][0]) == (0, 0)
    assert heard[second][0] == heard[second - 1][0]
    assert [number for number, name, _ in heard if name != "snapshot"] == sorted({number for number, _, _ in heard[1:]})


async def _answered(client: httpx.AsyncClient, path: str, **headers: str) -> httpx.Response:
    """The head of an answer to a page."""
    async with client.stream("GET", path, headers={"Origin": _PAGE, **headers}) as answer:
        return answer


async def _read(folder: Path) -> dict[str, bytes]:
    """Half of it said before they are opened, and half after pings."""
    async with AsyncExitStack() as stack:
        network = await stack.enter_async_context(scripted_network())
        settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN, "GATEWAY_PING_S": "0.1"}
        gateway = stack.enter_context(served(folder, **settings))
        listener = Listener(gateway, await stack.enter_async_context(gateway.client()))
        half = len(_SAID) // 2
        await network.router_says("running")
        await network.stream_says(*_SAID[:half])
        await listener.until_phase(network.job_id, "in_progress")
        pinged = {name: asyncio.Event() for name in _STREAMS}
        reading = {
            name: asyncio.create_task(_until_quiet(listener, network, *one, pinged=pinged[name]))
            for name, one in _STREAMS.items()
        }
        async with asyncio.timeout(WITHIN_S):
            for one in pinged.values():
                await one.wait()
        await network.stream_says(*_SAID[half:])
        await network.stream_ends("complete")
        await network.router_says("complete", finished="2026-03-01T09:31:00.000000Z", result={"asset_id": None})
        return {name: await one for name, one in reading.items()}


async def _until_quiet(
    listener: Listener, network: ScriptedNetwork, path: str, form: str, *, pinged: asyncio.Event
) -> bytes:
    """A job's stream until the gateway closes it, the feed up to a ping after the end; `pinged` is set with the first one."""
    of_job = "{job_id}" in path
    query = {"format": form} if of_job else {"format": form, "after": "0"}
    address, heard = path.format(job_id=network.job_id), b""
    async with asyncio.timeout(WITHIN_S), listener.client.stream("GET", address, params=query) as answer:
        assert answer.status_code == 200
        async for piece in answer.aiter_raw():
            heard += piece
            if _PING in heard:
                pinged.set()
            if not of_job and b"event: end\n" in heard and heard.endswith(_PING):
                return heard
    assert of_job, "the feed ended"
    return heard
