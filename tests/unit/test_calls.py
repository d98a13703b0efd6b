"""The Router and the Access Points over HTTP, when they are not what they should be."""

import asyncio
import json
import os
import socket
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta, timezone
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
from app.upstream.calls import MAX_ANSWER_BYTES
from app.upstream.clients import open_clients
from app.upstream.lines import MAX_LINE_BYTES
from app.upstream.router import HttpRouter
from tests.support.loopback import Answer, Server, answers, babbles, breaks_off, drops, hangs, loopback
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


def ndjson(*lines: object) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def line(sequence: int, kind: str = "message", **said: object) -> dict[str, object]:
    when = "2026-03-01T12:00:00Z"
    return {"epoch": "e", "sequence": sequence, "when": when, "kind": kind, **said}


async def lines_heard(
    access_points: HttpAccessPoints, url: str, *, after: Mark | None = None
) -> list[StreamLine | None]:
    heard: list[StreamLine | None] = []
    async with access_points.lines(JOB, stream_at(url), after=after) as lines:
        async for one in lines:
            heard.append(one)  # noqa: PERF401  (what was heard before a failure matters)
    return heard


async def changes_heard(router: HttpRouter, *, after: Mark | None = None) -> list[Change]:
    async with router.changes(after) as changes:
        return [change async for change in changes]


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
            await router.submit(JOB)

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


# Nonsense


@pytest.mark.parametrize(
    "body",
    [b"<html>Welcome</html>", b"", b"[]", b"null", b"\xff", b'{"user": "\xff"}', b"[" * 100_000],
    ids=["html", "empty", "list", "null", "not-text", "not-utf-8", "deep"],
)
async def test_an_answer_that_makes_no_sense_is_garbled(body: bytes) -> None:
    """A captive portal answers everything with 200."""
    async with speaking_to(answers(200, body, kind="text/html")) as (router, _, _server):
        with pytest.raises(Garbled):
            await router.me()


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


async def test_an_answer_without_end_is_garbled() -> None:
    """It would fill the memory."""
    async with speaking_to(answers(200, b" " * (MAX_ANSWER_BYTES + 1))) as (router, _, _server):
        with pytest.raises(Garbled, match="more than"):
            await router.me()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_garbled_and_not_followed(status: int) -> None:
    """Whoever answers must not send our token elsewhere."""
    async with loopback(answers(200, ME)) as elsewhere:
        async with speaking_to(answers(status, Location=elsewhere.url)) as (router, access_points, server):
            with pytest.raises(Garbled):
                await router.me()
            with pytest.raises(Garbled):
                await router.submit(JOB)
            with pytest.raises(Garbled):
                await lines_heard(access_points, server.url)

        assert elsewhere.seen == []


# Tokens and ways


async def test_the_routers_token_goes_to_the_router_alone() -> None:
    """An address learned elsewhere gets the token that came with it, and no other."""
    async with (
        loopback(answers(200, ndjson(line(1, "end", outcome="complete")), kind=NDJSON)) as point,
        speaking_to(answers(200, ME)) as (router, access_points, server),
    ):
        await router.me()
        await lines_heard(access_points, point.url)
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
    "create": lambda router: router.create(NEW_JOB, client_ref="ref"),
    "made with": lambda router: router.made_with("ref"),
    "submit": lambda router: router.submit(JOB),
    "cancel": lambda router: router.cancel(JOB, reason=None),
    "kill": lambda router: router.kill(JOB, reason="why"),
    "register": lambda router: router.register_table("t", temporary=False),
    "preflight": lambda router: router.preflight(NEW_JOB),
    "agree": lambda router: router.agree(AGREEMENT),
    "end an agreement": lambda router: router.end_agreement(JOB),
    "accept": lambda router: router.accept(JOB, JOB, reason=None),
    "deny": lambda router: router.deny(JOB, JOB, reason=None),
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
            await router.acting_as(CALLERS).accept(JOB, JOB, reason=None)

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
    async with speaking_to(answers(200, b"\n" + ndjson(line(1, message="hi")), kind=NDJSON)) as (_, points, server):
        heard = await lines_heard(points, server.url)

    assert heard[0] is None
    assert isinstance(heard[1], MessageLine)


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
