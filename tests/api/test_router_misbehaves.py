"""A Router that does what no Router should: what the caller is told, and that nothing that changes something is sent twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from tests.support.events import Event
from tests.support.gateway import Gateway, Listener
from tests.support.loopback import answers, loopback
from tests.support.misbehaving import (
    TOKEN,
    Exchange,
    Fault,
    Misbehaving,
    breaks_off,
    drips,
    drips_its_head,
    drops_kept,
    floods,
    hangs,
    hangs_before_the_body,
    misbehaving,
    says,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALL_TIMEOUT_S = 0.7
PROMPTLY_S = 8.0
LARGEST_ANSWER = 16 * 1024 * 1024
GIGABYTE = 1 << 30
HOUR = timedelta(hours=1)

UNREACHABLE = (503, "router-unreachable")
UNKNOWN = (504, "router-outcome-unknown")
GARBLED = (502, "router-garbled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a caller asks the gateway; its way is the same at the Router."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    key: str | None = None


READ = "read"
WRITES = ("create", "submit", "cancel", "kill")
CALLS = (READ, *WRITES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A gateway, the Router that it believes in, and a program that uses the gateway."""

    router: Misbehaving
    gateway: Gateway
    client: httpx.AsyncClient

    async def told(self, call: Call) -> httpx.Response:
        """What the caller is told, in time."""
        headers = {} if call.key is None else {"Idempotency-Key": call.key}
        async with asyncio.timeout(PROMPTLY_S):
            return await self.client.request(call.method, call.path, json=call.body, headers=headers)

    async def told_with(self, fault: Fault, name: str) -> tuple[int, str]:
        """Status and code of the answer to this call, where the Router fails in this way alone, and was asked once."""
        call = a_call(name)
        before = self.router.times(call.method, call.path)
        self.router.faults[call.method, call.path] = fault
        answer = await self.told(call)
        assert self.router.times(call.method, call.path) == before + 1
        return answer.status_code, answer.json()["code"]

    def listener(self) -> Listener:
        """A program that watches."""
        return Listener(self.gateway, self.client)

    async def running(self) -> str:
        """A job of somebody's that calculates; its id."""
        job_id = str(uuid4())
        await self.router.router_says(job_id, "running")
        await self.listener().eventually("/v1/jobs", lambda page: job_id in {one["id"] for one in page["items"]})
        return job_id


def a_call(name: str) -> Call:
    """One of these, about a job that nobody has heard of."""
    if name == "create":
        body = {"job_name": "a job", "operation": "REGRESSION", "dataset": ["mercy/t"], "params": {}}
        return Call(method="POST", path="/v1/jobs", body=body)
    job = f"/v1/jobs/{uuid4()}"
    return Call(method="GET", path=job) if name == READ else Call(method="POST", path=f"{job}/{name}")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def set_up(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with misbehaving() as router, gateway_of(router, tmp_path_factory.mktemp("gateway")) as stage:
        yield stage


@pytest_asyncio.fixture(loop_scope="module")
async def stage(set_up: Stage) -> AsyncIterator[Stage]:
    """Everything is well, until a test sees to it that it is not."""
    await set_up.listener().eventually("/v1/jobs", lambda page: not page["stale"])
    yield set_up
    set_up.router.faults.clear()
    set_up.router.clock = timedelta()


@asynccontextmanager
async def gateway_of(router: Misbehaving, data_dir: Path, **settings: str) -> AsyncIterator[Stage]:
    """Started from beside the loop, on which the Router has to answer."""
    wiring = {"GATEWAY_ROUTER_URL": router.url, "GATEWAY_ROUTER_TOKEN": TOKEN, "GATEWAY_CONFIRM_S": "0.1"}
    patience = {"GATEWAY_CALL_TIMEOUT_S": str(CALL_TIMEOUT_S), "GATEWAY_BREAKER_FAILURES": "1000"}
    gateway = Gateway(data_dir, **{**wiring, **patience, **settings})
    try:
        await asyncio.to_thread(gateway.start)
        async with gateway.client() as client:
            yield Stage(router=router, gateway=gateway, client=client)
    finally:
        await asyncio.to_thread(gateway.end)


# No answer


@pytest.mark.parametrize("name", CALLS)
async def test_nobody_there_is_surely_not_received(stage: Stage, name: str) -> None:
    """It may be sent again."""
    call = a_call(name)
    before = stage.router.times(call.method, call.path)
    await stage.router.refuse()
    try:
        answer = await stage.told(call)
    finally:
        await stage.router.admit()

    assert (answer.status_code, answer.json()["code"]) == UNREACHABLE
    assert int(answer.headers["Retry-After"]) > 0
    assert stage.router.times(call.method, call.path) == before


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("fault", [hangs_before_the_body, hangs, drips, drips_its_head])
async def test_no_answer_in_time_leaves_a_write_unknown(stage: Stage, fault: Fault, name: str) -> None:
    """However much of it was read, and however many bytes of an answer came: the time for a call is for all of it."""
    started_s = monotonic()

    told = await stage.told_with(fault, name)

    assert told == (UNREACHABLE if name == READ else UNKNOWN)
    assert CALL_TIMEOUT_S * 0.9 < monotonic() - started_s < PROMPTLY_S


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_that_breaks_off_leaves_a_write_unknown(stage: Stage, name: str) -> None:
    """The Router died over it, before or after it was done."""
    assert await stage.told_with(breaks_off, name) == (UNREACHABLE if name == READ else UNKNOWN)


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_on_a_kept_connection_that_is_dropped_is_not_sent_again(stage: Stage, name: str) -> None:
    """Clients like to repeat what an old connection has lost; here a job would run twice."""
    await stage.told(a_call(READ))

    assert await stage.told_with(drops_kept(says(200, b"{}")), name) == UNKNOWN


async def test_a_read_on_a_kept_connection_that_is_dropped_is_asked_again(stage: Stage) -> None:
    """It changes nothing, and the caller need not know that there was an old connection."""
    there = str(uuid4())
    await stage.router.router_says(there, "created")
    call = Call(method="GET", path=f"/v1/jobs/{there}?refresh=true")
    await stage.told(a_call(READ))
    path = f"/v1/jobs/{there}"
    stage.router.faults["GET", path] = drops_kept(says(200, stage.router.document(there)))

    answer = await stage.told(call)

    assert (answer.status_code, answer.json()["id"]) == (200, there)
    assert stage.router.times("GET", path) == 2


# Nonsense


@pytest.mark.parametrize("status", [500, 502, 503])
@pytest.mark.parametrize("name", CALLS)
async def test_a_failure_of_the_routers_leaves_a_write_unknown(stage: Stage, name: str, status: int) -> None:
    """It may have failed in the middle."""
    assert await stage.told_with(says(status, b"{}"), name) == (GARBLED if name == READ else UNKNOWN)


PAGE = says(200, b"<html><body>Please log in</body></html>", kind="text/html")
NONSENSE = {
    "half a JSON": says(200, b'{"epoch": "an-epoch", "sequence": 1, "id'),
    "nothing": says(200, b""),
    "a page": PAGE,
    "a page that calls itself JSON": says(200, b"<html></html>"),
    "JSON that calls itself text": says(200, b"{}", kind="text/plain"),
    "packed": says(200, b"\x1f\x8b", Content_Encoding="gzip"),
}


@pytest.mark.parametrize("nonsense", NONSENSE)
@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_that_cannot_be_read_is_told_as_such(stage: Stage, name: str, nonsense: str) -> None:
    """Of a write it is all that can be said: it was answered, and how is not known."""
    assert await stage.told_with(NONSENSE[nonsense], name) == GARBLED


async def test_whoever_runs_the_gateway_is_told_where_a_page_may_come_from(stage: Stage) -> None:
    """The caller can do nothing about it, and `cannot be read` helps nobody."""
    call = a_call(READ)
    stage.router.faults[call.method, call.path] = PAGE

    problem = (await stage.told(call)).json()

    assert "text/html" in problem["detail"]
    assert "GATEWAY_ROUTER_URL" in problem["detail"]
    assert "log in" not in json.dumps(problem)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("name", CALLS)
async def test_a_redirect_is_not_followed(stage: Stage, name: str, status: int) -> None:
    """The token is good at the Router that is configured, and nobody else's to see."""
    async with loopback(answers(200, b"{}")) as elsewhere:
        call = a_call(name)
        stage.router.faults[call.method, call.path] = says(status, b"", Location=f"{elsewhere.url}{call.path}")
        before = stage.router.times(call.method, call.path)

        answer = await stage.told(call)

        assert elsewhere.seen == []
    assert (answer.status_code, answer.json()["code"]) == GARBLED
    assert "redirects are not followed" in answer.json()["detail"].lower()
    assert elsewhere.url not in answer.text
    assert stage.router.times(call.method, call.path) == before + 1


@pytest.mark.parametrize("name", [READ, "submit"])
async def test_a_gigabyte_is_not_read(stage: Stage, name: str) -> None:
    """It would fill the memory in which everybody else is served."""
    taken = asyncio.get_running_loop().create_future()

    async def counted(exchange: Exchange) -> None:
        try:
            await floods(exchange)
        finally:
            taken.set_result(exchange.sent)

    told = await stage.told_with(counted, name)

    assert told == GARBLED
    assert LARGEST_ANSWER < await taken < 4 * LARGEST_ANSWER
    assert peak_memory(stage.gateway.pid) < GIGABYTE // 2


def peak_memory(pid: int) -> int:
    """The most bytes that a process ever had in memory."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


# Streams that break


async def test_news_that_breaks_off_in_a_line_is_told_once_and_whole(stage: Stage) -> None:
    """Half a line is no news; the rest comes from where the last whole one was."""
    async with stage.listener().listening("/v1/events") as events:
        first, second = str(uuid4()), str(uuid4())
        await stage.router.router_says(first, "created")
        stage.router.breaks_in_next_line("/v1/changes")
        await stage.router.router_says(first, "queue")
        await stage.router.router_says(second, "created")
        heard = await heard_until(events, job_id=second)

    told = [(event.json["job_id"], event.json["phase"]) for event in heard if event.name == "phase"]
    assert told == [(first, "created"), (first, "waiting_on_queue"), (second, "created")]


async def heard_until(events: AsyncIterator[Event], *, job_id: str) -> list[Event]:
    """Up to the first event of this job."""
    heard: list[Event] = []
    async for event in events:
        heard.append(event)
        if event.json["job_id"] == job_id:
            break
    return heard


async def test_a_status_stream_that_breaks_off_in_a_line_is_told_once_and_whole(stage: Stage) -> None:
    """Viewers notice nothing: each message once, in order, the one that broke included."""
    job_id = await stage.running()
    path = f"/v1/jobs/{job_id}/stream"
    said = [{"__type": "Step", "n": n} for n in range(6)]
    await stage.router.stream_says(job_id, *said[:2])
    await until_known(stage, job_id, said[1])
    for message in said[2:5]:
        stage.router.breaks_in_next_line(path)
        await stage.router.stream_says(job_id, message)
        await until_known(stage, job_id, message)
    await stage.router.stream_says(job_id, said[5])
    await stage.router.stream_ends(job_id, "complete")
    await stage.router.router_says(job_id, "complete")

    events = await stage.listener().until_end(job_id)

    assert [event.json for event in events if event.name == "message"] == said
    assert [event.id for event in events] == sorted({event.id for event in events})
    assert stage.router.streams_read_from[-3:] == ["2", "3", "4"]


async def until_known(stage: Stage, job_id: str, message: object) -> None:
    """Listen until this message is told."""
    async with stage.listener().listening(f"/v1/jobs/{job_id}/events") as events:
        async for event in events:
            if event.name == "message" and event.json == message:
                return


# Clocks


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_clock_that_is_an_hour_off_confuses_nobody(stage: Stage, off: timedelta) -> None:
    """`when` is the source's; `received` and `observed_at` are ours; the order is that of the numbers."""
    stage.router.clock = off
    began = datetime.now(UTC)
    job_id = await stage.running()
    await stage.router.stream_says(job_id, "starting", {"__type": "Step"})
    await stage.router.stream_ends(job_id, "complete")
    await stage.router.router_says(job_id, "complete")

    events = await stage.listener().until_end(job_id)
    history = (await stage.listener().get(f"/v1/jobs/{job_id}/history"))["items"]
    job = await stage.listener().get(f"/v1/jobs/{job_id}")

    ours = datetime.now(UTC)
    assert [event.name for event in events if event.name == "message"] == ["message", "message"]
    assert (job["phase"], job["stale"]) == ("complete", False)
    assert began <= moment(job["observed_at"]) <= ours
    assert {one["source"] for one in history} >= {"router", "access_point"}
    for one in history:
        assert began <= moment(one["received"]) <= ours
        if one["source"] != "gateway":
            assert began + off <= moment(one["when"]) <= ours + off


def moment(text: str) -> datetime:
    """A time as it stands in an answer."""
    return datetime.fromisoformat(text)


# Another storage


async def test_a_router_whose_storage_is_replaced_is_heard_from_its_start(stage: Stage) -> None:
    """What was known stays as it was, nothing is told twice, and small numbers are news again."""
    known = await stage.running()
    await stage.router.stream_says(known, "starting")
    await until_known(stage, known, "starting")
    before = (await stage.listener().get(f"/v1/jobs/{known}/history"))["items"]
    was = stage.router.epoch

    async with stage.listener().listening("/v1/events") as events:
        await stage.router.is_replaced(f"another-{uuid4()}")
        await stage.router.router_says(known, "running")
        fresh = str(uuid4())
        await stage.router.router_says(fresh, "created")
        heard = await heard_until(events, job_id=fresh)
    await stage.router.router_says(known, "complete")
    await stage.router.stream_ends(known, "complete")
    ended = await stage.listener().until_end(known)
    history = (await stage.listener().get(f"/v1/jobs/{known}/history"))["items"]

    assert stage.router.changes_read_from[-1][0] == was
    assert {event.json["job_id"] for event in heard} == {fresh}
    assert history[: len(before)] == before
    assert [one["event"] for one in history[len(before) :]] == ["phase", "end"]
    assert [event.id for event in ended] == [one["id"] for one in history]


# A Router that is left alone


async def test_a_router_that_does_not_answer_is_left_alone_until_it_answers_a_probe(tmp_path: Path) -> None:
    """Nobody waits for what will not come, no write is the one to find out, and a kill is passed on all the same.

    Also one whose key is in doubt: there is nothing to look for first.
    """
    async with misbehaving() as router, gateway_of(router, tmp_path, GATEWAY_BREAKER_FAILURES="2") as stage:
        await stage.listener().eventually("/v1/jobs", lambda page: not page["stale"])
        for name in ("submit", "cancel"):
            assert await stage.told_with(hangs, name) == UNKNOWN
        submit, kill = a_call("submit"), a_call("kill")
        keyed = replace(a_call("kill"), key="stop-it")
        router.faults["GET", "/ping"] = hangs

        refused = await stage.told(submit)
        killed = await stage.told_with(hangs, "kill")
        router.faults["POST", keyed.path] = hangs
        in_doubt = [await stage.told(keyed), await stage.told(keyed)]
        router.faults.clear()
        await stage.listener().eventually("/v1/jobs", lambda page: not page["stale"])
        let_through = [await stage.told(kill), await stage.told(submit)]

    assert (refused.status_code, refused.json()["code"]) == UNREACHABLE
    assert "being probed" in refused.json()["detail"]
    assert killed == UNKNOWN
    assert [(answer.status_code, answer.json()["code"]) for answer in in_doubt] == [UNKNOWN] * 2
    assert router.times("POST", keyed.path) == 2
    assert [answer.status_code for answer in let_through] == [404, 404]
    assert router.times("POST", submit.path) == 1
