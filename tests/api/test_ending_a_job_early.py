"""Cancel, kill and deny: what is allowed when, and that what was said to be stopped is stopped."""

from uuid import uuid4

import pytest

from tests.support.gateway import Caller, Finished
from tests.support.network import REGRESSION


async def test_a_waiting_job_can_be_cancelled_and_again(caller: Caller) -> None:
    """Asked twice, the answer is the same: whoever lost the first answer may ask again."""
    job = await caller.waiting(REGRESSION)

    first = await caller.client.post(f"/v1/jobs/{job['id']}/cancel", json={"reason": "a typo"})
    second = await caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    assert first.status_code == second.status_code == 200
    assert first.json()["cancelled"] is True
    assert first.json() == second.json()
    assert first.json()["job"]["phase"] == "cancelled"
    assert first.json()["job"]["status"] is None
    assert "a typo" in first.json()["job"]["message"]


async def test_a_cancelled_job_ends_on_the_stream_and_stays_cancelled(caller: Caller) -> None:
    """A grant that comes after the cancel starts nothing."""
    job = await caller.waiting(REGRESSION)
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    events = await caller.until_end(job["id"])
    refused = caller.network.client("mercy").post(_decision(job, "mercy", "accept"))

    assert events[-1].json["phase"] == "cancelled"
    assert refused.status_code == 409
    assert (await caller.get(f"/v1/jobs/{job['id']}"))["phase"] == "cancelled"


async def test_a_job_that_was_never_submitted_can_be_cancelled(caller: Caller) -> None:
    """It has no stream to wait for."""
    job = await caller.create(REGRESSION)

    answer = await caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    assert answer.status_code == 200
    assert answer.json()["job"]["phase"] == "cancelled"


async def test_a_running_job_is_not_cancelled_but_pointed_to_kill(caller: Caller, long_job: str) -> None:
    """The reference: only a pending job can be cancelled."""
    answer = await caller.client.post(f"/v1/jobs/{long_job}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "job-not-pending")
    assert "kill" in answer.json()["detail"]
    assert (await caller.get(f"/v1/jobs/{long_job}"))["phase"] == "in_progress"


async def test_a_running_job_is_killed_once_every_access_point_has_confirmed(caller: Caller, long_job: str) -> None:
    """200 means gone: no process of the job is left, and no later word brings it back."""
    answer = await caller.client.post(f"/v1/jobs/{long_job}/kill", json={"reason": "enough"})

    assert (answer.status_code, answer.json()["killed"]) == (200, True)
    assert answer.json()["job"]["phase"] == "killed"
    events = await caller.until_end(long_job)
    assert [event.name for event in events[-2:]] == ["phase", "end"]
    assert events[-2].json["why"] == {"kind": "decision", "reason": "owner@globex: enough"}
    again = await caller.client.post(f"/v1/jobs/{long_job}/kill")
    assert (again.status_code, again.json()["killed"]) == (200, True)
    assert (await caller.get(f"/v1/jobs/{long_job}"))["phase"] == "killed"


async def test_a_waiting_job_can_be_killed(caller: Caller) -> None:
    """Kill is for every job that has not ended."""
    job = await caller.waiting(REGRESSION)

    answer = await caller.client.post(f"/v1/jobs/{job['id']}/kill")

    assert (answer.status_code, answer.json()["killed"]) == (200, True)
    assert (await caller.until_end(job["id"]))[-1].json["phase"] == "killed"


@pytest.mark.parametrize("verb", ["cancel", "kill"])
async def test_a_finished_job_is_neither_cancelled_nor_killed(caller: Caller, finished: Finished, verb: str) -> None:
    """What is complete stays complete."""
    answer = await caller.client.post(f"/v1/jobs/{finished.regression['id']}/{verb}")

    assert (answer.status_code, answer.json()["code"]) == (409, "job-finished")
    assert (await caller.get(f"/v1/jobs/{finished.regression['id']}"))["phase"] == "complete"


@pytest.mark.parametrize("verb", ["submit", "cancel", "kill"])
async def test_a_job_that_does_not_exist_is_not_found(caller: Caller, verb: str) -> None:
    """Nothing was done to anything."""
    answer = await caller.client.post(f"/v1/jobs/{uuid4()}/{verb}")

    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")


async def test_a_job_is_submitted_once(caller: Caller) -> None:
    """The second submit is told so."""
    job = await caller.waiting(REGRESSION)

    answer = await caller.client.post(f"/v1/jobs/{job['id']}/submit")

    assert (answer.status_code, answer.json()["code"]) == (409, "job-already-submitted")


async def test_a_denial_ends_the_job_and_the_reason_is_told_everywhere(caller: Caller) -> None:
    """The asker learns why from whichever place it looks at."""
    job = await caller.waiting(REGRESSION)

    caller.network.client("lakeside").post(_decision(job, "lakeside", "deny"), json={"reason": "not this study"})

    events = await caller.until_end(job["id"])
    seen = await caller.get(f"/v1/jobs/{job['id']}")
    history = (await caller.get(f"/v1/jobs/{job['id']}/history"))["items"]
    assert events[-1].json["phase"] == seen["phase"] == "denied"
    assert seen["status"] is None
    whys = [events[-2].json["why"], seen["why"], history[-2]["data"]["why"]]
    assert whys == [{"kind": "decision", "reason": "owner@lakeside denied lakeside/breast-cancer: not this study"}] * 3


def _decision(job: dict[str, list[dict[str, str]]], team: str, verb: str) -> str:
    asset_id = next(one["asset_id"] for one in job["waiting_on"] if one["team"] == team)
    return f"/v1/access-requests/{asset_id}/{job['id']}/{verb}"
