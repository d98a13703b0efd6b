"""Every failure and every refusal of a peer has a word of ours."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.domain.errors import (
    AlreadyDecided,
    ClientRefReused,
    Garbled,
    GatewayError,
    Invalid,
    JobFinished,
    JobNotKnown,
    JobSubmitted,
    NotAcceptable,
    NotNow,
    NotOffered,
    NotYours,
    Rejected,
    TooLarge,
    Unanswered,
    Unreachable,
    Upstream,
)
from app.upstream.failures import ACCESS_POINT, ON_A_WRITE, ROUTER, Peer, reading, refusal, writing

ROUTER_API = Path(__file__).parents[2] / "docs" / "router-api.md"

# `malformed` and `method-not-allowed` would be our own mistake, `internal` is the peer's: nothing a caller could mend.
REFUSALS: dict[str, type[GatewayError]] = {
    "malformed": Garbled,
    "unauthorized": Rejected,
    "forbidden": NotYours,
    "not-found": JobNotKnown,
    "method-not-allowed": Garbled,
    "job-already-submitted": JobSubmitted,
    "job-not-pending": NotNow,
    "job-finished": JobFinished,
    "already-decided": AlreadyDecided,
    "client-ref-reused": ClientRefReused,
    "too-large": TooLarge,
    "invalid": Invalid,
    "not-acceptable": NotAcceptable,
    "operation-unavailable": NotOffered,
    "internal": Garbled,
}


def leaves(kind: type[Exception]) -> Iterator[type[Exception]]:
    if not kind.__subclasses__():
        yield kind
    for one in kind.__subclasses__():
        yield from leaves(one)


HTTPX_ERRORS = sorted(
    {kind for kind in leaves(httpx.HTTPError) if kind.__module__.partition(".")[0] == "httpx"}, key=repr
)
NEVER_ASKED_FOR = {httpx.HTTPStatusError}  # only raise_for_status raises it, and nobody here calls that


def documented() -> list[tuple[int, str]]:
    """Status and code of every refusal in the Router's API."""
    rows = re.findall(r"^\| (\d{3}) \| (`[^|]+) \|", ROUTER_API.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(status), code) for status, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)]


def a_refusal(code: str, **facts: object) -> bytes:
    return json.dumps({"error": {"code": code, "detail": "Not so.", **facts}}).encode()


def told(status: int, body: bytes) -> GatewayError:
    return refusal(status, body, missing=JobNotKnown, peer=ROUTER)


def test_every_error_of_httpx_has_a_translation() -> None:
    """Httpx cannot grow an error that passes us untranslated."""
    assert set(HTTPX_ERRORS) - NEVER_ASKED_FOR == set(ON_A_WRITE)


@pytest.mark.parametrize("kind", HTTPX_ERRORS)
def test_a_write_that_failed_is_never_taken_for_not_sent_without_reason(kind: type[Exception]) -> None:
    """Only what surely was not received may be repeated."""
    surely_not = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol}

    with pytest.raises(Upstream) as failed, writing(ROUTER):
        raise made(kind)

    assert isinstance(failed.value, Unreachable) == (kind in surely_not)


@pytest.mark.parametrize("kind", HTTPX_ERRORS)
def test_a_read_that_failed_may_be_repeated(kind: type[Exception]) -> None:
    """It changes nothing, so its outcome is never unknown."""
    with pytest.raises((Unreachable, Garbled)), reading(ROUTER):
        raise made(kind)


@pytest.mark.parametrize("translating", [reading, writing])
def test_an_address_that_is_none_is_garbled(translating: type) -> None:
    """Where httpx raises something else than an HTTPError, a follower would die of it."""
    with pytest.raises(Garbled), translating(ACCESS_POINT):
        httpx.URL("http://[::1")


def test_other_errors_are_not_touched() -> None:
    """A mistake of ours is not the Router's."""
    with pytest.raises(ZeroDivisionError), writing(ROUTER):
        raise ZeroDivisionError


def test_every_documented_refusal_is_listed_here() -> None:
    """A code was added to the Router's API and not to its translation."""
    assert {code for _, code in documented()} == set(REFUSALS)


@pytest.mark.parametrize(("status", "code"), documented())
def test_a_refusal_is_translated(status: int, code: str) -> None:
    """The caller hears the Router's sentence as an error of ours."""
    error = told(status, a_refusal(code))

    assert type(error) is REFUSALS[code]


def test_a_refusals_sentence_and_facts_are_passed_on() -> None:
    """The Router knows best what to do."""
    error = told(422, a_refusal("invalid", field="params.target", allowed=["a", "b"]))

    assert error.detail == "Not so."
    assert error.facts == {"field": "params.target", "allowed": ["a", "b"]}


@pytest.mark.parametrize("fact", ["team", "job_id", "market_status"])
def test_other_facts_are_passed_on_too(fact: str) -> None:
    """Who may, which job it is, and which state it is in."""
    assert told(403, a_refusal("forbidden", **{fact: "x"})).facts == {fact: "x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b'{"error": "no"}',
        b'{"error": {"code": 1}}',
        b'{"error": {"code": "\xff"}}',
        b"[" * 100_000,
    ],
    ids=["empty", "html", "no-error", "text", "number", "not-utf-8", "deep"],
)
@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
def test_a_refusal_that_cannot_be_read_is_garbled(status: int, body: bytes) -> None:
    """A proxy between us and the Router has pages of its own; its 404 is no `no such job`."""
    error = told(status, body)

    assert type(error) is Garbled
    assert error.facts == {"upstream_status": status}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("peer", "look"), [(ROUTER, "GATEWAY_ROUTER_URL"), (ACCESS_POINT, "the Router named")])
def test_a_redirect_is_told_as_what_it_is(peer: Peer, look: str, status: int) -> None:
    """Mostly it is http where https was meant: whoever runs the gateway must learn where to look."""
    error = refusal(status, a_refusal("not-found"), missing=JobNotKnown, peer=peer)

    assert (type(error), error.facts) == (Garbled, {"upstream_status": status})
    assert "not followed" in error.detail
    assert look in error.detail


def test_the_gateways_own_token_is_named_when_it_is_refused() -> None:
    """The caller can do nothing; whoever runs the gateway can."""
    assert "GATEWAY_ROUTER_TOKEN" in told(401, b"").detail


def made(kind: type[Exception]) -> Exception:
    if kind is httpx.HTTPStatusError:
        request = httpx.Request("GET", "http://router.test")
        return httpx.HTTPStatusError("said so", request=request, response=httpx.Response(500, request=request))
    return kind("said so")


def test_what_is_unknown_says_look_before_you_repeat() -> None:
    """The sentence is all that some callers read."""
    with pytest.raises(Unanswered, match="Look before you repeat"), writing(ROUTER):
        raise httpx.ReadTimeout("said so")
