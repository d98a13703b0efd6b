"""`?refresh=true`: a look at the Router by whoever does not want to wait for its news."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest

from tests.support.gateway import Caller, Finished, Json, Listener, served
from tests.support.network import INTERSECTION, REGRESSION
from tests.support.scripted import TOKEN, ScriptedNetwork

# The Router alone tells of it: nobody else asks there for the address of its stream.
MERCYS: dict[str, Any] = {"owner": {"user": "owner@mercy", "team": "mercy"}}
_AT_ONCE = 20


@pytest.fixture
async def watcher(network: ScriptedNetwork, tmp_path: Path) -> AsyncIterator[Listener]:
    """Of a gateway that has heard of a job in the queue, and hears nothing more by itself."""
    await network.router_says("queue", **MERCYS)
    with served(tmp_path, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN) as gateway:
        async with gateway.client() as client:
            listener = Listener(gateway, client)
            # At its start it compares what it knows with the Router, once.
            await listener.eventually("/v1/jobs", lambda page: not page["stale"] and bool(network.asked_for))
            network.asked_for.clear()
            network.tells_changes = False
            yield listener


def told(job: Json) -> tuple[str, bool | None, bool]:
    return job["phase"], job["changed"], job["stale"]


async def test_what_the_router_has_not_told_yet_is_fetched_and_known_from_then_on(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """A plain read waits for the Router's news; this one does not, and brings them to everybody."""
    path = f"/v1/jobs/{network.job_id}"
    async with watcher.listening("/v1/events") as feed:
        await network.router_says("running", **MERCYS)
        before = await watcher.get(path)
        refreshed = await watcher.get(path, refresh="true")
        heard = await anext(feed)
        after = await watcher.get(path)

    assert told(before) == ("waiting_on_queue", None, False)
    assert told(refreshed) == ("in_progress", True, False)
    assert (heard.json["job_id"], heard.json["phase"]) == (network.job_id, "in_progress")
    assert told(after) == ("in_progress", None, False)


async def test_many_callers_at_once_do_not_ask_the_router_many_times(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """Once a second: however slow this machine is, and however many reload a page."""
    path = f"/v1/jobs/{network.job_id}"
    await network.router_says("running", **MERCYS)

    began_s = monotonic()
    answers = await asyncio.gather(*(watcher.get(path, refresh="true") for _ in range(_AT_ONCE)))
    took_s = monotonic() - began_s

    assert {told(one)[0] for one in answers} == {"in_progress"}
    assert any(one["changed"] for one in answers)
    assert network.asked_for.count(network.job_id) <= 1 + took_s


async def test_a_job_that_the_router_has_forgotten_is_shown_as_it_is_known(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """What was heard is not unheard, but it may be over."""
    network.router_forgets(network.job_id)

    job = await watcher.get(f"/v1/jobs/{network.job_id}", refresh="true")

    assert told(job) == ("waiting_on_queue", False, True)


async def test_while_the_router_is_away_the_history_answers(caller: Caller) -> None:
    """And says so at once, whether or not the gateway has noticed otherwise; of an unknown job nothing is said."""
    job = await caller.waiting(INTERSECTION)
    caller.network.stop_router()
    try:
        seen = await caller.get(f"/v1/jobs/{job['id']}", refresh="true")
        unknown = await caller.client.get(f"/v1/jobs/{uuid4()}", params={"refresh": "true"})
    finally:
        caller.network.start_router()
    back = await caller.eventually(f"/v1/jobs/{job['id']}", lambda seen: not seen["stale"])

    assert told(seen) == ("waiting_on_permission", False, True)
    assert (unknown.status_code, unknown.json()["code"]) == (503, "router-unreachable")
    assert back["observed_at"] >= seen["observed_at"]


async def test_a_job_that_nobody_knows_is_not_found(caller: Caller) -> None:
    """The Router was asked."""
    answer = await caller.client.get(f"/v1/jobs/{uuid4()}", params={"refresh": "true"})

    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")


async def test_a_job_that_is_over_stays_as_it_is(caller: Caller, finished: Finished) -> None:
    """Nothing comes after the end."""
    job = await caller.get(f"/v1/jobs/{finished.regression['id']}", refresh="true")

    assert told(job) == ("complete", False, False)
    assert job["result"] == finished.regression["result"]


async def test_only_who_asks_for_a_look_is_told_whether_something_changed(caller: Caller) -> None:
    """`false` is a plain read, anything else is no answer to the question."""
    job = await caller.create(REGRESSION)
    path = f"/v1/jobs/{job['id']}"

    plain = [await caller.get(path), await caller.get(path, refresh="false")]
    refused = await caller.client.get(path, params={"refresh": "perhaps"})

    assert [one["changed"] for one in plain] == [None, None]
    assert (refused.status_code, refused.json()["field"]) == (422, "refresh")


async def test_another_teams_job_is_looked_for_as_well(caller: Caller) -> None:
    """What one sees, one can look at; a job of theirs without an asset of ours is nobody's here."""
    theirs = {**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}
    asked = caller.network.submit(theirs, team="mercy")
    between_them = {**INTERSECTION, "dataset": ["mercy/patients", "lakeside/breast-cancer"]}
    hidden = caller.network.create(between_them, team="mercy")
    path = f"/v1/jobs/{asked['id']}"

    seen = await caller.get(path, refresh="true")
    not_ours = await caller.client.get(f"/v1/jobs/{hidden}", params={"refresh": "true"})
    caller.network.act(asked["id"], "cancel", team="mercy")
    await caller.eventually(path, lambda job: job["phase"] == "cancelled")

    assert (seen["phase"], seen["owner"]["team"], seen["stale"]) == ("waiting_on_permission", "mercy", False)
    assert (not_ours.status_code, not_ours.json()["code"]) == (404, "job-not-found")
