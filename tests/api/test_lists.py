"""Lists of jobs: pages, filters, and the one job that is meant."""

import asyncio
from uuid import UUID, uuid4

import pytest

from tests.support.gateway import Caller, Finished, Gateway, Json
from tests.support.network import INTERSECTION, REGRESSION


async def test_pages_hold_every_job_once_newest_first(caller: Caller) -> None:
    """A job that is created while one leafs through moves no other job to another page."""
    name = f"paged {uuid4()}"
    ids = [(await caller.create(REGRESSION, name=name))["id"] for _ in range(7)]

    listed = []
    page = await caller.get("/v1/jobs", name=name, limit="3")
    while True:
        listed += page["items"]
        if page["next_cursor"] is None:
            break
        await caller.create(REGRESSION, name=name)
        page = await caller.get("/v1/jobs", name=name, limit="3", cursor=page["next_cursor"])

    assert [job["id"] for job in listed] == ids[::-1]
    assert [job["created"] for job in listed] == sorted((job["created"] for job in listed), reverse=True)


async def test_a_page_that_holds_all_has_no_next(caller: Caller) -> None:
    """Exactly full is the last page too."""
    name = f"full page {uuid4()}"
    for _ in range(2):
        await caller.create(REGRESSION, name=name)

    page = await caller.get("/v1/jobs", name=name, limit="2")

    assert (len(page["items"]), page["next_cursor"], page["stale"]) == (2, None, False)


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({}, {"regression", "intersection", "waiting"}),
        ({"operation": "REGRESSION"}, {"regression", "waiting"}),
        ({"job_status": "waiting"}, {"waiting"}),
        ({"job_status": "history"}, {"regression", "intersection"}),
        ({"job_status": "active"}, set()),
        ({"phase": "complete"}, {"regression", "intersection"}),
        ({"job_status": "history", "phase": "created"}, set()),
        ({"job_status": "history", "operation": "REGRESSION"}, {"regression"}),
        ({"owner": "owner@globex"}, {"regression", "intersection", "waiting"}),
        ({"owner": "nobody"}, set()),
    ],
)
async def test_every_filter_narrows(
    caller: Caller, finished: Finished, filters: dict[str, str], fits: set[str]
) -> None:
    """All that are given must hold."""
    waiting = await caller.waiting(REGRESSION)
    jobs = {"regression": finished.regression, "intersection": finished.intersection, "waiting": waiting}
    names = {job["id"]: name for name, job in jobs.items()}

    listed = await _listed(caller, **filters)

    assert {names[job_id] for job_id in listed if job_id in names} == fits


async def test_several_phases_are_a_union(caller: Caller, finished: Finished) -> None:
    """`phase` may be given more than once."""
    waiting = await caller.waiting(INTERSECTION)

    listed = await _listed(caller, phase=["complete", "waiting_on_permission"])

    assert {finished.regression["id"], waiting["id"]} <= listed.keys()
    assert {job["phase"] for job in listed.values()} == {"complete", "waiting_on_permission"}


async def test_find_gives_the_one_job_that_fits(caller: Caller) -> None:
    """By name, by id, or by both."""
    name = f"found {uuid4()}"
    job = await caller.create(REGRESSION, name=name)

    for query in ({"name": name}, {"id": job["id"]}, {"name": name, "id": job["id"]}):
        assert (await caller.get("/v1/jobs/find", **query))["id"] == job["id"]


@pytest.mark.parametrize("query", [{"name": "nobody made this"}, {"id": str(UUID(int=7))}])
async def test_find_of_nothing_is_not_found(caller: Caller, query: dict[str, str]) -> None:
    """None is no job, and no empty answer either."""
    answer = await caller.client.get("/v1/jobs/find", params=query)

    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")


async def test_find_of_several_names_them(caller: Caller) -> None:
    """Names are not unique; the ids let one ask again."""
    name = f"twins {uuid4()}"
    ids = {(await caller.create(REGRESSION, name=name))["id"] for _ in range(2)}

    answer = await caller.client.get("/v1/jobs/find", params={"name": name})

    assert (answer.status_code, answer.json()["code"]) == (409, "job-ambiguous")
    assert set(answer.json()["job_ids"]) == ids


async def test_many_first_requests_at_once_are_all_answered(own_gateway: Gateway) -> None:
    """What is made for the first of them must not be made by all of them at once."""
    async with own_gateway.client() as client:
        answers = await asyncio.gather(*(client.get("/v1/jobs") for _ in range(40)))

    assert {answer.status_code for answer in answers} == {200}


async def _listed(caller: Caller, **filters: str | list[str]) -> dict[str, Json]:
    """All pages, by the jobs' ids: tests share the gateway, and others may have made any number since."""
    listed: dict[str, Json] = {}
    query = {"limit": "200", **filters}
    while True:
        page = (await caller.client.get("/v1/jobs", params=query)).json()
        listed |= {job["id"]: job for job in page["items"]}
        if page["next_cursor"] is None:
            return listed
        query["cursor"] = page["next_cursor"]
