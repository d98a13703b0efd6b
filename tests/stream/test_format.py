"""The bytes of a stream, exactly: what clients in the field trip over."""

import json
import re
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from httpx_sse import EventSource

from tests.support.events import numbered, sse
from tests.support.gateway import NDJSON, Caller, Finished, Gateway, router_settings, served
from tests.support.network import REGRESSION, RunningNetwork

_NUMBERED = re.compile(rb"(event: (status|phase|upstream|end)\n)?data: [^\r\n]+\nid: [1-9][0-9]*\n\n")
_SNAPSHOT = re.compile(rb"event: snapshot\ndata: [^\r\n]+\nretry: ([0-9]+)\nid: [0-9]+\n\n")
_NUMBERED_LINE = re.compile(rb'\{"id":[1-9][0-9]*,"event":"(status|message|phase|upstream|end)","data":[^\r\n]+\}\n')


@pytest.fixture(scope="module")
def restless(running_network: RunningNetwork, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that pings after a tenth of a second."""
    settings = {**router_settings(running_network), "GATEWAY_PING_S": "0.1"}
    with served(tmp_path_factory.mktemp("restless"), **settings) as gateway:
        yield gateway


@pytest.fixture
async def restless_caller(restless: Gateway, running_network: RunningNetwork) -> AsyncIterator[Caller]:
    """A program that uses it."""
    async with restless.client() as client:
        yield Caller(restless, running_network, client)


async def test_an_event_stream_has_the_form_that_was_promised(caller: Caller, finished: Finished) -> None:
    """The snapshot first; then one data line each and the id as the last field, because some clients store it on sight."""
    stream = await caller.bytes_of(f"/v1/jobs/{finished.inference['id']}/events")

    first, *others = [block + b"\n\n" for block in stream.split(b"\n\n")[:-1]]
    assert _SNAPSHOT.fullmatch(first)
    assert [block for block in others if not _NUMBERED.fullmatch(block)] == []
    assert others[-1].startswith(b"event: end\n")
    assert stream.endswith(b"\n\n")


async def test_messages_have_no_name_and_all_others_have(caller: Caller, finished: Finished) -> None:
    """EventSource's `onmessage` sees the Access Point's messages, whatever their type."""
    stream = await caller.bytes_of(f"/v1/jobs/{finished.inference['id']}/events")

    unnamed = [block for block in stream.split(b"\n\n") if block.startswith(b"data: ")]
    messages = [event for event in sse(stream) if event.name == "message"]
    assert len(unnamed) == len(messages) > 0
    assert b"event: message" not in stream
    assert all(isinstance(one.json, str) or "__type" in one.json for one in messages)


async def test_each_kind_of_event_carries_what_it_should(caller: Caller, finished: Finished) -> None:
    """The tables of the documents, held against the bytes."""
    job_id = finished.inference["id"]
    events = sse(await caller.bytes_of(f"/v1/jobs/{job_id}/events"))

    fields = {event.name: set(event.json) for event in events if event.name != "message"}
    assert fields["status"] == {
        *("id", "job_id", "code", "status", "when", "communications", "error", "error_code", "result")
    }
    assert fields["phase"] == {"job_id", "phase", "previous", "when", "why", "actor", "reason"}
    assert fields["end"] == {"job_id", "phase"}
    assert fields["snapshot"] == {"job", "as_of"}
    assert {event.json["job_id"] for event in events if event.name in ("status", "phase", "end")} == {job_id}


async def test_the_reconnection_time_is_not_the_same_for_all(caller: Caller, finished: Finished) -> None:
    """A thousand viewers sent home at once must not come back at once."""
    path = f"/v1/jobs/{finished.inference['id']}/events"

    streams = [await caller.bytes_of(path) for _ in range(8)]

    times = [int(match[1]) for match in map(_SNAPSHOT.match, streams) if match]
    assert len(times) == 8
    assert len(set(times)) > 1
    assert 500 <= min(times) <= max(times) <= 10_000


@pytest.mark.parametrize(
    ("accept", "kind"), [("text/event-stream", "text/event-stream"), *[(v, v) for v in NDJSON.values()]]
)
async def test_proxies_are_told_neither_to_keep_nor_to_hold_back(
    caller: Caller, finished: Finished, accept: str, kind: str
) -> None:
    """A buffering proxy turns a live stream into a late file."""
    for path in (f"/v1/jobs/{finished.inference['id']}/events", "/v1/events"):
        async with caller.client.stream("GET", path, headers={"Accept": accept}) as answer:
            assert answer.headers["Content-Type"].partition(";")[0] == kind
            assert answer.headers["Cache-Control"] == "no-cache, no-transform"
            assert answer.headers["X-Accel-Buffering"] == "no"
            assert "Content-Encoding" not in answer.headers


async def test_lines_have_the_form_that_was_promised(caller: Caller, finished: Finished) -> None:
    """One JSON object a line, each with id, event and data."""
    stream = await caller.bytes_of(f"/v1/jobs/{finished.inference['id']}/events", headers=NDJSON)

    first, *others = stream.splitlines(keepends=True)
    assert json.loads(first).keys() == {"id", "event", "data"}
    assert json.loads(first)["event"] == "snapshot"
    assert [line for line in others if not _NUMBERED_LINE.fullmatch(line)] == []


async def test_a_ping_is_a_comment_without_a_blank_line(restless_caller: Caller) -> None:
    """With one, some clients would hand out an empty event."""
    job = await restless_caller.waiting(REGRESSION)

    stream = await restless_caller.bytes_until(
        lambda heard: heard.count(b": ping\n") >= 3, f"/v1/jobs/{job['id']}/events"
    )

    assert b": ping\n\n" not in stream
    *events, _ = stream.split(b": ping\n")
    assert [part for part in events if part and not part.endswith(b"\n\n")] == []


async def test_an_event_after_pings_is_whole_to_a_client_of_the_field(restless_caller: Caller) -> None:
    """httpx-sse makes empty events of what is not quite in order; it must see ours, and no others."""
    job = await restless_caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/events"

    names: list[str] = []
    async with restless_caller.client.stream("GET", path) as answer:
        async for event in EventSource(answer).aiter_sse():
            assert event.data, names
            names.append(event.event)
            if names.count("phase") == 2 and names[-1] == "phase":  # created, waiting: pings come now
                await restless_caller.bytes_until(lambda heard: b": ping\n" in heard, path)
                restless_caller.accept(job)

    told = sse(await restless_caller.bytes_of(path))
    assert names == [event.name for event in told]


async def test_a_ping_among_lines_is_an_empty_line(restless_caller: Caller) -> None:
    """A reader of lines skips it."""
    job = await restless_caller.waiting(REGRESSION)

    stream = await restless_caller.bytes_until(
        lambda heard: heard.endswith(b"}\n\n\n"), f"/v1/jobs/{job['id']}/events", headers=NDJSON
    )

    assert stream.endswith(b"}\n\n\n")


async def test_the_first_bytes_leave_at_once(caller: Caller) -> None:
    """A viewer of a quiet job sees where it stands before anything happens."""
    job = await caller.waiting(REGRESSION)

    stream = await caller.bytes_until(lambda heard: b"\n\n" in heard, f"/v1/jobs/{job['id']}/events")

    assert sse(stream)[0].json["job"]["phase"] == "waiting_on_permission"


async def test_a_message_is_what_the_access_point_sent_byte_for_byte(caller: Caller, finished: Finished) -> None:
    """Read at the Access Point itself, with the stream token of the Router's job document."""
    for job in (finished.inference, finished.regression, finished.intersection):
        theirs = [_message(line) for line in caller.network.stream(job["id"]) if b'"kind":"message"' in line]

        for headers in ({}, NDJSON):
            ours = await _messages(caller, f"/v1/jobs/{job['id']}/events", headers)
            assert ours == theirs
            assert len(theirs) > 1


async def _messages(caller: Caller, path: str, headers: dict[str, str]) -> list[bytes]:
    if headers:
        prefix = b'"event":"message","data":'
        lines = (await caller.bytes_of(path, headers=headers)).split(b"\n")
        return [line.partition(prefix)[2].removesuffix(b"}") for line in lines if prefix in line]
    events = numbered(sse(await caller.bytes_of(path)))
    return [event.data.encode() for event in events if event.name == "message"]


def _message(line: bytes) -> bytes:
    """The message as it stands in the Access Point's line, where it is the last field."""
    kept = line.partition(b'"message":')[2].removesuffix(b"}")
    assert json.loads(kept) == json.loads(line)["message"]
    return kept


async def test_an_unknown_jobs_stream_is_a_problem(caller: Caller) -> None:
    """And no empty stream that never speaks."""
    answer: httpx.Response = await caller.client.get("/v1/jobs/00000000-0000-0000-0000-000000000001/events")

    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")
