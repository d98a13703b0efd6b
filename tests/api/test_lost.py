"""Jobs that the Router does not know any more: lost after a while, and back as soon as they are seen."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.gateway import Json, Listener, served
from tests.support.scripted import TOKEN, ScriptedNetwork

_SOON = {"GATEWAY_RECONCILE_S": "0.1", "GATEWAY_LOST_AFTER_S": "0.3"}


@pytest.fixture
async def watcher(network: ScriptedNetwork, tmp_path: Path) -> AsyncIterator[Listener]:
    """Of a gateway that compares often, and has heard of a job that runs."""
    await network.router_says("running")
    with served(tmp_path, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN, **_SOON) as gateway:
        async with gateway.client() as client:
            listener = Listener(gateway, client)
            await listener.eventually("/v1/jobs", lambda page: not page["stale"] and len(page["items"]) == 1)
            yield listener


def _phases(history: list[Json]) -> list[tuple[str, str, str | None]]:
    told = [row for row in history if row["event"] == "phase" and not row["late"]]
    return [(row["data"]["phase"], row["source"], row["data"]["reason"]) for row in told]


async def test_a_job_that_the_router_has_forgotten_is_lost_and_comes_back_when_it_is_seen(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """A run that is gone upstream must not look slow for ever."""
    path = f"/v1/jobs/{network.job_id}"
    network.router_forgets(network.job_id)
    lost = await watcher.eventually(path, lambda job: job["phase"] == "lost")
    listed = await watcher.get("/v1/jobs", job_status="active")
    await network.router_says("running")
    back = await watcher.eventually(path, lambda job: job["phase"] == "in_progress")
    history = (await watcher.get(f"{path}/history"))["items"]

    assert (lost["status"], lost["why"]["kind"], lost["message"]) == (None, "lost", "Not seen at the Router any more")
    assert [job["id"] for job in listed["items"]] == [network.job_id]
    assert back["why"] is None
    assert _phases(history)[-2:] == [
        ("lost", "gateway", "The Router does not know the job any more."),
        ("in_progress", "router", "The job was seen again."),
    ]


async def test_a_job_that_the_router_does_not_know_of_late_is_shown_as_stale(
    network: ScriptedNetwork, tmp_path: Path
) -> None:
    """Until it is lost or seen again, for what is shown of it may be over."""
    await network.router_says("running")
    settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN, "GATEWAY_RECONCILE_S": "0.1"}
    with served(tmp_path, **settings) as gateway:
        async with gateway.client() as client:
            listener = Listener(gateway, client)
            await listener.eventually("/v1/jobs", lambda page: not page["stale"] and len(page["items"]) == 1)
            network.router_forgets(network.job_id)
            seen = await listener.eventually(f"/v1/jobs/{network.job_id}", lambda job: job["stale"])
            listed = await listener.get("/v1/jobs")
            await network.router_says("running")
            again = await listener.eventually(f"/v1/jobs/{network.job_id}", lambda job: not job["stale"])

    assert (seen["phase"], again["phase"]) == ("in_progress", "in_progress")
    assert (listed["stale"], [job["id"] for job in listed["items"]]) == (False, [network.job_id])


async def test_a_job_that_is_over_stays_over_whatever_the_router_forgets(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """It clears away what is done."""
    await network.stream_ends("killed")
    await network.router_says("killed", finished="2026-03-01T09:31:00.000000Z")
    await watcher.until_end(network.job_id)
    network.router_forgets(network.job_id)

    asked = len(network.asked_for)
    seen = await watcher.get(f"/v1/jobs/{network.job_id}", refresh="true")
    again = await watcher.get(f"/v1/jobs/{network.job_id}")

    assert len(network.asked_for) == asked + 1
    assert (seen["phase"], again["phase"]) == ("killed", "killed")
