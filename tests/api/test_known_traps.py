"""What goes wrong in other systems, and what is true here; the table in the architecture's document names each."""

import asyncio
import os
import re
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.api.access import OPEN, RIGHTS
from app.domain.actions import Verb
from app.main import create_app
from app.settings import Settings
from app.store.numbers import VERBS
from tests.support.commands import gateway
from tests.support.events import Event, joined, numbered, sse
from tests.support.gateway import NDJSON, WITHIN_S, Caller, Finished, Gateway, Json, Listener, served
from tests.support.keys import KEYED, Guarded, made_key, with_key
from tests.support.network import INTERSECTION, LONG_REGRESSION, REGRESSION, RunningNetwork
from tests.support.scripted import TOKEN, ScriptedNetwork

_FINISHED: dict[str, Any] = {"finished": "2026-03-01T09:31:00.000000Z", "result": {"asset_id": None}}
_LARGE = 900_000
# The kernels at both ends hide some megabytes of what nobody reads.
_LARGE_ONES = 12
_WEBSOCKET_KEY = {"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}


# Stops and ends


async def test_a_stop_that_was_answered_is_never_followed_by_a_run(caller: Caller) -> None:
    """Not even where the owners say yes afterwards, and the Access Points go on to the jobs behind it."""
    jobs = {verb: await caller.waiting(INTERSECTION) for verb in ("cancel", "kill")}

    stopped = [await caller.client.post(f"/v1/jobs/{job['id']}/{verb}") for verb, job in jobs.items()]
    allowed = [_accepted(caller, job) for job in jobs.values()]
    behind = await caller.finished(INTERSECTION)
    told = [await caller.until_end(job["id"]) for job in jobs.values()]

    assert [answer.status_code for answer in stopped] == [200, 200]
    assert allowed == [{409}, {409}]
    assert [_phases(one)[2:] for one in told] == [["cancelled"], ["killed"]]
    assert [_ran_at(caller, job["id"]) for job in (*jobs.values(), behind)] == [set(), set(), {"globex", "mercy"}]


def _accepted(caller: Caller, job: Json) -> set[int]:
    """Every owner says yes; what they are answered."""
    asked = ((one["team"], f"/v1/access-requests/{one['asset_id']}/{job['id']}/accept") for one in job["waiting_on"])
    return {caller.network.client(team).post(path).status_code for team, path in asked}


def _phases(told: list[Event]) -> list[str]:
    return [event.json["phase"] for event in told if event.name == "phase"]


def _ran_at(caller: Caller, job_id: str) -> set[str]:
    """The Access Points that began a process for it."""
    return {pid.parts[-4] for pid in caller.network.data_dir.glob(f"*/jobs/{job_id}/pid")}


async def test_whoever_sees_that_a_job_is_complete_can_fetch_its_result(caller: Caller) -> None:
    """By whichever way they see it first."""
    job_id = await caller.started(INTERSECTION)

    ways = (_seen_by_status, _seen_by_phase, _seen_by_reading, _seen_by_waiting)
    fetched = await asyncio.gather(*(_fetched_once(caller, job_id, seen) for seen in ways))

    assert fetched == [[200, 200]] * len(ways)


async def _fetched_once(caller: Caller, job_id: str, seen: Any) -> list[int]:
    await seen(caller, job_id)
    paths = (f"/v1/jobs/{job_id}/result", f"/v1/jobs/{job_id}/result/table")
    return [(await caller.client.get(path)).status_code for path in paths]


async def _seen_by_status(caller: Caller, job_id: str) -> None:
    async with caller.listening(f"/v1/jobs/{job_id}/events") as events:
        await anext(event async for event in events if event.name == "status" and event.json["code"] == 4)


async def _seen_by_phase(caller: Caller, job_id: str) -> None:
    await caller.until_phase(job_id, "complete")


async def _seen_by_reading(caller: Caller, job_id: str) -> None:
    await caller.eventually(f"/v1/jobs/{job_id}", lambda job: job["phase"] == "complete" or job["status"] == 4)


async def _seen_by_waiting(caller: Caller, job_id: str) -> None:
    assert (await caller.get(f"/v1/jobs/{job_id}/wait"))["phase"] == "complete"


async def test_whoever_is_told_the_end_was_told_all_that_the_access_point_said(
    caller: Caller, finished: Finished
) -> None:
    """Its own record of the job, line by line, stands before the last phase and the end."""
    job_id = finished.inference["id"]
    lines = [line for line in caller.network.stream(job_id) if b'"kind":"message"' in line]

    told = await caller.until_end(job_id)

    said = [line.partition(b'"message":')[2].removesuffix(b"}").decode() for line in lines]
    *before, last_phase, end = told
    assert len(said) > 1
    assert [event.data for event in before if event.name == "message"] == said
    assert [(event.name, event.json["phase"]) for event in (last_phase, end)] == [
        ("phase", "complete"),
        ("end", "complete"),
    ]


async def test_a_run_whose_process_dies_ends_as_an_error_that_says_so(caller: Caller) -> None:
    """It would look slow for ever."""
    job_id = await caller.running(LONG_REGRESSION)

    os.killpg(caller.network.job_pid("mercy", job_id), signal.SIGKILL)
    told = await caller.until_end(job_id)
    job = await caller.get(f"/v1/jobs/{job_id}")

    assert told[-1].json["phase"] == "error"
    assert (job["phase"], job["status"], job["error_code"]) == ("error", 10, 1005)
    assert "mercy" in job["error"]
    assert job["why"] == {"kind": "error", "error": job["error"], "error_code": 1005}


async def test_a_job_that_queues_and_one_that_starts_are_told_apart(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """Both have the code 0 and nothing to say yet."""
    queued = await _seen_as(watcher, network, "queue", "waiting_on_queue")
    starting = await _seen_as(watcher, network, "starting", "starting")

    assert (queued["status"], starting["status"]) == (0, 0)
    assert (queued["why"]["kind"], starting["why"]) == ("queue", None)
    assert queued["message"] != starting["message"]
    assert (queued["in"], starting["in"]) == (["waiting"], ["active"])


async def _seen_as(watcher: Listener, network: ScriptedNetwork, market_status: str, phase: str) -> Json:
    """The job once it is there, and `in` which lists it is."""
    await network.router_says(market_status)
    job = await watcher.eventually(f"/v1/jobs/{network.job_id}", lambda job: job["phase"] == phase)
    buckets = ("waiting", "active", "history")
    return job | {"in": [one for one in buckets if (await watcher.get("/v1/jobs", job_status=one))["items"]]}


# Viewers


@pytest.fixture
def keyed(network: ScriptedNetwork, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway of the scripted network that asks for keys."""
    with served(tmp_path, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN, **KEYED) as gateway:
        yield gateway


async def test_a_second_viewer_takes_nothing_from_the_first(watcher: Listener, network: ScriptedNetwork) -> None:
    """Each is told everything, and the Access Point is listened to once for all of them."""
    await network.router_says("running")
    await watcher.until_phase(network.job_id, "in_progress")
    async with AsyncExitStack() as open_:
        path = f"/v1/jobs/{network.job_id}/events"
        viewers = [await open_.enter_async_context(watcher.listening(path)) for _ in range(3)]
        await network.stream_says(*(b'{"n":%d}' % number for number in range(50)))
        await _end(network)
        heard = await asyncio.gather(*(_rest_of(one) for one in viewers))

    assert [event.json["n"] for event in heard[0] if event.name == "message"] == [*range(50)]
    assert [joined(one) for one in heard] == [joined(heard[0])] * 3
    assert network.streams_opened == 1


async def test_a_second_tab_leaves_the_first_open(keyed: Gateway, network: ScriptedNetwork) -> None:
    """They share a cookie, and nothing else."""
    _, text = await made_key(keyed.data_dir, "vera")
    await network.router_says("running")
    path = f"/v1/jobs/{network.job_id}/events"
    async with with_key(keyed, text) as vera, keyed.client() as browser, AsyncExitStack() as open_:
        await Listener(keyed, vera).until_phase(network.job_id, "in_progress")
        ticket = (await vera.post("/v1/stream-tickets", json={"job_id": network.job_id})).json()["ticket"]
        tabs = Listener(keyed, browser)
        first = await open_.enter_async_context(tabs.listening(path, ticket=ticket))
        others = [await open_.enter_async_context(tabs.listening(path)) for _ in range(2)]
        await network.stream_says(b'{"n":0}')
        await _end(network)
        heard = await asyncio.gather(*(_rest_of(one) for one in (first, *others)))

    assert [event.name for event in heard[0][-3:]] == ["message", "phase", "end"]
    assert [joined(one) for one in heard] == [joined(heard[0])] * 3


async def test_a_viewer_who_reads_slowly_is_told_everything_and_holds_up_nobody(
    watcher: Listener, network: ScriptedNetwork
) -> None:
    """More is said than lies between them: neither is it thinned out, nor does anybody wait for them."""
    await network.router_says("running")
    await watcher.until_phase(network.job_id, "in_progress")
    path = f"/v1/jobs/{network.job_id}/events"
    async with watcher.client.stream("GET", path) as answer:
        pieces = answer.aiter_raw()
        begun = await anext(pieces)
        await network.stream_says(*(b'{"n":%d,"all":"%s"}' % (n, b"x" * _LARGE) for n in range(_LARGE_ONES)))
        await _end(network)
        whole = await watcher.bytes_of(path)
        slow = begun + b"".join([piece async for piece in pieces])

    told = numbered(sse(slow))
    assert len(slow) > _LARGE * _LARGE_ONES
    assert [event.json["n"] for event in told if event.name == "message"] == [*range(_LARGE_ONES)]
    assert joined(told) == joined(numbered(sse(whole)))


async def test_after_a_restart_nobody_is_told_again_what_they_were_told(
    keyed: Gateway, network: ScriptedNetwork
) -> None:
    """Though the Access Point begins anew with its first line: the viewer's id stands for all before it, and `end` comes once."""
    _, text = await made_key(keyed.data_dir, "vera")
    path = f"/v1/jobs/{network.job_id}/events"
    await network.router_says("running")
    await network.stream_says(b'{"n":0}', b'{"n":1}')
    before = await _heard_until(keyed, text, path, n=1)
    keyed.kill9()
    network.repeats_from_the_start = True
    await network.stream_says(b'{"n":2}')
    await asyncio.to_thread(keyed.start)
    await _end(network)

    async with with_key(keyed, text) as client:
        listener = Listener(keyed, client)
        after = numbered(sse(await listener.bytes_of(path, headers={"Last-Event-ID": str(before[-1].id)})))
        whole = numbered(sse(await listener.bytes_of(path)))
        again = await client.get(path, headers={"Last-Event-ID": str(after[-1].id)})

    assert joined(before + after) == joined(whole)
    assert [event.json["n"] for event in whole if event.name == "message"] == [0, 1, 2]
    assert [event.name for event in whole].count("end") == 1
    assert (again.status_code, again.content) == (204, b"")


async def _heard_until(gateway: Gateway, key: str, path: str, *, n: int) -> list[Event]:
    """A viewer's events up to the message `n`."""
    async with with_key(gateway, key) as client:
        told = await Listener(gateway, client).bytes_until(lambda heard: b'data: {"n":%d}' % n in heard, path)
    return numbered(sse(told))


async def test_a_second_process_on_the_same_database_resets_nothing(
    keyed: Gateway, network: ScriptedNetwork, tmp_path: Path
) -> None:
    """Keys, history, positions and what runs: it is refused, and changes none of them."""
    _, text = await made_key(tmp_path, "vera")
    await network.router_says("running")
    await network.stream_says(b'{"n":0}')
    path = f"/v1/jobs/{network.job_id}"
    await _heard_until(keyed, text, f"{path}/events", n=0)

    async with with_key(keyed, text) as client:
        first = Listener(keyed, client)
        async with first.listening(f"{path}/events") as events:
            before = await _remembered(first, path)
            second = await gateway(
                "serve", data_dir=tmp_path, GATEWAY_ROUTER_URL=network.url, GATEWAY_ROUTER_TOKEN=TOKEN
            )
            after = await _remembered(first, path)
            await network.stream_says(b'{"n":1}')
            await _end(network)
            told = await _rest_of(events)

    assert (second.returncode, "Another gateway" in second.stderr) == (1, True)
    assert before == after
    assert [event.json["n"] for event in told if event.name == "message"] == [0, 1]
    assert told[-1].name == "end"


async def _remembered(listener: Listener, path: str) -> list[object]:
    job, page = await listener.get(path), await listener.get("/v1/jobs")
    history = await listener.get(f"{path}/history")
    return [{**job, "observed_at": None, "stale": None}, page["items"], page["as_of"], history["items"]]


async def _end(network: ScriptedNetwork) -> None:
    """The job is complete, as both say."""
    await network.stream_ends("complete")
    await network.router_says("complete", **_FINISHED)


async def _rest_of(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


# What was tried


async def test_a_retry_leaves_the_attempt_that_failed_on_record(caller: Caller) -> None:
    """With a key and without: who asks what happened on that day is told of both."""
    keys: list[dict[str, str]] = [{}, {"Idempotency-Key": str(uuid4())}]
    jobs = [(await caller.create(REGRESSION))["id"] for _ in keys]
    before = [await _history(caller, job_id) for job_id in jobs]

    async def submitted() -> list[int]:
        tries = zip(jobs, keys, strict=True)
        return [(await caller.client.post(f"/v1/jobs/{job}/submit", headers=key)).status_code for job, key in tries]

    caller.network.stop_router()
    try:
        await caller.eventually("/v1/jobs", lambda page: bool(page["stale"]))
        failed = await submitted()
    finally:
        caller.network.start_router()
    await caller.eventually("/v1/jobs", lambda page: not page["stale"])
    done = await submitted()

    actions = [(await caller.get(f"/v1/jobs/{job}/actions"))["items"] for job in jobs]
    after = [await _history(caller, job_id) for job_id in jobs]
    assert (failed, done) == ([503, 503], [202, 202])
    tried = [("create", "done"), ("submit", "router-unreachable"), ("submit", "done")]
    assert [[(one["verb"], one["outcome"]) for one in some] for some in actions] == [tried, tried]
    assert [rows[: len(known)] for rows, known in zip(after, before, strict=True)] == before


async def test_a_job_that_is_tried_again_leaves_the_one_that_failed_as_it_was(caller: Caller) -> None:
    """The same once more is another job; what the first one told is told still."""
    name = f"tried again {uuid4()}"
    body = {**REGRESSION, "params": {"regression_type": "LOGISTIC", "target": "mean radius"}}
    failed = await caller.finished(body, name=name)
    path = f"/v1/jobs/{failed['id']}"
    before = await caller.bytes_of(f"{path}/events")

    again = await caller.waiting(body, name=name)
    listed = (await caller.get("/v1/jobs", name=name))["items"]
    await caller.client.post(f"/v1/jobs/{again['id']}/cancel")

    assert failed["phase"] == "error"
    waiting = (again["id"], "waiting_on_permission", "")
    assert [(one["id"], one["phase"], one["error"]) for one in listed] == [
        waiting,
        (failed["id"], "error", failed["error"]),
    ]
    assert joined(numbered(sse(await caller.bytes_of(f"{path}/events")))) == joined(numbered(sse(before)))


async def _history(caller: Caller, job_id: str) -> list[Json]:
    rows: list[Json] = (await caller.get(f"/v1/jobs/{job_id}/history"))["items"]
    return rows


# Doors


async def test_every_route_there_is_takes_a_key_in_whichever_form_it_is_asked(guarded: Guarded, tmp_path: Path) -> None:
    """Also those that no document shows, as lines or as events."""
    forms: list[dict[str, str]] = [{}, NDJSON, {"Accept": "text/event-stream"}]
    calls = [(method, path) for method, path in _routes(tmp_path) if path not in OPEN]

    async with guarded.gateway.client() as stranger:
        answers = {
            (method, path, *form.values()): (await stranger.request(method, path, headers=form)).status_code
            for method, path in calls
            for form in forms
        }

    assert len(calls) >= len(RIGHTS)
    assert answers == dict.fromkeys(answers, httpx.codes.UNAUTHORIZED)


async def test_an_offer_to_go_on_in_another_protocol_lets_nobody_in(guarded: Guarded) -> None:
    """What looks after HTTP alone would not look after that."""
    offer = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", **_WEBSOCKET_KEY}
    paths = ("/v1/events", "/v1/jobs", f"/v1/jobs/{uuid4()}/events", "/v1/nothing")

    async with httpx.AsyncClient(base_url=guarded.gateway.url, trust_env=False) as stranger:
        answers = {(await stranger.get(path, headers=offer)).status_code for path in paths}

    assert answers == {httpx.codes.UNAUTHORIZED}


def _routes(data_dir: Path) -> Iterator[tuple[str, str]]:
    """Every method of every route of the application, with an id where one is wanted."""
    routes: list[Any] = []
    for route in create_app(Settings(data_dir=data_dir)).routes:
        included = getattr(route, "effective_route_contexts", None)
        routes += included() if included else [route]
    for one in routes:
        for method in one.methods:  # a route of another kind than HTTP has none, and has to be thought of here
            yield method, re.sub(r"\{\w+\}", lambda _: str(uuid4()), one.path)


WRITES = {
    "createJob": Verb.CREATE,
    "submitJob": Verb.SUBMIT,
    "cancelJob": Verb.CANCEL,
    "killJob": Verb.KILL,
    "acceptAccessRequest": Verb.ACCEPT,
    "denyAccessRequest": Verb.DENY,
    "createAsset": Verb.UPLOAD,
    "createAgreement": Verb.AGREE,
    "endAgreement": Verb.END_AGREEMENT,
}
# They are sent a body, and change nothing at the Router.
ONLY_ASK = {"createStreamTicket", "preflightJob"}


async def test_whatever_changes_something_at_the_router_leaves_an_action(
    guarded: Guarded, running_network: RunningNetwork
) -> None:
    """Every operation that is no question; also where the Router says no."""
    ours, asked = await asyncio.to_thread(_asked, running_network)
    request = f"/v1/access-requests/{ours}/{asked}"
    async with guarded.client("root") as root:
        document = (await root.get("/openapi.json")).json()
        before = len(_actions(guarded))
        job = (await root.post("/v1/jobs", json={"job_name": "on record", **REGRESSION})).json()
        for verb in ("submit", "cancel", "kill"):
            await root.post(f"/v1/jobs/{job['id']}/{verb}")
        for answer in ("accept", "deny"):
            await root.post(f"{request}/{answer}")
        table, kind = {"name": f"table-{uuid4()}"}, {"Content-Type": "text/csv"}
        await root.post("/v1/assets", params=table, content=b"a,b\n1,2\n", headers=kind)
        terms = {"to_team": "lakeside", "asset_id": "globex/holdout", "protocol": "PRIVATE_SET_INTERSECTION"}
        agreement = (await root.post("/v1/agreements", json={**terms, "run_limit": 1})).json()
        await root.delete(f"/v1/agreements/{agreement['id']}")

    writing = {
        operation["operationId"]
        for methods in document["paths"].values()
        for method, operation in methods.items()
        if method != "get"
    }
    assert writing - ONLY_ASK == WRITES.keys()
    left = _actions(guarded)[before:]
    assert [VERBS[verb] for verb in WRITES.values()] == [verb for verb, _, _ in left]
    assert {user for _, user, _ in left} == {"root"}
    refused = {"job-finished", "already-decided"}
    assert {outcome for _, _, outcome in left} == {"done", *refused}


def _actions(guarded: Guarded) -> list[tuple[int, str, str]]:
    with closing(sqlite3.connect(guarded.gateway.data_dir / "gateway.db", timeout=WITHIN_S)) as database:
        return database.execute("SELECT verb, user, outcome FROM action ORDER BY id").fetchall()


def _asked(network: RunningNetwork) -> tuple[str, str]:
    """An access request of mercy's for an asset of ours: the asset and the job, which lakeside will not let run."""
    body = {**REGRESSION, "dataset": ["globex/holdout", "lakeside/breast-cancer"]}
    job = network.submit(body, team="mercy")
    return next(str(one["asset_id"]) for one in job["waiting_on"] if one["team"] == "globex"), str(job["id"])
