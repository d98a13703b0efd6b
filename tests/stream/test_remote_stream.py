"""Another team's job: its stream is ours to read if that team shares it, its phases always."""

import json
from typing import Any

from tests.support.gateway import NDJSON, Caller, Listener
from tests.support.network import INTERSECTION
from tests.support.scripted import ScriptedNetwork

THEIRS = {**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}
MERCYS: dict[str, Any] = {"owner": {"user": "owner@mercy", "team": "mercy"}}


async def test_a_shared_job_is_streamed_like_ones_own_but_for_its_result(caller: Caller) -> None:
    """Who lent the data sees what happens with it, and not what came of it."""
    asked = caller.network.submit({**THEIRS, "stream_to": ["globex"]}, team="mercy")
    job_id = asked["id"]
    caller.accept(asked)

    heard = await caller.until_end(job_id)

    job = await caller.get(f"/v1/jobs/{job_id}")
    assert (job["phase"], job["stream_to"], job["owner"]["team"]) == ("complete", ["globex"], "mercy")
    assert (job["result"], job["created_by"]) == (None, None)
    told = [line for raw in caller.network.stream(job_id, team="mercy") if (line := json.loads(raw))["kind"] != "end"]
    assert [event.json for event in heard if event.name == "message"] == _said(told, "message")
    statuses = [event.json for event in heard if event.name == "status"]
    assert [status["code"] for status in statuses] == [status["code"] for status in _said(told, "status")]
    assert {str(status["result"]) for status in statuses} == {"None"}
    result = await caller.client.get(f"/v1/jobs/{job_id}/result")
    assert (result.status_code, result.json()["code"]) == (404, "result-not-found")
    assert result.json()["owner_team"] == "mercy"


async def test_a_shared_stream_is_resumed_like_any_other(caller: Caller) -> None:
    """By the last id, to the same bytes; past the end there is nothing."""
    asked = caller.network.run({**THEIRS, "stream_to": ["globex"]}, team="mercy")
    path = f"/v1/jobs/{asked['id']}/events"
    caller.accept(asked)
    heard = await caller.until_end(asked["id"])

    again = await caller.bytes_of(path, headers={**NDJSON, "Last-Event-ID": str(heard[1].id)})
    nothing = await caller.client.get(path, headers={"Last-Event-ID": str(heard[-1].id)})

    assert again.endswith(b"".join(event.raw for event in heard[2:]))
    assert nothing.status_code == 204


async def test_what_is_not_shared_is_refused_and_phases_are_told_elsewhere(caller: Caller) -> None:
    """The refusal says whose it is; the feed and the history have what the Router tells."""
    as_of = (await caller.get("/v1/jobs"))["as_of"]
    asked = caller.network.submit(THEIRS, team="mercy")
    await caller.get(f"/v1/jobs/{asked['id']}")

    answers = [await caller.client.get(f"/v1/jobs/{asked['id']}/events", headers=form) for form in ({}, NDJSON)]
    caller.network.act(asked["id"], "cancel", team="mercy")

    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (403, "stream-not-shared")
        assert answer.json()["owner_team"] == "mercy"
        assert "/history" in answer.json()["detail"]
    async with caller.listening("/v1/events", after=str(as_of)) as feed:
        async for event in feed:
            if event.name == "end" and event.json["job_id"] == asked["id"]:
                break
    history = (await caller.get(f"/v1/jobs/{asked['id']}/history"))["items"]
    told = [item["data"]["phase"] for item in history if item["event"] == "phase"]
    assert (told[0], told[-1]) == ("created", "cancelled")


async def test_a_shared_stream_is_waited_for_to_its_end_marker(watcher: Listener, network: ScriptedNetwork) -> None:
    """The Router's word comes first here as well; whoever believed it would miss the last message."""
    await network.router_says("running", **MERCYS, stream_to=["globex"])
    await watcher.until_phase(network.job_id, "in_progress")
    await network.router_says("complete", **MERCYS, stream_to=["globex"], finished="2026-03-01T09:31:00.000000Z")
    before = await watcher.eventually(f"/v1/jobs/{network.job_id}", lambda job: job["market_status"] == "complete")
    await network.stream_says(b'"the last word"')
    await network.stream_ends("complete")

    heard = await watcher.until_end(network.job_id)

    assert before["phase"] == "in_progress"
    assert [event.name for event in heard][-3:] == ["message", "phase", "end"]


async def test_a_stream_that_is_not_shared_is_never_dialled(watcher: Listener, network: ScriptedNetwork) -> None:
    """Also where the Router names an address; and such a job is over when the Router says so."""
    facts: dict[str, Any] = {**MERCYS, "stream_to": ["lakeside"]}
    await network.router_says("running", **facts)
    await watcher.eventually("/v1/jobs", lambda page: len(page["items"]) == 1)
    await network.router_says("complete", **facts, finished="2026-03-01T09:31:00.000000Z")

    over = await watcher.eventually(f"/v1/jobs/{network.job_id}", lambda job: job["phase"] == "complete")

    refused = await watcher.client.get(f"/v1/jobs/{network.job_id}/events")
    assert (refused.status_code, over["stream_to"], network.streams_opened) == (403, ["lakeside"], 0)


def _said(lines: list[dict[str, Any]], kind: str) -> list[Any]:
    return [line[kind] for line in lines if line["kind"] == kind]
