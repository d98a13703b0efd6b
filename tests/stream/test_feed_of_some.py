"""The feed of the jobs that fit: the same events in the same order as in the feed of all, without the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

from tests.support.events import Event, numbered, sse
from tests.support.gateway import Caller, Json, router_settings, served
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork


@pytest.fixture
async def quick(running_network: RunningNetwork, tmp_path: Path) -> AsyncIterator[Caller]:
    """A program at a gateway that says every moment where a quiet stream stands."""
    with served(tmp_path, GATEWAY_PING_S="0.2", **router_settings(running_network)) as gateway:
        async with gateway.client() as client:
            caller = Caller(gateway, running_network, client)
            await caller.eventually("/v1/jobs", lambda page: not page["stale"])
            yield caller


async def _made(caller: Caller) -> tuple[int, list[Json], int]:
    """Three jobs, the first two of which are over; the positions before and after them."""
    head = (await caller.get("/v1/jobs", limit="1"))["as_of"]
    bodies: list[Json] = [
        {**REGRESSION, "labels": {"site": "a"}},
        {**REGRESSION, "labels": {"site": "b"}},
        INTERSECTION,
    ]
    jobs = [await caller.create(body, name=f"of some {n}") for n, body in enumerate(bodies)]
    for job in jobs[:2]:
        await caller.client.post(f"/v1/jobs/{job['id']}/cancel")
        await caller.until_end(job["id"])
    return head, jobs, (await caller.get("/v1/jobs", limit="1"))["as_of"]


async def _told(caller: Caller, *, after: int, upto: int, query: dict[str, str], of: Sequence[Json]) -> list[Event]:
    """What the feed tells of these jobs between two positions. One that tells nothing more says where it stands.

    Of jobs that others have left in the network, the last messages may come at any time.
    """
    heard = await caller.bytes_until(_reaches(upto), "/v1/events", headers=None, **query, after=str(after))
    return _of(of, [event for event in numbered(sse(heard)) if event.id <= upto])


def _reaches(position: int) -> Callable[[bytes], bool]:
    return lambda heard: any(event.id >= position for event in sse(heard))


def _of(jobs: Sequence[Json], events: list[Event]) -> list[Event]:
    ids = {job["id"] for job in jobs}
    return [event for event in events if event.json["job_id"] in ids]


async def test_the_feed_of_some_is_the_feed_without_the_rest(quick: Caller) -> None:
    """By whatever a list is narrowed."""
    before, (one, two, three), after = await _made(quick)
    ours = (one, two, three)
    whole = await _told(quick, after=before, upto=after, query={}, of=ours)

    for query, fitting in {
        ("label", "site=a"): [one],
        ("label", "site"): [one, two],
        ("name", "of some 1"): [two],
        ("name_regex", "some [02]$"): [one, three],
        ("id", str(three["id"])): [three],
        ("operation", "PRIVATE_SET_INTERSECTION"): [three],
        ("owner", "nobody"): [],
        ("created_after", str(two["created"])): [two, three],
    }.items():
        told = await _told(quick, after=before, upto=after, query=dict([query]), of=ours)
        assert [event.raw for event in told] == [event.raw for event in _of(fitting, whole)], query


async def test_an_event_passes_if_the_job_was_in_the_phase_before_it_or_after_it(quick: Caller) -> None:
    """Whoever shows a list of some phase must see what comes into it, and what leaves it."""
    before, (one, two, three), after = await _made(quick)

    ours = (one, two, three)
    created = await _told(quick, after=before, upto=after, query={"phase": "created"}, of=ours)
    cancelled = await _told(quick, after=before, upto=after, query={"phase": "cancelled"}, of=ours)
    history = await _told(quick, after=before, upto=after, query={"job_status": "history"}, of=ours)

    moves = [(event.name, event.json["job_id"], event.json["phase"]) for event in created]
    assert sorted(moves) == sorted(
        [("phase", job["id"], "created") for job in (one, two, three)]
        + [("phase", job["id"], "cancelled") for job in (one, two)]
    )
    assert [(event.name, event.json["job_id"]) for event in cancelled] == [
        (name, job["id"]) for job in (one, two) for name in ("phase", "end")
    ]
    assert [event.raw for event in history] == [event.raw for event in cancelled]


async def test_live_it_tells_what_it_replays(quick: Caller) -> None:
    """And to each who asks for the same."""
    head = (await quick.get("/v1/jobs", limit="1"))["as_of"]
    watching = [
        asyncio.create_task(quick.bytes_until(_has_an_end, "/v1/events", after=str(head), label="site=a"))
        for _ in range(3)
    ]
    _, (one, _, _), after = await _made(quick)

    live = [[event.raw for event in numbered(sse(await told))] for told in watching]
    replayed = [event.raw for event in await _told(quick, after=head, upto=after, query={"label": "site=a"}, of=[one])]

    assert live == [replayed] * 3
    assert len(replayed) >= 3
    assert one["id"].encode() in replayed[0]


def _has_an_end(heard: bytes) -> bool:
    return any(event.name == "end" for event in sse(heard))


async def test_a_quiet_stream_says_where_it_stands(quick: Caller) -> None:
    """So that who comes back does not have everything looked through again that was of no interest."""
    before, _, after = await _made(quick)

    heard = sse(await quick.bytes_until(_reaches(after), "/v1/events", after=str(before), owner="nobody"))

    assert {event.name for event in heard} == {"snapshot"}
    assert (heard[0].id, heard[-1].id) == (before, heard[-1].json["as_of"])
    assert heard[-1].id >= after


async def test_a_pattern_that_nobody_understands_is_refused_at_once(caller: Caller) -> None:
    """As in a list; a stream that broke off later would only be opened again."""
    answer = await caller.client.get("/v1/events", params={"name_regex": "(?=x)"})

    assert (answer.status_code, answer.json()["code"]) == (422, "regex-unsupported")
