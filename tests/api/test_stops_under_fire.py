"""Cancel and kill when everything happens at once, and when little works; and what is told of it afterwards."""

import asyncio
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.gateway import Caller, Gateway, Json
from tests.support.keys import guarded_gateway
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.relay import Way, relay

_MOMENTS_S = [0.0, 0.02, 0.1]
_UNKNOWN_OF_MERCY = {"globex": "done", "lakeside": "done", "mercy": "unknown"}


async def test_of_two_kills_at_once_both_are_answered_and_one_has_an_effect(caller: Caller, long_job: str) -> None:
    """Two people press the same button."""
    path = f"/v1/jobs/{long_job}/kill"

    answers = await asyncio.gather(*(caller.client.post(path, json={"reason": why}) for why in ("one", "two")))
    await caller.until_end(long_job)

    assert {answer.status_code for answer in answers} <= {200, 202}
    changes = caller.network.job(long_job)
    history = (await caller.get(f"/v1/jobs/{long_job}/history"))["items"]
    stopped = [row["data"] for row in history if row["event"] == "phase" and not row["late"]]
    assert [one["phase"] for one in stopped].count("killed") == 1
    assert changes["reason"] in ("owner@globex: one", "owner@globex: two")
    actions = (await caller.get(f"/v1/jobs/{long_job}/actions"))["items"]
    assert [one["outcome"] for one in actions if one["verb"] == "kill"] == ["done", "done"]


@pytest.mark.parametrize("after_s", _MOMENTS_S)
async def test_a_kill_against_completion_ends_as_it_was_answered(caller: Caller, after_s: float) -> None:
    """Whoever is told `killed` finds it killed; whoever is told that it had ended finds its result."""
    job_id = await caller.running(REGRESSION)
    await asyncio.sleep(after_s)  # somewhere in its short life

    answer = await caller.client.post(f"/v1/jobs/{job_id}/kill")
    final = (await caller.until_end(job_id))[-1].json["phase"]
    job = await caller.get(f"/v1/jobs/{job_id}")

    if answer.status_code == 200:
        assert (answer.json()["killed"], final, job["result"]) == (True, "killed", None)
    elif answer.status_code == 202:
        assert final in ("killed", "complete")
    else:
        assert (answer.json()["code"], final) == ("job-finished", "complete")
        assert (await caller.client.get(f"/v1/jobs/{job_id}/result")).status_code == 200


@pytest.mark.parametrize("after_s", _MOMENTS_S)
async def test_a_cancel_against_the_start_either_cancels_or_changes_nothing(caller: Caller, after_s: float) -> None:
    """The owners say yes while somebody says no."""
    job = await caller.waiting(REGRESSION)
    path = f"/v1/jobs/{job['id']}/cancel"

    async def cancel() -> int:
        await asyncio.sleep(after_s)
        return (await caller.client.post(path)).status_code

    accepting = asyncio.to_thread(_accept_if_asked, caller, job)
    status, _ = await asyncio.gather(cancel(), accepting)
    events = await caller.until_end(job["id"])

    phases = [event.json["phase"] for event in events if event.name == "phase"]
    if status == 200:
        assert (phases[-1], "in_progress" in phases) == ("cancelled", False)
    else:
        assert (status, phases[-1]) == (409, "complete")


async def test_each_access_points_answer_to_a_kill_is_told(caller: Caller, long_job: str) -> None:
    """One of them is away: the others have stopped, and of that one nothing is known."""
    with caller.network.paused("mercy"):
        answer = await caller.client.post(f"/v1/jobs/{long_job}/kill", json={"reason": "enough"})
        waiting = await caller.eventually(f"/v1/jobs/{long_job}", lambda job: _answers(job["why"]) == _UNKNOWN_OF_MERCY)
        meanwhile = await _kills(caller, long_job)
    await caller.until_end(long_job)
    afterwards = await _kills(caller, long_job)

    assert (answer.status_code, answer.json()["killed"]) == (202, False)
    assert waiting["phase"] == "stopping"
    assert waiting["message"] == "Stopping at the Access Points of mercy"
    assert [_answers(kill) for kill in meanwhile] == [_UNKNOWN_OF_MERCY]
    assert [_answers(kill) for kill in afterwards] == [{**_UNKNOWN_OF_MERCY, "mercy": "done"}]
    assert (afterwards[0]["user"], afterwards[0]["reason"]) == ("local", "enough")


async def test_a_cancel_that_comes_too_late_tells_who_calculates(caller: Caller, long_job: str) -> None:
    """Refused by each Access Point that takes part."""
    answer = await caller.client.post(f"/v1/jobs/{long_job}/cancel")
    actions = (await caller.get(f"/v1/jobs/{long_job}/actions"))["items"]

    refused = dict.fromkeys(("globex", "lakeside", "mercy"), "refused")
    assert (answer.status_code, _answers(answer.json())) == (409, refused)
    assert [_answers(one) for one in actions if one["verb"] == "cancel"] == [refused]


async def test_the_history_says_who_brought_the_job_to_each_phase(caller: Caller) -> None:
    """From the create to the kill, and whose word it was."""
    job = await caller.waiting(REGRESSION)
    caller.accept(job)
    await caller.until_phase(job["id"], "in_progress")
    caller.network.act(job["id"], "kill")  # past this gateway
    await caller.until_end(job["id"])

    history = (await caller.get(f"/v1/jobs/{job['id']}/history"))["items"]
    phases = [row for row in history if row["event"] == "phase"]
    told = {
        row["data"]["phase"]: row["data"]["actor"] for row in phases if row["data"]["phase"] != row["data"]["previous"]
    }
    here = {"user": "local", "router_user": "owner@globex", "team": "globex"}
    assert (told["created"], told["waiting_on_permission"]) == (here, here)
    assert told["waiting_on_queue"]["team"] in ("mercy", "lakeside")
    assert told["waiting_on_queue"]["user"] is None
    assert (told["starting"], told["in_progress"]) == (None, None)
    elsewhere = {"user": None, "router_user": "owner@globex", "team": "globex"}
    assert told["killed"] == elsewhere
    assert all(row["data"]["when"] and row["received"] for row in phases)


async def test_a_kill_that_never_arrived_is_not_taken_for_the_one_that_did(
    running_network: RunningNetwork, tmp_path: Path
) -> None:
    """All act as one user at the Router; who pressed first is not who did it."""
    async with relay(running_network.router_url) as line:
        settings = {"GATEWAY_ROUTER_URL": line.url, "GATEWAY_CALL_TIMEOUT_S": "1"}
        with guarded_gateway(tmp_path, running_network, **settings) as guarded:
            async with guarded.client("sam") as sam, guarded.client("root") as root:
                caller = Caller(guarded.gateway, running_network, sam)
                job = await caller.waiting(REGRESSION)
                path = f"/v1/jobs/{job['id']}/kill"
                line.hold(Way.THERE)
                lost = await sam.post(path, json={"reason": "not mine"}, headers={"Idempotency-Key": "sams"})
                await line.drop()
                line.let_go()
                done = await root.post(path, json={"reason": "enough"})
                await caller.until_end(job["id"])
                repeated = await sam.post(path, json={"reason": "not mine"}, headers={"Idempotency-Key": "sams"})
                history = (await caller.get(f"/v1/jobs/{job['id']}/history"))["items"]
                kills = await _kills(caller, job["id"])

    assert (lost.status_code, lost.json()["code"]) == (504, "router-outcome-unknown")
    assert (done.status_code, repeated.status_code) == (200, 200)
    killed = next(row["data"] for row in history if row["event"] == "phase" and row["data"]["phase"] == "killed")
    assert killed["actor"] == {"user": "root", "router_user": "owner@globex", "team": "globex"}
    assert killed["reason"] == "owner@globex: enough"
    told = [(kill["user"], kill["outcome"]) for kill in kills]
    assert told == [("sam", "router-outcome-unknown"), ("root", "done"), ("sam", "done")]


async def test_with_the_disk_full_a_kill_is_passed_on_and_all_is_caught_up_afterwards(
    own_gateway: Gateway, running_network: RunningNetwork
) -> None:
    """What must stop must stop; what is only remembered is fetched when there is room again."""
    async with own_gateway.client() as client:
        caller = Caller(own_gateway, running_network, client)
        job_id = await caller.running({**REGRESSION, "params": {"regression_type": "LOGISTIC"}})
        with _disk_full(own_gateway):
            refused = await client.post("/v1/jobs", json={"job_name": "no room", **REGRESSION})
            killed = await client.post(f"/v1/jobs/{job_id}/kill", headers={"Idempotency-Key": "no-room"})
            read = await client.get(f"/v1/jobs/{job_id}")
        final = (await caller.until_end(job_id))[-1].json["phase"]

    assert (refused.status_code, refused.json()["code"]) == (503, "history-unavailable")
    assert killed.status_code in (200, 202) or killed.json()["code"] == "job-finished"
    assert read.status_code == 200
    assert final == running_network.job(job_id)["market_status"]


@contextmanager
def _disk_full(gateway: Gateway) -> Iterator[None]:
    """No file of the process grows any more, not even its log: every write fails, as on a disk that is full."""
    was = resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, (1, was[1]))
    try:
        yield
    finally:
        resource.prlimit(gateway.pid, resource.RLIMIT_FSIZE, was)


def _accept_if_asked(caller: Caller, job: Json) -> None:
    """Each owner says yes, unless nobody asks any more."""
    for team in ("mercy", "lakeside"):
        client = caller.network.client(team)
        asked = client.get("/v1/access-requests", params={"state": "pending", "job_id": job["id"]}).json()["items"]
        for request in asked:
            client.post(f"/v1/access-requests/{request['asset_id']}/{job['id']}/accept")


def _answers(told: Json) -> dict[str, str]:
    return {one["team"]: one["answer"] for one in told.get("answers", [])}


async def _kills(caller: Caller, job_id: str) -> list[Json]:
    actions = (await caller.get(f"/v1/jobs/{job_id}/actions"))["items"]
    return [one for one in json.loads(json.dumps(actions)) if one["verb"] == "kill"]
