"""The feed of the jobs that fit: the same events in the same order as in the feed of all, without the others."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from pathlib import Path

import pytest

from tests.support.events import Event, numbered, sse
from tests.support.gateway import Caller, Json, router_settings, served
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

OVER = {"complete", "error", "cancelled", "killed", "denied"}


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


async def _told(caller: Caller, *, after: int, upto: int, query: dict[str, str]) -> list[Event]:
    """What the feed tells between two positions. One that tells nothing more says where it stands."""
    heard = await caller.bytes_until(_reaches(upto), "/v1/events", headers=None, **query, after=str(after))
    return [event for event in numbered(sse(heard)) if event.id <= upto]


def _reaches(position: int) -> Callable[[bytes], bool]:
    return lambda heard: any(event.id >= position for event in sse(heard))


def _of(job_ids: Collection[str], events: list[Event]) -> list[bytes]:
    return [event.raw for event in events if event.json["job_id"] in job_ids]


def _in_phases(phases: Collection[str], events: list[Event], *, after: int) -> list[bytes]:
    """Of all events from the first on those whose job was in such a phase, before them or behind them."""
    now: dict[str, str] = {}
    fitting = []
    for event in events:
        job_id = event.json["job_id"]
        was = now.get(job_id)
        if event.name == "phase":
            now[job_id] = event.json["phase"]
        has_left = event.name == "phase" and was in phases
        if event.id > after and (now.get(job_id) in phases or has_left):
            fitting.append(event.raw)
    return fitting


async def test_the_feed_of_some_is_the_feed_without_the_rest(quick: Caller) -> None:
    """By whatever a list is narrowed."""
    before, (one, two, three), after = await _made(quick)
    whole = await _told(quick, after=before, upto=after, query={})

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
        told = await _told(quick, after=before, upto=after, query=dict([query]))
        # Jobs that others have left in the network may fit, and have their last words at any time.
        listed = {job["id"] for job in (await quick.get("/v1/jobs", limit="200", **dict([query])))["items"]}
        assert {job["id"] for job in fitting} == listed & {job["id"] for job in (one, two, three)}, query
        assert [event.raw for event in told] == _of(listed, whole), query


async def test_an_event_passes_if_the_job_was_in_the_phase_before_it_or_after_it(quick: Caller) -> None:
    """Whoever shows a list of some phase must see what comes into it, and what leaves it."""
    before, (one, two, three), after = await _made(quick)

    whole = await _told(quick, after=0, upto=after, query={})
    asked = {"created": {"phase": "created"}, "cancelled": {"phase": "cancelled"}, "history": {"job_status": "history"}}
    told = {name: await _told(quick, after=before, upto=after, query=query) for name, query in asked.items()}

    ours = [job["id"] for job in (one, two, three)]
    moves = [(event.json["job_id"], event.json["phase"]) for event in told["created"] if event.name == "phase"]
    assert sorted(move for move in moves if move[0] in ours) == sorted(
        [(job_id, "created") for job_id in ours] + [(job_id, "cancelled") for job_id in ours[:2]]
    )
    ends = [(event.name, event.json["job_id"]) for event in told["cancelled"] if event.json["job_id"] in ours]
    assert ends == [(name, job_id) for job_id in ours[:2] for name in ("phase", "end")]
    assert _of(ours, told["history"]) == _of(ours, told["cancelled"])
    for name, phases in (("created", {"created"}), ("cancelled", {"cancelled"}), ("history", OVER)):
        assert [event.raw for event in told[name]] == _in_phases(phases, whole, after=before), name


async def test_live_it_tells_what_it_replays(quick: Caller) -> None:
    """And to each who asks for the same."""
    head = (await quick.get("/v1/jobs", limit="1"))["as_of"]
    watching = [
        asyncio.create_task(quick.bytes_until(_has_an_end, "/v1/events", after=str(head), label="site=a"))
        for _ in range(3)
    ]
    _, (one, _, _), after = await _made(quick)

    live = [[event.raw for event in numbered(sse(await told))] for told in watching]
    replayed = [event.raw for event in await _told(quick, after=head, upto=after, query={"label": "site=a"})]

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
