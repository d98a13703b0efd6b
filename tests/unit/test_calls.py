"""The Router and the Access Points over HTTP, when they are not what they should be."""

import asyncio
import json
import os
import socket
import sys
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import timedelta, timezone
from time import monotonic
from urllib.parse import urlsplit
from uuid import uuid4

import msgspec
import pytest
from msgspec.structs import replace

from app.domain.errors import (
    AssetNotKnown,
    Garbled,
    GatewayError,
    JobNotKnown,
    NotYours,
    Rejected,
    RouterTokenRefused,
    Unanswered,
    Unreachable,
    Upstream,
)
from app.domain.jobs import Mark
from app.domain.network import Asset, NewAgreement
from app.domain.ports import Wanted
from app.domain.reports import Change, EndLine, MessageLine, StreamAddress, StreamLine
from app.upstream.access_points import HttpAccessPoints
from app.upstream.breaker import Breaker
from app.upstream.calls import MAX_ANSWER_BYTES
from app.upstream.clients import Clients, open_clients
from app.upstream.lines import MAX_LINE_BYTES
from app.upstream.passage import Passage
from app.upstream.router import HttpRouter
from tests.support.loopback import Answer, Server, answers, babbles, breaks_off, drops, hangs, loopback
from tests.support.misbehaving import (
    Exchange,
    Fault,
    Misbehaving,
    drips,
    drips_its_head,
    drops_kept,
    floods,
    floods_its_head,
    hangs_before_the_body,
    misbehaving,
    says,
)
from tests.support.misbehaving import breaks_off as misbehaving_breaks_off
from tests.support.misbehaving import drops as misbehaving_drops
from tests.support.misbehaving import hangs as misbehaving_hangs
from tests.support.news import JOB, NEW_JOB, NOON, report

SECRET = "the Router's token"  # noqa: S105  (opens nothing)
CALLERS = "a-caller's-own-token"
AGREEMENT = NewAgreement(
    to_team="mercy",
    asset_id="globex/t",
    asset_restricted=True,
    expiration=NOON.astimezone(timezone(timedelta(hours=2))),
    run_limit=None,
    algorithm=None,
    algorithm_security=None,
    protocol="REGRESSION",
)
ME_AT = ("GET", "/v1/me")
SUBMIT_AT = ("POST", f"/v1/jobs/{JOB}/submit")
PREFLIGHT_AT = ("POST", "/v1/jobs/preflight")
ASSET_AT = ("PUT", f"/v1/assets/{JOB}/content")
PREFLIGHT = b'{"status": null, "approvals": []}'
ME = b'{"user": "ann", "team": "globex", "role": "owner", "epoch": "e"}'
NDJSON = "application/x-ndjson"
CSV = Wanted(media_type="text/csv")
LONG_S = 10.0
SHORT_S = 0.5


@asynccontextmanager
async def speaking_to(
    answer: Answer, *, patience_s: float = LONG_S
) -> AsyncIterator[tuple[HttpRouter, HttpAccessPoints, Server]]:
    """The gateway's side, with a Router that answers so."""
    async with loopback(answer) as server, speaking(server.url, patience_s=patience_s) as (router, access_points):
        yield router, access_points, server


@asynccontextmanager
async def speaking(url: str, *, patience_s: float = LONG_S) -> AsyncIterator[tuple[HttpRouter, HttpAccessPoints]]:
    async with open_clients(url, token=SECRET, call_timeout_s=patience_s, silence_s=patience_s) as clients:
        router = HttpRouter.of(calls=clients.calls, streams=clients.changes)
        yield router, HttpAccessPoints(clients.access_points, now=lambda: NOON)


def stream_at(url: str) -> StreamAddress:
    return StreamAddress(url=f"{url}/v1/jobs/{JOB}/stream", token="for this stream")  # noqa: S106  (opens nothing)


def asset_at(url: str) -> Asset:
    content = StreamAddress(url=f"{url}/v1/assets/{JOB}/content", token="for this asset")  # noqa: S106  (opens nothing)
    return Asset(
        id=JOB,
        name="globex/t",
        team="globex",
        kind="table",
        columns=(),
        records=None,
        job_id=None,
        created=NOON,
        content=content,
    )


@asynccontextmanager
async def speaking_to_misbehaving(
    faults: dict[tuple[str, str], Fault], *, patience_s: float = LONG_S
) -> AsyncIterator[tuple[HttpRouter, HttpAccessPoints, Misbehaving]]:
    """The same with one that keeps connections, and does right where no fault is set."""
    async with misbehaving() as server, speaking(server.url, patience_s=patience_s) as (router, access_points):
        server.faults = faults
        yield router, access_points, server


def clients_of(server: Misbehaving) -> AbstractAsyncContextManager[Clients]:
    return open_clients(server.url, token=SECRET, call_timeout_s=LONG_S, silence_s=LONG_S)


def counted(fault: Fault, taken: list[int]) -> Fault:
    """The same; then how many bytes of the answer were taken."""

    async def counting(exchange: Exchange) -> None:
        try:
            await fault(exchange)
        finally:
            taken.append(exchange.sent)

    return counting


def chunked(fault: Fault) -> Fault:
    """The same, after a body whose length nobody knew."""

    async def reading_all(exchange: Exchange) -> None:
        await exchange.chunks()
        await fault(exchange)

    return reading_all


def ndjson(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def line(sequence: int, kind: str = "message", **said: object) -> dict[str, object]:
    when = "2026-03-01T12:00:00Z"
    return {"epoch": "e", "sequence": sequence, "when": when, "kind": kind, **said}


async def lines_heard(access_points: HttpAccessPoints, url: str, *, after: Mark | None = None) -> list[StreamLine]:
    heard: list[StreamLine] = []
    async with access_points.lines(JOB, stream_at(url), after=after) as lines:
        async for together in lines:
            heard += together
    return heard


async def changes_heard(router: HttpRouter, *, after: Mark | None = None) -> list[Change]:
    async with router.changes(after) as changes:
        return [change async for together in changes for change in together]


async def one_piece() -> AsyncIterator[bytes]:
    yield b"a\n1\n"


# Never twice


@pytest.mark.parametrize("answer", [drops, breaks_off, babbles, answers(500), answers(502), answers(503)])
async def test_a_write_that_was_received_and_not_answered_is_unknown_and_sent_once(answer: Answer) -> None:
    """Sent again, the job would run twice."""
    async with speaking_to(answer) as (router, _, server):
        with pytest.raises(Unanswered):
            await router.create(NEW_JOB, client_ref="ref")

    assert [seen.method for seen in server.seen] == ["POST"]


async def test_a_write_that_is_never_answered_is_unknown_and_sent_once() -> None:
    """Also when nobody says anything at all."""
    async with speaking_to(hangs, patience_s=SHORT_S) as (router, _, server):
        with pytest.raises(Unanswered):
            await router.submit(JOB, client_ref="a deed")

    assert [seen.target for seen in server.seen] == [f"/v1/jobs/{JOB}/submit"]


@pytest.mark.parametrize("answer", [drops, answers(500), answers(503)])
async def test_an_upload_that_was_not_answered_is_unknown_and_sent_once(answer: Answer) -> None:
    """Bytes that may lie there already."""
    async with speaking_to(answer) as (_, access_points, server):
        with pytest.raises(Unanswered):
            await access_points.upload(asset_at(server.url), media_type="text/csv", pieces=one_piece())

    assert [(seen.method, seen.body) for seen in server.seen] == [("PUT", b"a\n1\n")]


@pytest.mark.parametrize("answer", [drops, babbles, answers(500)])
async def test_an_end_that_was_not_answered_is_unknown_and_sent_once(answer: Answer) -> None:
    """An agreement that may grant something yet, or not."""
    async with speaking_to(answer) as (router, _, server):
        with pytest.raises(Unanswered):
            await router.end_agreement(JOB)

    assert [(seen.method, seen.target) for seen in server.seen] == [("DELETE", f"/v1/agreements/{JOB}")]


@pytest.mark.parametrize(("answer", "failure"), [(drops, Unreachable), (babbles, Unreachable), (answers(500), Garbled)])
async def test_a_question_with_a_body_changes_nothing_and_may_be_repeated(
    answer: Answer, failure: type[Upstream]
) -> None:
    """A preflight of which nobody knows what became is asked again."""
    async with speaking_to(answer) as (router, _, _server):
        with pytest.raises(failure):
            await router.preflight(NEW_JOB)


async def test_nobody_there_means_surely_not_received() -> None:
    """It may be sent again."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with speaking(url) as (router, _):
        with pytest.raises(Unreachable):
            await router.create(NEW_JOB, client_ref="ref")


@pytest.mark.parametrize("answer", [drops, breaks_off, babbles])
async def test_a_read_that_broke_off_is_unreachable(answer: Answer) -> None:
    """It may be asked again."""
    async with speaking_to(answer) as (router, _, _server):
        with pytest.raises(Unreachable):
            await router.me()


async def test_a_read_has_a_deadline() -> None:
    """A caller waits for us; we do not wait for ever."""
    async with speaking_to(hangs, patience_s=SHORT_S) as (router, _, _server):
        with pytest.raises(Unreachable):
            await router.me()


# One deadline for all of it


@pytest.mark.parametrize("fault", [drips, drips_its_head, hangs_before_the_body], ids=["body", "head", "nothing"])
async def test_a_call_has_one_deadline_however_many_bytes_come(fault: Fault) -> None:
    """Whoever sends a byte now and then is never late by any single wait."""
    faults = {ME_AT: fault, SUBMIT_AT: fault, PREFLIGHT_AT: fault}
    async with speaking_to_misbehaving(faults, patience_s=SHORT_S) as (router, _, server):
        for call, failure in (("me", Unreachable), ("submit", Unanswered), ("preflight", Unreachable)):
            started_s = monotonic()
            with pytest.raises(failure):
                await CALLS[call](router)
            assert monotonic() - started_s < 4 * SHORT_S

    assert [seen.method for seen in server.seen] == ["GET", "POST", "POST"]


async def test_a_write_that_found_no_connection_in_time_was_surely_not_received() -> None:
    """With all of them taken by calls that hang, it has not set out."""
    arrived = asyncio.Semaphore(0)

    async def holds(exchange: Exchange) -> None:
        arrived.release()
        await misbehaving_hangs(exchange)

    async with (
        speaking_to_misbehaving({("GET", "/held"): holds}) as (_, _points, server),
        open_clients(server.url, token=SECRET, call_timeout_s=SHORT_S, silence_s=LONG_S) as clients,
    ):
        held = [asyncio.create_task(clients.calls.ask("GET", "/held", passage=Passage())) for _ in range(64)]
        for _ in held:
            await arrived.acquire()
        try:
            with pytest.raises(Unreachable):
                await HttpRouter.of(calls=clients.calls, streams=clients.changes).submit(JOB, client_ref="a deed")
        finally:
            for one in held:
                one.cancel()
            await asyncio.wait(held)

    assert server.times(*SUBMIT_AT) == 0


@pytest.mark.parametrize("fault", [drips_its_head, hangs_before_the_body], ids=["drips", "hangs"])
async def test_a_stream_begins_in_time_or_not_at_all(fault: Fault) -> None:
    """After that only its silence counts."""
    faults = {("GET", "/v1/changes"): fault, ("GET", f"/v1/jobs/{JOB}/stream"): fault}
    async with speaking_to_misbehaving(faults, patience_s=SHORT_S) as (router, access_points, server):
        async with asyncio.timeout(4 * SHORT_S):
            with pytest.raises(Unreachable):
                await changes_heard(router)
        async with asyncio.timeout(4 * SHORT_S):
            with pytest.raises(Unreachable):
                await lines_heard(access_points, server.url)


async def test_a_stream_goes_on_beyond_the_deadline_of_its_beginning() -> None:
    """It has no end by nature."""
    async with speaking_to_misbehaving({}, patience_s=SHORT_S) as (router, _, _server):
        started_s = monotonic()
        async with router.changes(None) as changes:
            async for _ in changes:
                if monotonic() - started_s > 2 * SHORT_S:
                    return


async def test_a_failure_of_whoever_reads_a_stream_is_none_of_the_routers() -> None:
    """A deadline of ours that is over must not look like a Router that is away."""
    async with speaking_to_misbehaving({}) as (router, _, _server):
        with pytest.raises(TimeoutError):
            async with router.changes(None):
                raise TimeoutError


@pytest.mark.parametrize("fault", [drips, drips_its_head, misbehaving_hangs], ids=["body", "head", "nothing"])
async def test_the_answer_to_an_upload_has_a_deadline(fault: Fault) -> None:
    """It counts from the last piece on."""
    async with (
        speaking_to_misbehaving({ASSET_AT: chunked(fault)}) as (_, _points, server),
        clients_of(server) as clients,
    ):
        points = HttpAccessPoints(clients.access_points, now=lambda: NOON, upload_timeout_s=SHORT_S)
        async with asyncio.timeout(4 * SHORT_S):
            with pytest.raises(Unanswered):
                await points.upload(asset_at(server.url), media_type="text/csv", pieces=one_piece())

    assert server.times(*ASSET_AT) == 1


async def test_an_upload_that_is_not_taken_is_given_up() -> None:
    """Its pieces are not heaped up, and not waited for without end."""

    async def much() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * (1 << 20)

    async with (
        speaking_to_misbehaving({ASSET_AT: hangs_before_the_body}) as (_, _points, server),
        clients_of(server) as clients,
    ):
        points = HttpAccessPoints(clients.access_points, now=lambda: NOON, upload_timeout_s=SHORT_S)
        async with asyncio.timeout(LONG_S):
            with pytest.raises(Unanswered):
                await points.upload(asset_at(server.url), media_type="text/csv", pieces=much())


async def test_the_pieces_of_an_upload_may_take_as_long_as_their_caller_does() -> None:
    """A slow line of a caller's is no fault of the Access Point's."""

    async def slow() -> AsyncIterator[bytes]:
        yield b"a\n"
        await asyncio.sleep(2 * SHORT_S)  # longer than the Access Point may take
        yield b"1\n"

    uploaded = json.dumps({"id": str(JOB), "columns": [], "records": 1}).encode()
    async with (
        speaking_to_misbehaving({ASSET_AT: chunked(says(200, uploaded))}) as (_, _points, server),
        clients_of(server) as clients,
    ):
        points = HttpAccessPoints(clients.access_points, now=lambda: NOON, upload_timeout_s=SHORT_S)
        assert (await points.upload(asset_at(server.url), media_type="text/csv", pieces=slow())).records == 1


# Connections that are kept


async def test_a_read_on_a_connection_that_was_dropped_is_asked_once_more() -> None:
    """The Router was restarted a moment ago: no reason to tell a caller of it."""
    faults = {ME_AT: drops_kept(says(200, ME)), PREFLIGHT_AT: drops_kept(says(200, PREFLIGHT))}
    async with speaking_to_misbehaving(faults) as (router, _, server):
        await router.me()
        await router.me()
        await router.preflight(NEW_JOB)

    assert [urlsplit(seen.target).path for seen in server.seen] == ["/v1/me"] * 3 + ["/v1/jobs/preflight"] * 2


@pytest.mark.parametrize("call", ["create", "submit", "cancel", "kill", "end an agreement", "accept"])
async def test_a_write_on_a_connection_that_was_dropped_is_not_sent_again(call: str) -> None:
    """It may have been received: that the connection was an old one proves nothing."""
    async with speaking_to_misbehaving({ME_AT: says(200, ME)}) as (router, _, server):
        await router.me()
        server.fault = drops_kept(says(200, b"{}"))
        with pytest.raises(Unanswered):
            await CALLS[call](router)

    assert len(server.seen) == 2


async def test_a_read_that_was_dropped_on_a_connection_of_its_own_is_not_repeated() -> None:
    """That is no old connection: the Router itself breaks off."""
    async with speaking_to_misbehaving({ME_AT: misbehaving_drops}) as (router, _, server):
        with pytest.raises(Unreachable):
            await router.me()

    assert len(server.seen) == 1


async def test_a_read_that_is_dropped_again_is_unreachable() -> None:
    """Once more, and no oftener."""
    async with speaking_to_misbehaving({}) as (router, _, server):
        await router.me()
        server.faults = {ME_AT: misbehaving_drops}
        with pytest.raises(Unreachable):
            await router.me()

    assert len(server.seen) == 3


async def test_a_read_that_breaks_off_in_its_answer_is_not_repeated() -> None:
    """The connection was good: something came by it."""
    async with speaking_to_misbehaving({}) as (router, _, server):
        await router.me()
        server.faults = {ME_AT: misbehaving_breaks_off}
        with pytest.raises(Unreachable):
            await router.me()

    assert len(server.seen) == 2


async def test_a_read_that_takes_too_long_is_not_repeated() -> None:
    """Whoever waits has waited long enough, and a Router that is busy has enough to do."""
    async with speaking_to_misbehaving({}, patience_s=SHORT_S) as (router, _, server):
        await router.me()
        server.faults = {ME_AT: misbehaving_hangs}
        with pytest.raises(Unreachable):
            await router.me()

    assert len(server.seen) == 2


# While the Router does not answer


@asynccontextmanager
async def given_up() -> AsyncIterator[tuple[HttpRouter, Misbehaving, list[float]]]:
    """A Router that did not answer often enough; the list holds the time by which the breaker goes."""
    now_s = [100.0]
    async with misbehaving() as server, clients_of(server) as clients:
        breaker = Breaker(failures=2, now_s=lambda: now_s[0])
        router = HttpRouter.of(calls=clients.calls, streams=clients.changes, breaker=breaker)
        server.faults = {SUBMIT_AT: misbehaving_breaks_off}
        for one in (router, router.acting_as(CALLERS)):
            with pytest.raises(Unanswered):
                await one.submit(JOB, client_ref="a deed")
        server.faults = {}
        server.seen.clear()
        yield router, server, now_s


@pytest.mark.parametrize("call", ["create", "submit", "cancel", "made with", "preflight", "end an agreement"])
async def test_a_router_that_does_not_answer_is_left_alone(call: str) -> None:
    """Nobody waits for what will not come; with whose token they ask makes no difference."""
    async with given_up() as (router, server, _):
        for one in (router, router.acting_as(CALLERS)):
            with pytest.raises(Unreachable, match="being probed") as refused:
                await CALLS[call](one)

    assert server.seen == []
    assert refused.value.facts == {"retry_after_s": 1}


async def test_after_a_pause_a_ping_goes_ahead_of_the_call() -> None:
    """No write is ever the one to find out."""
    async with given_up() as (router, server, now_s):
        now_s[0] += 1
        with pytest.raises(JobNotKnown):
            await router.submit(JOB, client_ref="a deed")

    assert [seen.target for seen in server.seen] == ["/ping", f"/v1/jobs/{JOB}/submit"]


@pytest.mark.parametrize("fault", [says(500, b"{}"), says(302, b""), misbehaving_breaks_off])
async def test_a_ping_that_fails_keeps_the_call_back(fault: Fault) -> None:
    """Longer from then on."""
    async with given_up() as (router, server, now_s):
        server.faults = {("GET", "/ping"): fault}
        now_s[0] += 1
        with pytest.raises(Unreachable) as refused:
            await router.submit(JOB, client_ref="a deed")

    assert [seen.target for seen in server.seen] == ["/ping"]
    assert refused.value.facts == {"retry_after_s": 2}


@pytest.mark.parametrize("call", ["kill", "me"])
async def test_a_kill_is_passed_on_whatever_is_believed(call: str) -> None:
    """Somebody wants a computation to stop; and whose token it is must be known before."""
    async with given_up() as (router, server, _):
        with suppress(JobNotKnown):
            await CALLS[call](router)
        await router.assets(name=None, team=None, kind=None)

    assert len(server.seen) == 2


async def test_the_feed_is_not_held_back_and_its_return_lets_the_next_caller_probe() -> None:
    """It dials by itself; what it hears proves nothing of calls."""
    async with given_up() as (router, server, _):
        async with router.changes(None) as changes:
            await anext(changes)
        await router.assets(name=None, team=None, kind=None)

    assert [seen.target for seen in server.seen] == ["/v1/changes", "/ping", "/v1/assets"]


async def test_refusals_and_nonsense_are_answers() -> None:
    """A Router that says no is not away, and one that fails is there."""
    async with speaking_to(answers(500, b"{}")) as (router, _, server):
        for _ in range(10):
            with pytest.raises(Unanswered):
                await router.submit(JOB, client_ref="a deed")

    assert len(server.seen) == 10


# Nonsense


@pytest.mark.parametrize(
    "body",
    [b"<html>Welcome</html>", b"", b"[]", b"null", b"\xff", b'{"user": "\xff"}', b"[" * 100_000],
    ids=["html", "empty", "list", "null", "not-text", "not-utf-8", "deep"],
)
async def test_an_answer_that_makes_no_sense_is_garbled(body: bytes) -> None:
    """And says which answer it was: after one of success a write may have been done."""
    async with speaking_to(answers(200, body)) as (router, _, _server):
        for call in ("me", "create"):
            with pytest.raises(Garbled) as failed:
                await CALLS[call](router)
            assert failed.value.facts == {"upstream_status": 200}


@pytest.mark.parametrize("call", ["me", "create"])
@pytest.mark.parametrize(
    ("kind", "named"),
    [
        ("text/html; charset=utf-8", "text/html"),
        ("Text/Plain", "text/plain"),
        ("application/x-ndjson", "application/x-ndjson"),
        ("<script>alert(1)</script>", "something else"),
        ("x" * 5000, "something else"),
    ],
)
async def test_an_answer_of_another_kind_is_garbled_and_its_kind_named(call: str, kind: str, named: str) -> None:
    """A captive portal answers everything with 200; even what could be read by chance is not the Router's."""
    async with speaking_to(answers(200, ME, kind=kind)) as (router, _, _server):
        with pytest.raises(Garbled, match=f"answered with {named} .*GATEWAY_ROUTER_URL") as failed:
            await CALLS[call](router)

    assert failed.value.facts == {"upstream_status": 200}


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/vnd.router+json"])
async def test_json_may_be_spelled_in_any_way(kind: str) -> None:
    """The kind is what counts, not its letters."""
    async with speaking_to(answers(200, ME, kind=kind)) as (router, _, _server):
        assert (await router.me()).user == "ann"


async def test_a_stream_of_another_kind_is_garbled() -> None:
    """Line by line a login page would become messages of a job."""
    page = answers(200, b"<html>\n<body>Please log in\n", kind="text/html")

    async with speaking_to(page) as (router, access_points, server):
        with pytest.raises(Garbled, match="text/html"):
            await lines_heard(access_points, server.url)
        with pytest.raises(Garbled, match="text/html"):
            await changes_heard(router)


@pytest.mark.parametrize(("status", "failure"), [(404, Garbled), (401, Rejected), (500, Garbled)])
async def test_the_page_of_a_proxy_is_no_refusal_of_the_routers(status: int, failure: type[GatewayError]) -> None:
    """Its 404 is no `no such job`, whatever stands in it."""
    body = b'{"error": {"code": "not-found", "detail": "There is none."}}'

    async with speaking_to(answers(status, body, kind="text/html")) as (router, _, _server):
        with pytest.raises(failure):
            await router.job(JOB)


PACKED = zlib.compress(b" " * (100 * 1024 * 1024), wbits=31)


@pytest.mark.parametrize("call", ["me", "create", "job"])
async def test_a_packed_answer_is_not_unfolded(call: str) -> None:
    """A hundred kilobytes of it are a hundred megabytes: it would be too late to count them then."""
    async with speaking_to(answers(200, PACKED, Content_Encoding="gzip")) as (router, access_points, server):
        with pytest.raises(Garbled, match="packed"):
            await CALLS[call](router)
        with pytest.raises(Garbled, match="packed"):
            await changes_heard(router)
        with pytest.raises(Garbled, match="packed"):
            await lines_heard(access_points, server.url)

    assert {seen.headers["accept-encoding"] for seen in server.seen} == {"identity"}


async def test_a_packed_refusal_is_one_without_its_reason() -> None:
    """Its status says enough, above all of a write that has failed in the middle."""
    async with speaking_to(answers(500, PACKED, Content_Encoding="gzip")) as (router, _, _server):
        with pytest.raises(Unanswered) as failed:
            await router.submit(JOB, client_ref="a deed")

    assert failed.value.facts == {"upstream_status": 500}


async def test_a_missing_field_is_named() -> None:
    """Whoever mends it wants to know which."""
    async with speaking_to(answers(200, b'{"user": "ann", "team": "globex", "role": "owner"}')) as (router, _, _server):
        with pytest.raises(Garbled, match="epoch"):
            await router.me()


async def test_a_time_without_its_zone_is_refused_where_it_is_read() -> None:
    """It could be any of 24 moments; let in, the history could not write it down."""
    document = json.loads(msgspec.json.encode(report(1)))
    document["created"] = "2026-03-01T12:00:00"

    async with speaking_to(answers(200, json.dumps(document).encode())) as (router, _, _server):
        with pytest.raises(Garbled, match="created"):
            await router.job(JOB)


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    """It would fill the memory."""
    taken: list[int] = []
    async with speaking_to_misbehaving({ME_AT: counted(floods, taken)}) as (router, _, _server):
        with pytest.raises(Garbled, match="more than"):
            await router.me()

    assert MAX_ANSWER_BYTES <= taken[0] < 4 * MAX_ANSWER_BYTES


async def test_a_head_without_end_is_not_read_to_its_end() -> None:
    """Nothing of it is an answer yet."""
    taken: list[int] = []
    faults = {ME_AT: counted(floods_its_head, taken), SUBMIT_AT: counted(floods_its_head, taken)}
    async with speaking_to_misbehaving(faults) as (router, _, _server):
        with pytest.raises(Unreachable):
            await router.me()
        with pytest.raises(Unanswered):
            await router.submit(JOB, client_ref="a deed")

    assert max(taken) < MAX_ANSWER_BYTES


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_garbled_and_not_followed(status: int) -> None:
    """Whoever answers must not send our token elsewhere."""
    async with loopback(answers(200, ME)) as elsewhere:
        async with speaking_to(answers(status, Location=elsewhere.url)) as (router, access_points, server):
            with pytest.raises(Garbled, match="GATEWAY_ROUTER_URL") as read:
                await router.me()
            with pytest.raises(Garbled, match="GATEWAY_ROUTER_URL") as written:
                await router.submit(JOB, client_ref="a deed")
            with pytest.raises(Garbled, match="not followed"):
                await lines_heard(access_points, server.url)

        assert elsewhere.seen == []
    assert not [failed for failed in (read, written) if elsewhere.url in failed.value.detail]


# Tokens and ways


async def test_the_routers_token_goes_to_the_router_alone() -> None:
    """An address learned elsewhere gets the token that came with it, and no other."""
    async with (
        loopback(answers(200, ndjson(line(1, "end", outcome="complete")), kind=NDJSON)) as point,
        speaking_to(answers(200, ME)) as (router, access_points, server),
    ):
        await router.me()
        await lines_heard(access_points, point.url)
        with pytest.raises(Garbled):
            async with access_points.content(asset_at(point.url), CSV):
                pass
        with pytest.raises(Garbled):
            await access_points.upload(asset_at(point.url), media_type="text/csv", pieces=one_piece())

    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {SECRET}"]
    assert {seen.headers["authorization"] for seen in point.seen} == {"Bearer for this stream", "Bearer for this asset"}
    assert SECRET not in repr(point.seen)


async def test_proxies_of_the_environment_are_not_used() -> None:
    """A variable of somebody's shell must not decide where tokens go."""
    async with loopback(answers(200, ME)) as proxy, loopback(answers(200, ME)) as server:
        proxies = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), proxy.url)
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.support.asking", server.url), env={**os.environ, **proxies}
        )
        await child.wait()

    assert proxy.seen == []
    assert [seen.target for seen in server.seen] == ["/v1/me", "/v1/changes", "/stream"]


async def test_a_refused_token_is_told() -> None:
    """Of the Router and of a stream."""
    async with speaking_to(answers(401)) as (router, access_points, server):
        with pytest.raises(Rejected):
            await router.me()
        with pytest.raises(Rejected):
            await lines_heard(access_points, server.url)


# In a caller's own name


CALLS: dict[str, Callable[[HttpRouter], Awaitable[object]]] = {
    "me": lambda router: router.me(),
    "job": lambda router: router.job(JOB),
    "create": lambda router: router.create(NEW_JOB, client_ref="ref"),
    "made with": lambda router: router.made_with("ref"),
    "submit": lambda router: router.submit(JOB, client_ref="a deed"),
    "cancel": lambda router: router.cancel(JOB, reason=None, client_ref="a deed"),
    "kill": lambda router: router.kill(JOB, reason="why", client_ref="a deed"),
    "register": lambda router: router.register_table("t", temporary=False),
    "preflight": lambda router: router.preflight(NEW_JOB),
    "agree": lambda router: router.agree(AGREEMENT),
    "end an agreement": lambda router: router.end_agreement(JOB),
    "accept": lambda router: router.accept(JOB, JOB, reason=None, client_ref="a deed"),
    "deny": lambda router: router.deny(JOB, JOB, reason=None, client_ref="a deed"),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_in_a_callers_name_carries_their_token_in_place_of_ours(call: str) -> None:
    """The Router is to see one user, and to say who it was."""
    async with speaking_to(answers(404, b"{}")) as (router, _, server):
        with pytest.raises(GatewayError):
            await CALLS[call](router.acting_as(CALLERS))
        with pytest.raises(GatewayError):
            await CALLS[call](router)

    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {CALLERS}", f"Bearer {SECRET}"]
    assert SECRET not in repr(server.seen[0])
    assert CALLERS not in repr(server.seen[1])


async def test_nobody_in_particular_is_the_gateway_itself() -> None:
    """Most callers have no token of their own."""
    async with speaking_to(answers(200, ME)) as (router, _, server):
        await router.acting_as(None).me()
        await router.acting_as(CALLERS).acting_as(None).me()

    assert server.seen[0].headers["authorization"] == f"Bearer {SECRET}"


async def test_what_is_listened_to_stays_the_gateways_own() -> None:
    """The news is everybody's; whoever asks in a caller's name must not see other news."""
    async with speaking_to(answers(200, ndjson(line(1)), kind=NDJSON)) as (router, _, server):
        await changes_heard(router.acting_as(CALLERS))

    assert [seen.headers["authorization"] for seen in server.seen] == [f"Bearer {SECRET}"]


@pytest.mark.parametrize("call", CALLS)
async def test_a_callers_token_that_is_not_accepted_is_the_callers_matter(call: str) -> None:
    """Whoever runs the gateway can mend only its own."""
    async with speaking_to(answers(401, b'{"error": {"code": "unauthorized", "detail": "No."}}')) as (
        router,
        _,
        _server,
    ):
        with pytest.raises(RouterTokenRefused, match="Router-Authorization"):
            await CALLS[call](router.acting_as(CALLERS))
        with pytest.raises(Rejected, match="GATEWAY_ROUTER_TOKEN"):
            await CALLS[call](router)


async def test_what_a_user_may_not_do_is_no_matter_of_the_token() -> None:
    """It is good; the answer is the Router's, and names whose it would be to do."""
    body = b'{"error": {"code": "forbidden", "detail": "An owner decides.", "team": "mercy"}}'

    async with speaking_to(answers(403, body)) as (router, _, _server):
        with pytest.raises(NotYours, match="An owner decides") as refused:
            await router.acting_as(CALLERS).accept(JOB, JOB, reason=None, client_ref="a deed")

    assert not isinstance(refused.value, RouterTokenRefused)
    assert refused.value.facts == {"team": "mercy"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_callers_token_does_not_follow_a_redirect(status: int) -> None:
    """It is good at the Router that is configured and nobody else's to read."""
    async with loopback(answers(200, ME)) as elsewhere:
        async with speaking_to(answers(status, Location=elsewhere.url)) as (router, _, _server):
            for call in CALLS.values():
                with pytest.raises(Garbled):
                    await call(router.acting_as(CALLERS))

        assert elsewhere.seen == []


@pytest.mark.parametrize(
    "answer",
    [drops, breaks_off, babbles, answers(401), answers(500), answers(200, b"{}"), answers(302, Location="http://x\0")],
    ids=["drops", "breaks-off", "babbles", "401", "500", "empty", "redirects"],
)
@pytest.mark.parametrize("call", ["me", "create"])
async def test_no_error_tells_a_token(call: str, answer: Answer) -> None:
    """Errors end up in logs with all their causes, and in the answers to others."""
    async with speaking_to(answer) as (router, _, _server):
        for one in (router, router.acting_as(CALLERS)):
            with pytest.raises(GatewayError) as failed:
                await CALLS[call](one)
            told = "".join(traceback.format_exception(failed.value)) + repr(failed.value.facts)
            assert not {secret for secret in (SECRET, CALLERS) if secret in told}


async def test_what_is_missing_is_named_as_what_was_asked_for() -> None:
    """`not found` alone does not say what."""
    body = b'{"error": {"code": "not-found", "detail": "There is none."}}'

    async with speaking_to(answers(404, body)) as (router, _, _server):
        with pytest.raises(JobNotKnown):
            await router.job(JOB)
        with pytest.raises(AssetNotKnown):
            await router.asset(JOB)


async def test_bytes_of_another_team_are_not_asked_for() -> None:
    """They stay where they are; there is no address to ask at."""
    async with speaking_to(answers(200)) as (_, access_points, server):
        with pytest.raises(NotYours):
            async with access_points.content(replace(asset_at(server.url), content=None), CSV):
                pass

    assert server.seen == []


@pytest.mark.parametrize("url", ["http://[::1", "nowhere", "ftp://point.test/", "http://\0"])
async def test_an_address_that_leads_nowhere_is_the_peers_fault(url: str) -> None:
    """The Router named it."""
    async with speaking_to(answers(200)) as (_, access_points, _server):
        with pytest.raises(Upstream):
            async with access_points.lines(uuid4(), StreamAddress(url=url, token="t"), after=None):  # noqa: S106
                pass


async def test_each_dataset_is_named_in_a_query() -> None:
    """By alias, with what has a meaning in addresses."""
    async with speaking_to(answers(200, b'{"status": "both"}')) as (router, _, server):
        usage = await router.usage(algorithm="globex/m&m", datasets=["a/b", "c/d"])

    assert usage.status == "both"
    assert server.seen[0].target == "/v1/assets/usage?algorithm=globex%2Fm%26m&dataset=a%2Fb&dataset=c%2Fd"


async def test_a_word_that_is_none_of_the_set_is_garbled() -> None:
    """Shown as it is, it could be taken for permission."""
    async with speaking_to(answers(200, b'{"status": "maybe"}')) as (router, _, _server):
        with pytest.raises(Garbled, match="status"):
            await router.usage(algorithm=None, datasets=["a/b"])


# Streams


async def test_a_stream_is_read_from_a_mark() -> None:
    """That is how it resumes."""
    end = answers(200, ndjson(line(8, "end", outcome="complete")), kind=NDJSON)

    async with speaking_to(end) as (_, access_points, server):
        heard = await lines_heard(access_points, server.url, after=Mark(epoch="a&b", sequence=7))

    assert isinstance(heard[0], EndLine)
    assert server.seen[0].target == f"/v1/jobs/{JOB}/stream?epoch=a%26b&after=7"


async def test_an_empty_line_is_a_sign_of_life() -> None:
    """Nothing is new."""
    async with (
        speaking_to(answers(200, b"\n", kind=NDJSON)) as (_, points, server),
        points.lines(JOB, stream_at(server.url), after=None) as lines,
    ):
        assert [together async for together in lines] == [[]]


DEEP = (
    b'{"epoch":"e","sequence":2,"when":"2026-03-01T12:00:00Z","kind":"message","message":'
    + b"[" * 100_000
    + b"]" * 100_000
    + b"}\n"
)


@pytest.mark.parametrize(
    "unreadable",
    [
        b"nonsense\n",
        b"\xff\n",
        ndjson(line(2, "status", status={})),
        ndjson(line(2, "unheard-of")),
        b'{"epoch":"e","sequence":2,"when":"2026-03-01T12:00:00Z","kind":"message","message":"\xff"}\n',
        ndjson({**line(2, message=1), "when": "2026-03-01T12:00:00"}),
        DEEP,
        b"x" * (MAX_LINE_BYTES + 1) + b"\n",
    ],
    ids=["no-json", "no-utf-8", "no-status", "no-kind", "message-no-utf-8", "no-zone", "deep", "long"],
)
async def test_an_unreadable_line_is_told_and_the_stream_goes_on(unreadable: bytes) -> None:
    """One bad line must not cost the rest of the story."""
    told = ndjson(line(1, message="before")) + unreadable + ndjson(line(3, message="after"))

    async with speaking_to(answers(200, told, kind=NDJSON)) as (_, access_points, server):
        heard = await lines_heard(access_points, server.url)

    before, bad, after = (one.text for one in heard if isinstance(one, MessageLine))
    assert (before, after) == ('"before"', '"after"')
    assert json.loads(bad)["__type"] == "UnreadableMessage"
    assert [one.mark.sequence for one in heard if one] == [1, 2, 3]


async def test_a_stream_that_is_silent_counts_as_cut() -> None:
    """Its sign of life comes every second."""

    async def falls_silent(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + ndjson(line(1, message="hi")))
        await writer.drain()
        await writer.wait_closed()

    async with speaking_to(falls_silent, patience_s=SHORT_S) as (router, access_points, server):
        with pytest.raises(Unreachable):
            await lines_heard(access_points, server.url)
        with pytest.raises(Unreachable):
            await changes_heard(router)


async def test_a_change_may_be_as_large_as_any_answer() -> None:
    """Refused, the feed would meet it again at every try and never get past it."""
    large = report(2, params=msgspec.Raw(b'"' + b"x" * MAX_LINE_BYTES + b'"'))
    told = b'{"epoch":"router","sequence":2,"job":' + msgspec.json.encode(large) + b"}\n"

    async with speaking_to(answers(200, told, kind=NDJSON)) as (router, _, server):
        heard = await changes_heard(router, after=Mark(epoch="router", sequence=1))

    assert [change.report for change in heard] == [large]
    assert server.seen[0].target == "/v1/changes?epoch=router&after=1"


async def test_a_change_that_cannot_be_read_is_garbled() -> None:
    """Passed over, a job would stand still here for ever."""
    async with speaking_to(answers(200, b"nonsense\n", kind=NDJSON)) as (router, _, _server):
        with pytest.raises(Garbled):
            await changes_heard(router)
