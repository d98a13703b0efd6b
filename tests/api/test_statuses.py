"""The latest JobStatus of each job."""

import pytest

from tests.support.gateway import Caller, Finished, Json
from tests.support.network import INTERSECTION, REGRESSION


async def every_status(caller: Caller, *, limit: int) -> list[Json]:
    """All pages."""
    items: list[Json] = []
    query: dict[str, str] = {"limit": str(limit)}
    while True:
        page = await caller.get("/v1/statuses", **query)
        items += page["items"]
        assert len(page["items"]) == limit or page["next_cursor"] is None
        if page["next_cursor"] is None:
            return items
        query["cursor"] = page["next_cursor"]


async def latest_of(caller: Caller, job: Json) -> Json:
    """As the job's own list has it."""
    status: Json = (await caller.get(f"/v1/jobs/{job['id']}/statuses"))["items"][-1]
    return status


async def test_of_each_job_there_is_its_latest_status_newest_job_first(caller: Caller, finished: Finished) -> None:
    """Once, whatever else happened; on pages as in one piece."""
    silent = await caller.create(REGRESSION)
    jobs = sorted(
        (finished.regression, finished.intersection, finished.inference), key=lambda job: job["created"], reverse=True
    )

    in_one, in_pages = await every_status(caller, limit=200), await every_status(caller, limit=2)

    assert in_pages == in_one
    ids = [status["job_id"] for status in in_one]
    assert len(set(ids)) == len(ids)
    assert silent["id"] not in ids
    ours = [status for status in in_one if status["job_id"] in {job["id"] for job in jobs}]
    assert ours == [await latest_of(caller, job) for job in jobs]
    assert {status["code"] for status in ours} == {4}


async def test_the_status_of_one_job_is_asked_for_by_its_id(caller: Caller, finished: Finished) -> None:
    """With the result that it told."""
    page = await caller.get("/v1/statuses", job_id=finished.regression["id"])

    assert page["items"] == [await latest_of(caller, finished.regression)]
    assert page["items"][0]["result"] == finished.regression["result"]
    assert (page["next_cursor"], page["stale"]) == (None, False)
    assert page["observed_at"] is not None


async def test_the_latest_is_what_was_told_last(caller: Caller, long_job: str) -> None:
    """While it calculates it is that it does."""
    job = await caller.get(f"/v1/jobs/{long_job}")

    (status,) = (await caller.get("/v1/statuses", job_id=long_job))["items"]

    assert (status["job_id"], status["code"]) == (long_job, 3)
    assert job["phase"] == "in_progress"


async def test_a_job_whose_access_point_has_said_nothing_has_none(caller: Caller) -> None:
    """An empty list and no error: the job is there."""
    job = await caller.create(REGRESSION)

    assert (await caller.get("/v1/statuses", job_id=job["id"]))["items"] == []


async def test_of_a_job_made_past_the_gateway_a_moment_ago_it_is_known_that_it_has_none(caller: Caller) -> None:
    """The Router is asked about a job that was never heard of."""
    job_id = caller.network.create(INTERSECTION)

    assert (await caller.get("/v1/statuses", job_id=job_id))["items"] == []


@pytest.mark.parametrize(
    ("query", "status", "told"),
    [
        ({"job_id": "00000000-0000-4000-8000-000000000007"}, 404, "job-not-found"),
        ({"job_id": "seven"}, 422, "job_id"),
        ({"limit": "0"}, 422, "limit"),
        ({"limit": "201"}, 422, "limit"),
        ({"cursor": "nonsense"}, 422, "cursor"),
        ({"phase": "complete"}, 422, "phase"),
    ],
)
async def test_what_cannot_be_answered_is_refused(
    caller: Caller, query: dict[str, str], status: int, told: str
) -> None:
    """A job that nobody knows, and what makes no sense."""
    answer = await caller.client.get("/v1/statuses", params=query)

    problem = answer.json()
    assert answer.status_code == status
    assert told == problem.get("field", problem["code"])


@pytest.mark.usefixtures("finished")
async def test_a_cursor_belongs_to_its_list(caller: Caller) -> None:
    """The lists are in the same order, and neither takes the other's."""
    of_jobs = (await caller.get("/v1/jobs", limit="1"))["next_cursor"]
    of_statuses = (await caller.get("/v1/statuses", limit="1"))["next_cursor"]

    answers = [
        await caller.client.get("/v1/statuses", params={"limit": "1", "cursor": of_jobs}),
        await caller.client.get("/v1/jobs", params={"limit": "1", "cursor": of_statuses}),
    ]

    assert [(answer.status_code, answer.json()["field"]) for answer in answers] == [(422, "cursor")] * 2


async def test_the_feed_goes_on_where_the_statuses_are(caller: Caller) -> None:
    """`as_of` is a position of the log, as a list of jobs has it."""
    as_of = (await caller.get("/v1/statuses", limit="1"))["as_of"]

    job = await caller.finished(INTERSECTION)

    async with caller.listening("/v1/events", after=str(as_of)) as events:
        told = [await anext(event async for event in events if event.json["job_id"] == job["id"])]
        async for event in events:
            if event.name == "end" and event.json["job_id"] == job["id"]:
                break
            told.append(event)
    assert told[0].json["phase"] == "created"
    last = [event for event in told if event.name == "status"][-1]
    assert (await caller.get("/v1/statuses", job_id=job["id"]))["items"] == [last.json]
