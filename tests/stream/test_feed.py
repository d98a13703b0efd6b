"""The feed over all jobs: from now on or from a position, without a gap, for as long as one listens."""

import asyncio
from collections.abc import Callable
from uuid import UUID, uuid4

from tests.support.events import Event, joined, ndjson, numbered, sse
from tests.support.gateway import NDJSON, Caller, Finished
from tests.support.network import INTERSECTION, REGRESSION


async def test_without_a_cursor_the_feed_begins_now(caller: Caller, finished: Finished) -> None:
    """Whoever opens it wants news; the past is in the list."""
    async with caller.listening("/v1/events") as events:
        job = await caller.create(REGRESSION)
        first = await anext(events)

    assert (first.name, first.json["job_id"], first.json["phase"]) == ("phase", job["id"], "created")
    assert finished.regression["id"] != job["id"]


async def test_a_list_and_the_feed_after_it_leave_no_gap(caller: Caller) -> None:
    """`as_of` is a place in the log: what happened between the two requests is told."""
    listed = await caller.get("/v1/jobs")
    job = await caller.create(REGRESSION)

    told = sse(await caller.bytes_until(lambda heard: len(sse(heard)) > 1, "/v1/events", after=str(listed["as_of"])))

    assert (told[0].name, told[0].id) == ("snapshot", listed["as_of"])
    assert told[0].json.keys() == {"as_of"}
    assert (told[1].json["job_id"], told[1].json["phase"]) == (job["id"], "created")
    assert job["id"] not in {one["id"] for one in listed["items"]}


async def test_the_feed_tells_what_the_jobs_streams_tell_with_messages_wrapped(caller: Caller) -> None:
    """A message says whose it is; everything else says so already."""
    head = (await caller.get("/v1/jobs", limit="1"))["as_of"]
    ids = {await caller.started(REGRESSION), await caller.started(INTERSECTION)}
    streams = await asyncio.gather(*(caller.until_end(job_id) for job_id in ids))

    last = max(stream[-1].id for stream in streams)
    feed = await caller.bytes_until(_up_to(last), "/v1/events", headers=NDJSON, after=str(head))

    told = [event for event in numbered(ndjson(feed)) if _job_of(event) in ids]
    expected = sorted((event for stream in streams for event in stream), key=lambda event: event.id)
    assert [(event.id, event.name) for event in told] == [(event.id, event.name) for event in expected]
    for fed, own in zip(told, expected, strict=True):
        if own.name == "message":
            assert fed.data == f'{{"job_id":"{_job_of(fed)}","message":{own.data}}}'
        else:
            assert fed.data == own.data
    assert [event.name for event in told].count("end") == 2


async def test_the_feed_goes_on_after_a_jobs_end(caller: Caller) -> None:
    """It is over all jobs, and those never end."""
    async with caller.listening("/v1/events") as events:
        for _ in range(2):
            job = await caller.create(REGRESSION)
            await caller.client.post(f"/v1/jobs/{job['id']}/cancel")
            ended = await anext(event async for event in events if event.name == "end")
            assert ended.json == {"job_id": job["id"], "phase": "cancelled"}


async def test_the_feed_cut_and_resumed_is_the_uncut_one(caller: Caller, finished: Finished) -> None:
    """As for a job's stream; the position may be any number in the log."""
    end = (await caller.until_end(finished.inference["id"]))[-1].id
    whole = await caller.bytes_until(_up_to_sse(end), "/v1/events", after="0")
    expected = joined([event for event in numbered(sse(whole)) if event.id <= end])

    for cut in range(1, len(whole), max(1, len(whole) // 12)):
        first = numbered(sse(whole[:cut]))
        headers = {"Last-Event-ID": str(first[-1].id if first else 0)}
        rest = await caller.bytes_until(_up_to_sse(end), "/v1/events", headers=headers) if cut < len(whole) else b""
        resumed = joined([event for event in first + numbered(sse(rest)) if event.id <= end])
        assert resumed == expected, f"cut at {cut}"


async def test_a_cursor_ahead_of_the_log_counts_as_now(caller: Caller) -> None:
    """It is of another database; to wait for that number would be to wait in vain."""
    async with caller.listening("/v1/events", after=str(10**15)) as events:
        job = await caller.create(REGRESSION)
        assert (await anext(events)).json["job_id"] == job["id"]


async def test_a_job_straight_from_the_router_is_known_and_streamed(caller: Caller) -> None:
    """The colleague with the Python SDK does not know of the gateway, and need not."""
    name = f"direct {uuid4()}"
    async with caller.listening("/v1/events") as events:
        job = caller.network.submit({**REGRESSION, "job_name": name})
        seen = await anext(event async for event in events if _job_of(event) == job["id"])
        caller.accept(job)
        ended = await anext(event async for event in events if event.name == "end" and _job_of(event) == job["id"])

    assert seen.json["phase"] == "created"
    assert ended.json["phase"] == "complete"
    (listed,) = (await caller.get("/v1/jobs", name=name))["items"]
    assert (listed["id"], listed["phase"], listed["status"]) == (job["id"], "complete", 4)
    own = await caller.until_end(job["id"])
    assert "RegressionTrainingMetrics" in {
        one.json["__type"] for one in own if one.name == "message" and isinstance(one.json, dict)
    }


async def test_another_teams_job_on_our_data_is_known_too(caller: Caller) -> None:
    """We see that our asset is used; its status stream is the other team's, so the Router's word alone counts."""
    body = {**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}
    async with caller.listening("/v1/events") as events:
        job = caller.network.submit(body, team="mercy")
        caller.accept(job)
        ended = await anext(event async for event in events if event.name == "end" and _job_of(event) == job["id"])

    assert ended.json["phase"] == "complete"
    seen = await caller.get(f"/v1/jobs/{job['id']}")
    assert (seen["owner"]["team"], seen["phase"]) == ("mercy", "complete")


def _job_of(event: Event) -> str:
    return str(UUID(event.json["job_id"]))


def _up_to(last: int) -> Callable[[bytes], bool]:
    return lambda heard: any(event.id >= last for event in numbered(ndjson(heard)))


def _up_to_sse(last: int) -> Callable[[bytes], bool]:
    return lambda heard: any(event.id >= last for event in numbered(sse(heard)))
