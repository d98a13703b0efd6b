"""While the Router is away reads go on and say so; what changes something is refused; its return needs no restart."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.gateway import Caller, Gateway
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork


@contextmanager
def _without_router(network: RunningNetwork) -> Iterator[None]:
    network.stop_router()
    try:
        yield
    finally:
        network.start_router()


def _is_stale(answer: dict[str, Any]) -> bool:
    return bool(answer["stale"])


def _is_fresh(answer: dict[str, Any]) -> bool:
    return not answer["stale"]


async def test_reads_go_on_and_say_that_they_may_be_old(caller: Caller) -> None:
    """A Router that is updated at night must not blank every screen."""
    job = await caller.waiting(REGRESSION)

    with _without_router(caller.network):
        listed = await caller.eventually("/v1/jobs", _is_stale)
        seen = await caller.get(f"/v1/jobs/{job['id']}")
        statuses = await caller.client.get(f"/v1/jobs/{job['id']}/statuses")
        history = await caller.client.get(f"/v1/jobs/{job['id']}/history")
        stream = await caller.bytes_until(lambda heard: heard.count(b"\n\n") >= 3, f"/v1/jobs/{job['id']}/events")
        ready = await caller.client.get("/readyz")
        live = await caller.client.get("/livez")
    back = await caller.eventually(f"/v1/jobs/{job['id']}", _is_fresh)

    assert job["id"] in {one["id"] for one in listed["items"]}
    assert (seen["stale"], seen["phase"]) == (True, "waiting_on_permission")
    assert listed["observed_at"] <= back["observed_at"]
    assert {statuses.status_code, history.status_code} == {200}
    assert b"waiting_on_permission" in stream
    assert {ready.status_code, live.status_code} == {200}


async def test_what_changes_something_is_refused_and_may_be_tried_again(caller: Caller) -> None:
    """503 says that it was surely not done; Retry-After says when to try."""
    job = await caller.create(REGRESSION)
    body = {"job_name": "while away", **REGRESSION}

    with _without_router(caller.network):
        answers = [
            await caller.client.post("/v1/jobs", json=body),
            await caller.client.post(f"/v1/jobs/{job['id']}/submit"),
            await caller.client.post(f"/v1/jobs/{job['id']}/cancel"),
            await caller.client.post(f"/v1/jobs/{job['id']}/kill"),
            await caller.client.get("/v1/assets"),
        ]

    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "router-unreachable")] * 5
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert all(answer.headers["Content-Type"] == "application/problem+json" for answer in answers)
    await caller.eventually("/v1/jobs", _is_fresh)
    assert (await caller.get("/v1/jobs", name="while away"))["items"] == []
    assert (await caller.submit(job["id"]))["phase"] == "waiting_on_permission"


async def test_a_job_that_ended_while_the_router_was_away_is_caught_up(caller: Caller) -> None:
    """The Access Points compute on; the stream is read on; the Router's word follows when it is back."""
    job_id = await caller.running(REGRESSION)

    with _without_router(caller.network):
        await caller.eventually("/v1/jobs", _is_stale)
    events = await caller.until_end(job_id)

    assert events[-1].json["phase"] == "complete"
    assert (await caller.eventually(f"/v1/jobs/{job_id}", _is_fresh))["status"] == 4


async def test_what_happened_before_contact_was_made_again_is_told(caller: Caller) -> None:
    """A job made straight at the Router, right after its return, while the gateway is still dialling."""
    async with caller.listening("/v1/events") as events:
        with _without_router(caller.network):
            await caller.eventually("/v1/jobs", _is_stale)
        job = caller.network.submit(INTERSECTION)
        caller.accept(job)
        ended = await anext(
            event async for event in events if event.name == "end" and event.json["job_id"] == job["id"]
        )

    assert ended.json["phase"] == "complete"
    assert (await caller.get(f"/v1/jobs/{job['id']}"))["stale"] is False


async def test_a_router_that_died_is_as_good_as_one_that_left(caller: Caller) -> None:
    """Without a goodbye the connections break; nothing else differs."""
    job = await caller.waiting(INTERSECTION)

    caller.network.kill_router()
    try:
        await caller.eventually("/v1/jobs", _is_stale)
        refused = await caller.client.post(f"/v1/jobs/{job['id']}/cancel")
    finally:
        caller.network.start_router()
    caller.accept(job)
    events = await caller.until_end(job["id"])

    assert (refused.status_code, refused.json()["code"]) == (503, "router-unreachable")
    assert events[-1].json["phase"] == "complete"


async def test_the_access_point_away_is_no_end_of_a_job(caller: Caller) -> None:
    """Killed and started again, it has its stream still; what it said is told once."""
    network = caller.network
    job = await caller.waiting(REGRESSION)

    network.kill_access_point("globex")
    try:
        seen = await caller.get(f"/v1/jobs/{job['id']}")
    finally:
        network.start_access_point("globex")
    caller.accept(job)
    events = await caller.until_end(job["id"])

    assert seen["phase"] == "waiting_on_permission"
    assert events[-1].json["phase"] == "complete"
    lines = [line for line in network.stream(job["id"]) if b'"kind":"message"' in line]
    assert len([event for event in events if event.name == "message"]) == len(lines)


async def test_ready_means_that_the_router_was_in_touch_once(tmp_path: Path, running_network: RunningNetwork) -> None:
    """Before, there is nothing to show; alive it is from the start."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        settings = {"GATEWAY_ROUTER_URL": f"http://127.0.0.1:{nobody.getsockname()[1]}"}
    gateway = Gateway(tmp_path, **settings, GATEWAY_ROUTER_TOKEN=running_network.tokens["globex"])
    try:
        gateway.start()
        async with gateway.client() as client:
            ready = await client.get("/readyz")
            live = await client.get("/livez")
            listed = await client.get("/v1/jobs")
    finally:
        gateway.end()

    assert (ready.status_code, ready.json()["code"]) == (503, "router-unreachable")
    assert "Retry-After" in ready.headers
    assert live.status_code == 200
    assert (listed.status_code, listed.json()["stale"], listed.json()["observed_at"]) == (200, True, None)


async def test_ready_once_the_router_was_in_touch(caller: Caller) -> None:
    """A prober looks at the number, a person at the word."""
    await caller.eventually("/v1/jobs", _is_fresh)

    answer = await caller.client.get("/readyz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


async def test_a_token_the_router_does_not_accept_is_told_so(tmp_path: Path, running_network: RunningNetwork) -> None:
    """It is the operator's mistake, not the caller's: 502 and not 401."""
    gateway = Gateway(tmp_path, GATEWAY_ROUTER_URL=running_network.router_url, GATEWAY_ROUTER_TOKEN="wrong")  # noqa: S106
    try:
        gateway.start()
        async with gateway.client() as client:
            created = await client.post("/v1/jobs", json={"job_name": "x", **REGRESSION})
            ready = await client.get("/readyz")
    finally:
        gateway.end()

    assert (created.status_code, created.json()["code"]) == (502, "router-rejects-gateway")
    assert "GATEWAY_ROUTER_TOKEN" in created.json()["detail"]
    assert ready.status_code == 503


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
async def test_the_first_things_a_person_opens_are_there(caller: Caller, path: str) -> None:
    """A link that leads nowhere is a bad first impression."""
    assert (await caller.client.get(path)).status_code == 200
