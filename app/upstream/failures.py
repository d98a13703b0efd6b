"""The one translator of httpx's failures and of the Router's refusals into ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import msgspec

from app.domain.errors import (
    AlreadyDecided,
    ClientRefReused,
    Garbled,
    GatewayError,
    Invalid,
    JobFinished,
    JobSubmitted,
    NotAcceptable,
    NotKnown,
    NotNow,
    NotOffered,
    NotYours,
    Rejected,
    TooLarge,
    Unanswered,
    Unreachable,
    Upstream,
)
from app.domain.jobs import StopAnswer

# What each failure means for a call that changes something. One that only reads may always be repeated, so for it
# whatever happened on the way means: not reached.
ON_A_WRITE: dict[type[Exception], type[Upstream]] = {
    httpx.ConnectError: Unreachable,
    httpx.ConnectTimeout: Unreachable,
    httpx.PoolTimeout: Unreachable,
    httpx.UnsupportedProtocol: Unreachable,
    httpx.ReadError: Unanswered,
    httpx.ReadTimeout: Unanswered,
    httpx.WriteError: Unanswered,
    httpx.WriteTimeout: Unanswered,
    httpx.CloseError: Unanswered,
    httpx.RemoteProtocolError: Unanswered,
    httpx.LocalProtocolError: Unanswered,
    httpx.ProxyError: Unanswered,
    httpx.DecodingError: Garbled,
    httpx.TooManyRedirects: Garbled,
}

_REFUSALS: dict[str, type[GatewayError]] = {
    "job-already-submitted": JobSubmitted,
    "job-not-pending": NotNow,
    "job-finished": JobFinished,
    "already-decided": AlreadyDecided,
    "client-ref-reused": ClientRefReused,
    "invalid": Invalid,
    "too-large": TooLarge,
    "operation-unavailable": NotOffered,
    "forbidden": NotYours,
    "not-acceptable": NotAcceptable,
}


# What decoding raises for bytes that are not what they should be; nesting without end is the third.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Refusal(msgspec.Struct):
    code: str
    detail: str
    field: str | None = None
    allowed: list[object] | None = None
    team: str | None = None
    job_id: str | None = None
    market_status: str | None = None
    answers: tuple[StopAnswer, ...] | None = None


class _Answer(msgspec.Struct):
    error: _Refusal


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom we speak to, and what to look at when somebody else answers."""

    name: str
    look: str

    def __str__(self) -> str:
        return self.name


ROUTER = Peer("The Router", "look at GATEWAY_ROUTER_URL, which must lead to the Router itself")
ACCESS_POINT = Peer("The Access Point", "look at its address, which the Router named")


@contextmanager
def reading(peer: Peer) -> Iterator[None]:
    """Translate for a call that only reads."""
    try:
        yield
    except httpx.HTTPError as error:
        kind = Garbled if ON_A_WRITE.get(type(error)) is Garbled else Unreachable
        raise _told(kind, peer) from error
    except httpx.InvalidURL as error:
        raise Garbled(f"{peer} has an address that cannot be read: {error}") from error


@contextmanager
def writing(peer: Peer) -> Iterator[None]:
    """Translate for a call that changes something: what may have been received is Unanswered."""
    try:
        yield
    except httpx.HTTPError as error:
        raise _told(ON_A_WRITE.get(type(error), Unanswered), peer) from error
    except httpx.InvalidURL as error:
        raise Garbled(f"{peer} has an address that cannot be read: {error}") from error


def refusal(status: int, body: bytes, *, missing: type[NotKnown], peer: Peer) -> GatewayError:
    """The error that a refusing answer stands for."""
    if status == httpx.codes.UNAUTHORIZED:
        return Rejected(f"{peer} does not accept the gateway's token; check GATEWAY_ROUTER_TOKEN.")
    if httpx.codes.is_redirect(status):
        return Garbled(
            f"{peer} answered {status}, a redirect. Redirects are not followed; {peer.look}.", upstream_status=status
        )
    try:
        said = msgspec.json.decode(body, type=_Answer).error
    except UNREADABLE:
        return Garbled(f"{peer} answered {status} without saying why.", upstream_status=status)
    if status == httpx.codes.NOT_FOUND:
        return missing(said.detail)
    known = _REFUSALS.get(said.code)
    if known is None:
        return Garbled(f"{peer} answered {status}: {said.detail}", upstream_status=status)
    return known(said.detail, **_facts(said))


def _facts(said: _Refusal) -> dict[str, object]:
    named = ("field", "allowed", "team", "job_id", "market_status", "answers")
    return {name: value for name in named if (value := getattr(said, name)) is not None}


def _told(kind: type[Upstream], peer: Peer) -> Upstream:
    sentences: dict[type[Upstream], str] = {
        Unreachable: f"{peer} cannot be reached at the moment; try again later.",
        Unanswered: f"{peer} did not answer: whether it received the request is unknown. Look before you repeat it.",
        Garbled: f"{peer} answered in a way that cannot be read.",
    }
    return kind(sentences[kind])
