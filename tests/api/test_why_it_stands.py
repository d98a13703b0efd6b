"""Why a job does not run, and why it failed: the answers as data, on a network that really queues and fails."""

from tests.support.gateway import Caller
from tests.support.network import LONG_REGRESSION, REGRESSION


async def test_a_job_in_the_queue_says_its_place(caller: Caller) -> None:
    """Each Access Point of the tests' network runs one at a time; the rest wait in order."""
    running = await caller.running(LONG_REGRESSION)
    first, second = [await caller.started(REGRESSION, name=f"in the queue {number}") for number in range(2)]
    await caller.until_phase(second, "waiting_on_queue")

    seen = [await caller.get(f"/v1/jobs/{job_id}", refresh="true") for job_id in (first, second)]
    for job_id in (second, first, running):
        await caller.client.post(f"/v1/jobs/{job_id}/kill")

    for place, job in enumerate(seen, start=1):
        assert (job["phase"], job["market_status"], job["status"]) == ("waiting_on_queue", "queue", 0)
        assert job["why"]["kind"] == "queue"
        assert job["queue"] == job["why"]["places"]
        assert {(one["team"], one["place"], one["of"]) for one in job["queue"]} >= {("mercy", place, 2)}
        assert all(one["away_since"] is None and one["since"] >= job["submitted"] for one in job["queue"])
        assert f"place {place} of 2 at mercy" in job["message"]


async def test_an_access_point_that_is_away_is_named(caller: Caller) -> None:
    """That it hangs is no answer; which party is away, and since when, is one."""
    caller.network.stop_access_point("lakeside")
    try:
        job_id = await caller.started(REGRESSION)
        await caller.until_phase(job_id, "waiting_on_queue")
        job = await caller.eventually(f"/v1/jobs/{job_id}", lambda job: _away(job) != {})
    finally:
        caller.network.start_access_point("lakeside")

    assert _away(job).keys() == {"lakeside"}
    assert "the Access Point of lakeside is away since" in job["message"]
    events = await caller.until_end(job_id)
    assert events[-1].json["phase"] == "complete"


async def test_a_job_that_failed_says_why_and_by_which_code(caller: Caller) -> None:
    """The reference: `error`, `error_code`, and no result."""
    job = await caller.finished({**REGRESSION, "params": {"regression_type": "LOGISTIC", "target": "mean radius"}})

    assert (job["phase"], job["status"], job["market_status"]) == ("error", 10, "error")
    assert job["error"] != ""
    assert job["error_code"] == 1003
    assert job["why"] == {"kind": "error", "error": job["error"], "error_code": 1003}
    assert job["message"] == f"Error: {job['error']}"
    assert job["result"] is None
    last = (await caller.get("/v1/statuses", job_id=job["id"]))["items"][0]
    assert (last["code"], last["error"], last["error_code"], last["result"]) == (10, job["error"], 1003, None)
    answer = await caller.client.get(f"/v1/jobs/{job['id']}/result")
    assert (answer.status_code, answer.json()["code"]) == (404, "result-not-found")


def _away(job: dict[str, object]) -> dict[str, object]:
    places = job["queue"]
    assert isinstance(places, list)
    return {one["team"]: one["away_since"] for one in places if one["away_since"] is not None}
