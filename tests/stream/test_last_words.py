"""`end` is the last word, whoever is faster: the Router with its news, or the Access Point with its last messages."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.events import Event
from tests.support.gateway import Gateway, Listener
from tests.support.scripted import TOKEN, ScriptedNetwork

_FINISHED: dict[str, Any] = {
    "finished": "2026-03-01T09:31:00.000000Z",
    "result": {"asset_id": None},
}


@asynccontextmanager
async def _gateway_of(network: ScriptedNetwork, data_dir: Path, **settings: str) -> AsyncIterator[Listener]:
    gateway = Gateway(data_dir, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN, **settings)
    try:
        await asyncio.to_thread(gateway.start)
        async with gateway.client() as client:
            yield Listener(gateway, client)
    finally:
        await asyncio.to_thread(gateway.end)


@pytest.fixture
async def network(network: ScriptedNetwork) -> ScriptedNetwork:
    """Has a job that calculates and has said one thing."""
    await network.router_says("running")
    await network.stream_says(b'"starting"')
    await network.stream_tells_status(3, "in progress")
    return network


@pytest.mark.parametrize(
    "final",
    ["complete", "killed", *(pytest.param(one, marks=pytest.mark.full) for one in ("error", "cancelled", "denied"))],
)
async def test_the_routers_news_waits_for_the_access_points_last_messages(
    network: ScriptedNetwork, tmp_path: Path, final: str
) -> None:
    """The Router says it is over while messages are still under way: they are told before the end."""
    async with _gateway_of(network, tmp_path) as listener:
        await network.router_says(final, **_FINISHED)
        await _router_was_heard(network, listener)
        seen = await listener.get(f"/v1/jobs/{network.job_id}")
        await network.stream_says(b'{"__type":"Late","n":1}', b'{"__type":"Late","n":2}')
        await network.stream_ends(final)
        events = await listener.until_end(network.job_id)

    assert seen["phase"] == "in_progress"
    assert [event.json["n"] for event in events if _is_late(event)] == [1, 2]
    assert [event.name for event in events[-2:]] == ["phase", "end"]
    assert events[-1].json["phase"] == final


async def test_the_access_points_end_waits_for_the_routers_word(network: ScriptedNetwork, tmp_path: Path) -> None:
    """The other order: the stream has ended, and the job is over only once the Router says so too."""
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_says(b'{"__type":"Late","n":1}')
        await network.stream_ends("complete")
        await asyncio.wait_for(network.stream_left.wait(), 20)
        seen = await listener.get(f"/v1/jobs/{network.job_id}")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)

    assert seen["phase"] == "in_progress"
    assert [event.name for event in events[-3:]] == ["message", "phase", "end"]
    assert events[-1].json["phase"] == "complete"


async def test_the_result_is_there_when_the_end_is_told(network: ScriptedNetwork, tmp_path: Path) -> None:
    """Nobody is sent to fetch what is not there yet; its text comes from the Access Point."""
    told = {"raw_status": "done", "asset_id": None}
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_tells_status(4, "complete", result=told)
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        await listener.until_end(network.job_id)
        result = await listener.get(f"/v1/jobs/{network.job_id}/result")

    assert result == told


@pytest.mark.parametrize("away", [False, True], ids=["silent", "gone"])
async def test_an_end_marker_that_never_comes_is_not_waited_for_for_ever(
    network: ScriptedNetwork, tmp_path: Path, *, away: bool
) -> None:
    """The Access Point is silent, or not there at all: the job ends on the Router's word after the deadline."""
    async with _gateway_of(network, tmp_path, GATEWAY_END_MARKER_S="0.5") as listener:
        await listener.until_phase(network.job_id, "in_progress")
        if away:
            await network.hang_up()
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)
        log = listener.gateway.log

    assert events[-1].json["phase"] == "complete"
    assert "end marker did not come" in log


async def test_a_kill_that_came_too_late_is_a_complete_job(network: ScriptedNetwork, tmp_path: Path) -> None:
    """`stopping` is left towards whatever really happened."""
    async with _gateway_of(network, tmp_path) as listener:
        await network.router_says("stopping")
        await listener.until_phase(network.job_id, "stopping")
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)

    phases = [event.json["phase"] for event in events if event.name == "phase"]
    assert phases[-2:] == ["stopping", "complete"]


@pytest.mark.parametrize("again", [False, True], ids=["resumes", "repeats"])
async def test_a_cut_upstream_is_resumed_without_gap_or_repeat(
    network: ScriptedNetwork, tmp_path: Path, *, again: bool
) -> None:
    """Whether the Access Point goes on after the last line, or says everything again."""
    network.repeats_from_the_start = again
    async with _gateway_of(network, tmp_path) as listener:
        for number in range(5):
            await network.stream_says(b'{"__type":"Late","n":%d}' % number)
            await _message(listener, network, number)
            await network.cut_stream()
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)

    assert [event.json["n"] for event in events if _is_late(event)] == [0, 1, 2, 3, 4]
    assert network.streams_opened >= 5


async def test_an_access_point_out_of_reach_is_told_and_so_is_its_return(
    network: ScriptedNetwork, tmp_path: Path
) -> None:
    """Silence would look like a job that has nothing to say."""
    async with _gateway_of(network, tmp_path, GATEWAY_REDIAL_TRIES="2") as listener:
        await listener.until_phase(network.job_id, "in_progress")
        async with listener.listening(f"/v1/jobs/{network.job_id}/events") as events:
            await network.hang_up()
            lost = await anext(event async for event in events if event.name == "upstream")
            unheard = await listener.get(f"/v1/jobs/{network.job_id}")
            network.come_back()
            back = await anext(event async for event in events if event.name == "upstream")
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        await listener.until_end(network.job_id)

    assert [lost.json["state"], back.json["state"]] == ["lost", "back"]
    assert unheard["why"] == {"kind": "unknown", "since": lost.json["since"]}
    assert unheard["message"].startswith("In progress, as far as is known: it cannot be heard since ")
    assert lost.json["since"] <= back.json["since"]


async def test_messages_of_every_kind_pass_unchanged(network: ScriptedNetwork, tmp_path: Path) -> None:
    """Spaces, escapes, numbers and types that we do not know are the Access Point's own business."""
    messages = [
        b'{ "__type" : "Odd",  "x": 1.0e5, "y":1E400, "z": -0.0 }',
        '{"é":"\\u00e9 \u2028 \u0085 \U0001f4a9","n":123456789012345678901234567890}'.encode(),
        b"17",
        b"null",
        b"[1, 2,\t3]",
        b'"\\r\\n"',
        b'{"__type":17}',
        b'{"a":1,"a":2}',
    ]
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_says(*messages)
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)
        history = (await listener.get(f"/v1/jobs/{network.job_id}/history"))["items"]

    told = [event.data.encode() for event in events if event.name == "message"]
    assert len([row for row in history if row["event"] == "message"]) == len(told)
    assert told == [b'"starting"', *messages]


async def test_a_message_no_reader_can_hold_poisons_nothing(network: ScriptedNetwork, tmp_path: Path) -> None:
    """What is JSON passes, what is no text is told as such; the job, the lists and the history are answered all the same."""
    passing = [
        b'{"__type":"PoisonMetrics","loss":1E400}',
        b'{"__type":"DeepMetrics","a":' + b"[" * 400 + b"]" * 400 + b"}",
    ]
    no_text = [b'{"__type":"PoisonMetrics","loss":"\\ud800"}', b'{"__type":"\\ud800"}', b'"\\udc00"']
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_says(*passing, *no_text)
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)
        paths = [f"/v1/jobs/{network.job_id}", f"/v1/jobs/{network.job_id}/history", "/v1/jobs", "/v1/jobs/find"]
        answers = [await listener.client.get(path) for path in paths]

    told = [event.data.encode() for event in events if event.name == "message"]
    assert told[:3] == [b'"starting"', *passing]
    assert all(b"UnreadableMessage" in one for one in told[3:])
    assert len(told) == 6
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]


async def test_a_line_nobody_can_read_does_not_end_the_stream(network: ScriptedNetwork, tmp_path: Path) -> None:
    """It is told in its place, and what comes after it is told too."""
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_spits(b"<html>not at all</html>")
        await network.stream_spits(b'"' + b"x" * 3_000_000 + b'"')
        await network.stream_says(b'{"__type":"Late","n":1}', b'{"__type":"Late",\r"n":2}')
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)

    messages = [event.json for event in events if event.name == "message"]
    types = [one["__type"] for one in messages if isinstance(one, dict)]
    assert types == ["UnreadableMessage", "UnreadableMessage", "Late", "Late"]
    assert all("\r" not in event.data for event in events)


async def test_a_code_without_a_public_meaning_is_kept_as_it_is(network: ScriptedNetwork, tmp_path: Path) -> None:
    """The set of codes is not ours to close."""
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_tells_status(7, "something new")
        await network.stream_ends("complete")
        await network.router_says("complete", **_FINISHED)
        events = await listener.until_end(network.job_id)
        statuses = (await listener.get(f"/v1/jobs/{network.job_id}/statuses"))["items"]

    assert [event.json["code"] for event in events if event.name == "status"] == [3, 7]
    assert [(one["code"], one["status"]) for one in statuses] == [(3, "in progress"), (7, "something new")]


async def test_word_that_runs_against_the_course_is_kept_and_not_told(network: ScriptedNetwork, tmp_path: Path) -> None:
    """A late `running` over a final state would bring the dead to life on every screen."""
    async with _gateway_of(network, tmp_path) as listener:
        await network.stream_ends("killed")
        await network.router_says("killed", **_FINISHED)
        await listener.until_end(network.job_id)
        await network.router_says("running")
        await _router_was_heard(network, listener)
        seen = await listener.get(f"/v1/jobs/{network.job_id}")
        events = await listener.until_end(network.job_id)
        history = (await listener.get(f"/v1/jobs/{network.job_id}/history"))["items"]

    assert seen["phase"] == "killed"
    assert events[-1].name == "end"
    # An answer may have overtaken the Router's first word, which is late then, too.
    against = [row["data"] for row in history if row["late"] and row["data"]["previous"] == "killed"]
    assert [row["phase"] for row in against] == ["in_progress"]


async def _router_was_heard(network: ScriptedNetwork, listener: Listener) -> None:
    """Return once the gateway has applied all that the Router has said: its changes are heard in order."""
    other = str(uuid4())
    async with listener.listening("/v1/events") as events:
        await network.router_says("cancelled", job_id=other, submitted=None, started=None)
        async for event in events:
            if event.json.get("job_id") == other:
                return


async def _message(listener: Listener, network: ScriptedNetwork, number: int) -> Event:
    async with listener.listening(f"/v1/jobs/{network.job_id}/events") as events:
        return await anext(event async for event in events if _is_late(event) and event.json["n"] == number)


def _is_late(event: Event) -> bool:
    return event.name == "message" and isinstance(event.json, dict) and event.json.get("__type") == "Late"
