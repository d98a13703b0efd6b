"""What many jobs are for: counted, exported, not sent twice, and removed after some time."""

import asyncio
import csv
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from msgspec.structs import replace

from app.domain.events import Told
from app.domain.phases import Phase
from app.store.database import open_database
from app.store.history import open_history
from tests.support.events import ndjson, sse
from tests.support.gateway import (
    NDJSON,
    WITHIN_S,
    Caller,
    Finished,
    Gateway,
    Json,
    environment,
    router_settings,
    served,
)
from tests.support.network import REGRESSION, RunningNetwork
from tests.support.news import NOON, job_in
from tests.support.recount import counted

A_DAY_US = 86_400_000_000
MANY = 1_203
ODD_NAMES = ('=HYPERLINK("http://elsewhere")', "+1", "-1", "@sum", "\ttab", 'a "quoted", name', "two\nlines", "λ")


@pytest.fixture
async def crowd(running_network: RunningNetwork, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with more jobs than fit a page of any size."""
    folder = tmp_path / "crowd"
    folder.mkdir()
    database = f"sqlite:///{folder / 'gateway.db'}"
    async with (
        open_database(database) as opened,
        open_history(opened, tell=lambda _: None, now=lambda: NOON) as history,
    ):
        for number in range(MANY):
            job = replace(job_in(Phase.COMPLETE), id=UUID(int=number), created=NOON + timedelta(seconds=number))
            name = ODD_NAMES[number] if number < len(ODD_NAMES) else f"job {number}"
            await history.keep(Told(job=replace(job, job_name=name)))
    with served(folder, **router_settings(running_network)) as gateway:
        async with gateway.client() as client:
            yield client


# Export


async def test_an_export_is_the_whole_list(crowd: httpx.AsyncClient) -> None:
    """In the order of the list, each job once, over all pages."""
    answer = await crowd.get("/v1/jobs/export", params={"owner": "ann"})
    jobs = [json.loads(line) for line in answer.text.splitlines()]

    assert [job["id"] for job in jobs] == [str(UUID(int=number)) for number in reversed(range(MANY))]
    page = (await crowd.get("/v1/jobs", params={"owner": "ann", "limit": 200})).json()
    assert jobs[:200] == page["items"]
    assert answer.headers["content-type"] == "application/x-ndjson"


async def test_an_export_as_csv_is_read_back_as_it_was(crowd: httpx.AsyncClient) -> None:
    """Names with quotes and lines come back; none is a formula to a spreadsheet."""
    answer = await crowd.get("/v1/jobs/export", params={"owner": "ann", "format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))

    assert len(rows) == MANY
    names = [row["job_name"] for row in rows[::-1]][: len(ODD_NAMES)]
    assert names == [f"'{name}" if name[0] in "=+-@\t" else name for name in ODD_NAMES]
    first = rows[-1]
    assert (first["owner"], first["team"], first["phase"], first["status"]) == ("ann", "globex", "complete", "0")
    assert first["created"] == "2026-03-01T12:00:00.123456Z"
    assert json.loads(first["params"]) == {"a": 1.0}
    assert json.loads(first["labels"]) == {"who": "me"}
    assert answer.headers["content-disposition"] == 'attachment; filename="jobs.csv"'


async def test_an_export_is_narrowed_like_a_list(crowd: httpx.AsyncClient) -> None:
    """And what is wrong with the query is told in place of a file."""
    some = await crowd.get("/v1/jobs/export", params={"name_regex": "^job 1[0-9]$"})
    none = await crowd.get("/v1/jobs/export", params={"owner": "nobody", "format": "csv"})
    wrong = await crowd.get("/v1/jobs/export", params={"name_regex": "(?=a)"})

    assert [json.loads(line)["job_name"] for line in some.text.splitlines()] == [f"job {n}" for n in range(19, 9, -1)]
    assert none.text.splitlines() == [none.text.strip()]
    assert (wrong.status_code, wrong.json()["code"]) == (422, "regex-unsupported")


# Tags


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/{id}", "/v1/jobs/find?id={id}", "/v1/statuses", "/v1/stats"])
async def test_what_has_not_changed_is_not_sent_again(caller: Caller, finished: Finished, path: str) -> None:
    """A page that looks every few seconds costs next to nothing."""
    path = path.format(id=finished.regression["id"])
    first = await caller.client.get(path)
    again = await caller.client.get(path, headers={"If-None-Match": f'"another", {first.headers["etag"]}'})
    other = await caller.client.get(path, headers={"If-None-Match": '"another"'})

    assert (first.status_code, other.status_code) == (200, 200)
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


async def test_what_has_changed_has_another_tag(caller: Caller) -> None:
    """The job, each list that shows it, and the counts; of another job's changes a job knows nothing."""
    job, other = await caller.create(REGRESSION), await caller.create(REGRESSION)
    paths = ("/v1/jobs", f"/v1/jobs/{job['id']}", "/v1/stats", f"/v1/jobs/{other['id']}")

    async def tags() -> list[str]:
        return [(await caller.client.get(path)).headers["etag"] for path in paths]

    before = await tags()
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")
    after = await tags()

    assert [was == now for was, now in zip(before, after, strict=True)] == [False, False, False, True]


# Statistics


async def at_one_moment(caller: Caller) -> tuple[Json, list[Json]]:
    """The statistics, and every job as lists show it. Jobs that others have left in the network may move meanwhile."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            told = await caller.get("/v1/stats")
            pages = [await caller.get("/v1/jobs", limit="200")]
            while (cursor := pages[-1]["next_cursor"]) is not None:
                pages.append(await caller.get("/v1/jobs", limit="200", cursor=cursor))
            if {page["as_of"] for page in pages} == {told["as_of"]}:
                return told, [job for page in pages for job in page["items"]]


async def test_statistics_count_what_lists_show(own_caller: Caller) -> None:
    """By phase, operation, owner and day; and the rollups equal a recount."""
    for _ in range(3):
        job = await own_caller.create(REGRESSION)
    await own_caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    await own_caller.eventually("/v1/jobs", lambda page: not page["stale"])
    told, listed = await at_one_moment(own_caller)

    phases = [one["phase"] for one in listed]
    assert (told["jobs"], told["phases"]) == (len(phases), {phase: phases.count(phase) for phase in set(phases)})
    assert sum(one["jobs"] for one in told["operations"]) == len(phases)
    assert {one["value"] for one in told["owners"]} == {one["owner"]["user"] for one in listed}
    assert told["days"][0]["value"] == listed[0]["created"][:10]
    database = own_caller.gateway.data_dir / "gateway.db"
    counted(database)


# Removal


def aged(gateway: Gateway) -> None:
    """What is over has been for two days."""
    with closing(sqlite3.connect(gateway.data_dir / "gateway.db")) as db, db:
        db.execute("UPDATE job SET over_us = over_us - ?", (2 * A_DAY_US,))


def pruned(gateway: Gateway, *arguments: str) -> str:
    """What the command says."""
    command = [sys.executable, "-m", "app", "prune", *arguments]
    done = subprocess.run(command, env=environment(gateway.data_dir), capture_output=True, timeout=60, check=True)
    return done.stdout.decode()


async def ended(caller: Caller) -> Json:
    """A job that is over."""
    job = await caller.create(REGRESSION, name=f"to be removed {uuid4()}")
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")
    return job


async def test_a_removed_job_is_gone_for_good_and_says_so(own_caller: Caller) -> None:
    """Whatever is asked of it: 410. Beside it life goes on."""
    job, other = await ended(own_caller), await own_caller.create(REGRESSION)
    aged(own_caller.gateway)

    would = pruned(own_caller.gateway, "--days", "1", "--dry-run")
    there = await own_caller.client.get(f"/v1/jobs/{job['id']}")
    did = pruned(own_caller.gateway, "--days", "1")

    assert would.startswith("Would remove ")
    assert there.status_code == 200
    assert did.startswith("Removed ")
    assert pruned(own_caller.gateway, "--days", "1", "--dry-run").startswith("Would remove 0 jobs and 0 events ")
    asked = [
        ("GET", path)
        for path in ("", "?refresh=true", "/wait", "/statuses", "/history", "/actions", "/events", "/result")
    ]
    for method, path in [*asked, ("POST", "/submit"), ("POST", "/cancel"), ("POST", "/kill")]:
        answer = await own_caller.client.request(method, f"/v1/jobs/{job['id']}{path}")
        assert (answer.status_code, answer.json()["code"]) == (410, "job-pruned"), (method, path)
    assert [
        one["id"] for one in (await own_caller.get("/v1/jobs"))["items"] if one["id"] in {job["id"], other["id"]}
    ] == [other["id"]]
    assert (await own_caller.get(f"/v1/jobs/{other['id']}"))["phase"] == "created"


async def test_what_the_router_tells_of_a_removed_job_does_not_bring_it_back(own_caller: Caller) -> None:
    """Neither its changes, told anew from the first on, nor a comparison at the start."""
    gateway, job = own_caller.gateway, await ended(own_caller)
    aged(gateway)
    pruned(gateway, "--days", "1")
    gateway.stop()
    with closing(sqlite3.connect(gateway.data_dir / "gateway.db")) as db, db:
        db.execute("DELETE FROM position")
    gateway.start()

    async with gateway.client() as client:
        caller = Caller(gateway, own_caller.network, client)
        await caller.eventually("/v1/jobs", lambda page: not page["stale"])
        newer = await ended(caller)
        listed = [one["id"] for one in (await caller.get("/v1/jobs", limit="200"))["items"]]
        answer = await client.get(f"/v1/jobs/{job['id']}")

    assert newer["id"] in listed
    assert job["id"] not in listed
    assert answer.status_code == 410


@pytest.mark.parametrize("headers", [{}, NDJSON])
async def test_a_feed_from_before_begins_with_the_gap(own_caller: Caller, headers: dict[str, str]) -> None:
    """After the snapshot, which still has the old position; from the gap's id on nothing is missing, and it is told once."""
    before = (await own_caller.eventually("/v1/jobs", lambda page: not page["stale"]))["as_of"]
    await ended(own_caller)
    resumes_at = (await own_caller.get("/v1/jobs"))["as_of"]
    aged(own_caller.gateway)
    pruned(own_caller.gateway, "--days", "1")
    other = await own_caller.create(REGRESSION)

    async def heard(after: int) -> list[tuple[str, int]]:
        def has_the_other(raw: bytes) -> bool:
            return other["id"].encode() in raw and raw.endswith(b"\n")

        raw = await own_caller.bytes_until(has_the_other, "/v1/events", headers=headers, after=str(after))
        return [(event.name, event.id) for event in (ndjson if headers else sse)(raw)]

    old, new = await heard(before), await heard(resumes_at)

    assert old == [("snapshot", before), ("gap", resumes_at), ("phase", resumes_at + 1)]
    assert new == [("snapshot", resumes_at), ("phase", resumes_at + 1)]


async def test_jobs_that_are_kept_for_a_day_are_gone_after_two(running_network: RunningNetwork, tmp_path: Path) -> None:
    """By the gateway itself."""
    settings = router_settings(running_network)
    with served(tmp_path / "data", **settings) as gateway:
        async with gateway.client() as client:
            job = await ended(Caller(gateway, running_network, client))
        aged(gateway)
        gateway.stop()
        gateway.start(GATEWAY_KEEP_DAYS="1")
        async with gateway.client() as client:
            caller = Caller(gateway, running_network, client)
            await caller.eventually("/v1/jobs", lambda page: job["id"] not in [one["id"] for one in page["items"]])
            answer = await client.get(f"/v1/jobs/{job['id']}")

    assert answer.status_code == 410
