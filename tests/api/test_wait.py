"""`GET /v1/jobs/{id}/wait`: one answer, when the job is over or the time is."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest

from tests.support.gateway import WITHIN_S, Caller, Finished, Gateway, Listener, served
from tests.support.keys import Guarded, made_key, revoked_key, with_key
from tests.support.network import INTERSECTION, REGRESSION
from tests.support.scripted import TOKEN, scripted_network

# Longer than any test may take: what comes back has not run into it.
_LONG = "300"
MERCYS: dict[str, Any] = {"owner": {"user": "owner@mercy", "team": "mercy"}}
_MANY = 30


async def waited(caller: Listener, job_id: str, **query: str) -> httpx.Response:
    """The answer to a wait, which must come within a test's patience."""
    return await caller.client.get(f"/v1/jobs/{job_id}/wait", params={"timeout": _LONG, **query})


class Line:
    """A connection over which somebody waits, to be hung up at will."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def answer(self) -> tuple[int, Any]:
        """The status and what came with it."""
        async with asyncio.timeout(WITHIN_S):
            head, _, body = (await self._reader.read()).partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def hang_up(self) -> None:
        """Without a goodbye."""
        self._writer.transport.abort()


@asynccontextmanager
async def waiting(gateway: Gateway, job_id: str, *, key: str = "") -> AsyncIterator[Line]:
    """The gateway has the request when the block begins: it has answered one that was sent after it."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    headers = [f"Host: {address.netloc}", "Connection: close", *([f"Authorization: Bearer {key}"] if key else [])]
    request = [f"GET /v1/jobs/{job_id}/wait?timeout={_LONG} HTTP/1.1", *headers, "", ""]
    try:
        writer.write("\r\n".join(request).encode())
        await writer.drain()
        async with gateway.client() as client:
            assert (await client.get("/livez")).status_code == 200
        yield Line(reader, writer)
    finally:
        writer.close()


async def test_a_job_that_completes_ends_every_wait_for_it(caller: Caller) -> None:
    """With its result, so that nothing is left to be asked for."""
    job = await caller.waiting(INTERSECTION)
    waiters = [asyncio.create_task(waited(caller, job["id"])) for _ in range(5)]
    caller.accept(job)

    answers = await asyncio.gather(*waiters)

    assert {answer.status_code for answer in answers} == {200}
    now = await caller.get(f"/v1/jobs/{job['id']}")
    assert now["phase"] == "complete"
    assert now["result"]["asset_id"]
    for answer in answers:
        assert {**answer.json(), "observed_at": None} == {**now, "observed_at": None}


async def test_a_job_ends_a_wait_however_it_ends(tmp_path: Path) -> None:
    """Each of the final phases, and none of the others."""
    words = ("complete", "error", "cancelled", "killed", "denied")
    async with scripted_network() as network:
        settings = {"GATEWAY_ROUTER_URL": network.url, "GATEWAY_ROUTER_TOKEN": TOKEN}
        with served(tmp_path, **settings) as gateway:
            async with gateway.client() as client:
                watcher = Listener(gateway, client)
                ids = {word: str(uuid4()) for word in words}
                for job_id in ids.values():
                    await network.router_says("queue", job_id=job_id, **MERCYS)
                before = [await waited(watcher, job_id, timeout="0") for job_id in ids.values()]
                waiters = {word: asyncio.create_task(waited(watcher, job_id)) for word, job_id in ids.items()}
                for step in ("starting", "running", "stopping"):
                    for job_id in ids.values():
                        await network.router_says(step, job_id=job_id, **MERCYS)
                for word, job_id in ids.items():
                    await network.router_says(word, job_id=job_id, finished="2026-03-01T09:31:00.000000Z", **MERCYS)
                answers = {word: await waiter for word, waiter in waiters.items()}

    assert {answer.status_code for answer in before} == {202}
    assert {word: (answer.status_code, answer.json()["phase"]) for word, answer in answers.items()} == {
        word: (200, word) for word in words
    }


async def test_a_job_that_is_over_is_answered_at_once(caller: Caller, finished: Finished) -> None:
    """Also where there is no time to wait."""
    for timeout in ("0", "0.5", "300"):
        answer = await waited(caller, finished.regression["id"], timeout=timeout)
        assert (answer.status_code, answer.json()["phase"]) == (200, "complete")


async def test_when_the_time_is_over_the_job_is_told_as_it_is(caller: Caller) -> None:
    """202: ask again. It is the job as any read shows it."""
    job = await caller.create(REGRESSION)

    answers = [await waited(caller, job["id"], timeout=timeout) for timeout in ("0", "0.05")]

    assert [answer.status_code for answer in answers] == [202, 202]
    seen = await caller.get(f"/v1/jobs/{job['id']}")
    assert [{**answer.json(), "observed_at": None} for answer in answers] == [{**seen, "observed_at": None}] * 2


async def test_permission_is_waited_for_only_if_that_is_wanted(caller: Caller) -> None:
    """Once it is there, the end is waited for in either case."""
    job = await caller.waiting(INTERSECTION)

    at_once = await waited(caller, job["id"], wait_for_permission="false")
    patient = await waited(caller, job["id"], timeout="0")
    caller.accept(job)
    await caller.until_phase(job["id"], "in_progress")
    over = await waited(caller, job["id"], wait_for_permission="false")

    assert (at_once.status_code, at_once.json()["phase"]) == (200, "waiting_on_permission")
    assert at_once.json()["waiting_on"] == job["waiting_on"]
    assert (patient.status_code, patient.json()["phase"]) == (202, "waiting_on_permission")
    assert (over.status_code, over.json()["phase"]) == (200, "complete")


async def test_who_does_not_want_to_wait_for_permission_hears_that_it_comes_to_be_missing(caller: Caller) -> None:
    """The wait began before the submit."""
    job = await caller.create(INTERSECTION)
    async with asyncio.TaskGroup() as tasks:
        waiter = tasks.create_task(waited(caller, job["id"], wait_for_permission="false"))
        await caller.submit(job["id"])

    answer = waiter.result()

    assert (answer.status_code, answer.json()["phase"]) == (200, "waiting_on_permission")
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")


async def test_another_teams_job_is_waited_for_as_well(caller: Caller) -> None:
    """Its stream is not shared, its phases are."""
    asked = caller.network.submit({**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}, team="mercy")

    before = await waited(caller, asked["id"], timeout="0")
    waiter = asyncio.create_task(waited(caller, asked["id"]))
    caller.network.act(asked["id"], "cancel", team="mercy")
    answer = await waiter

    assert (before.status_code, before.json()["owner"]["team"]) == (202, "mercy")
    assert (answer.status_code, answer.json()["phase"]) == (200, "cancelled")


@pytest.mark.parametrize("time", ["300.1", "-1", "nan", "inf", "soon", ""])
async def test_a_time_that_is_none_or_too_long_is_refused(caller: Caller, finished: Finished, time: str) -> None:
    """Connections that stay silent for longer are cut by what lies between."""
    answer = await waited(caller, finished.regression["id"], timeout=time)

    assert (answer.status_code, answer.json()["field"]) == (422, "timeout")


async def test_a_job_that_nobody_knows_is_not_waited_for(caller: Caller) -> None:
    """It would never end."""
    answer = await waited(caller, str(uuid4()))

    assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")


async def test_the_router_being_away_ends_no_wait(caller: Caller) -> None:
    """What it did meanwhile is heard when it is back."""
    job = await caller.waiting(INTERSECTION)
    waiter = asyncio.create_task(waited(caller, job["id"]))
    caller.network.stop_router()
    try:
        away = await caller.eventually("/v1/jobs", lambda page: bool(page["stale"]))
        meanwhile = await waited(caller, job["id"], timeout="0")
    finally:
        caller.network.start_router()
    caller.network.act(job["id"], "cancel")

    answer = await waiter

    assert away["stale"]
    assert (meanwhile.status_code, meanwhile.json()["stale"]) == (202, True)
    assert (answer.status_code, answer.json()["phase"]) == (200, "cancelled")


async def test_waits_end_with_the_key_that_asked(guarded: Guarded) -> None:
    """Within moments; whoever asks again is told why."""
    data_dir = guarded.gateway.data_dir
    key, text = await made_key(data_dir, "gone")
    async with guarded.client("sam") as sam, with_key(guarded.gateway, text) as gone:
        job = (await sam.post("/v1/jobs", json={"job_name": "watched", **REGRESSION})).json()
        async with (
            waiting(guarded.gateway, job["id"], key=text) as line,
            waiting(guarded.gateway, job["id"], key=guarded.keys["vera"]) as staying,
        ):
            await revoked_key(data_dir, key)
            status, told = await line.answer()
            again = await gone.get(f"/v1/jobs/{job['id']}/wait")
            await sam.post(f"/v1/jobs/{job['id']}/cancel")
            stayed, told_to_stayer = await staying.answer()

    assert (status, told["phase"]) == (202, "created")
    assert (again.status_code, again.json()["code"]) == (401, "key-invalid")
    assert (stayed, told_to_stayer["phase"]) == (200, "cancelled")


async def test_a_stop_sends_everybody_home_who_waits(own_caller: Caller) -> None:
    """In good order, with the job as it is."""
    gateway = own_caller.gateway
    job = await own_caller.create(REGRESSION)
    async with waiting(gateway, job["id"]) as first, waiting(gateway, job["id"]) as second:
        stopped = asyncio.create_task(asyncio.to_thread(gateway.stop))
        answers = [await first.answer(), await second.answer()]
        code = await stopped

    assert [(status, told["phase"]) for status, told in answers] == [(202, "created")] * 2
    assert code == 0


async def test_who_hangs_up_is_waited_with_no_longer(own_caller: Caller) -> None:
    """Or a thousand impatient callers would leave a thousand listeners for five minutes each."""
    gateway = own_caller.gateway
    job = await own_caller.create(REGRESSION)
    for _ in range(_MANY):
        async with waiting(gateway, job["id"]) as line:
            line.hang_up()

    async with asyncio.timeout(WITHIN_S):
        while _ended_waits(gateway, job["id"]) < _MANY:  # noqa: ASYNC110  (the log rings no bell)
            await asyncio.sleep(0.02)

    answer = await waited(own_caller, job["id"], timeout="0")
    assert answer.status_code == 202
    assert await asyncio.to_thread(gateway.stop) == 0


async def test_a_body_that_nobody_asked_for_breaks_nothing(caller: Caller) -> None:
    """A small one is passed over. Behind one larger than any that is taken nobody can be heard leaving: no wait for that."""
    job = await caller.create(REGRESSION)
    path = f"/v1/jobs/{job['id']}/wait"

    small = await caller.client.request("GET", path, params={"timeout": "0.2"}, content=bytes(10))
    large = await caller.client.request("GET", path, params={"timeout": _LONG}, content=bytes(2_000_000))

    assert [answer.status_code for answer in (small, large)] == [202, 202]


def _ended_waits(gateway: Gateway, job_id: str) -> int:
    """A line of log is written when a request is over."""
    return gateway.log.count(f"/v1/jobs/{job_id}/wait")
