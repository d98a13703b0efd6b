"""Short calls: one request, one answer of bounded size in bounded time, parsed or translated."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field, replace
from typing import TypeVar

import httpx
import msgspec

from app.domain.errors import Garbled, NotKnown, RouterTokenRefused, Unanswered, Upstream
from app.upstream.breaker import Breaker
from app.upstream.clients import Destination
from app.upstream.failures import UNREADABLE, Peer, reading, refusal, writing
from app.upstream.passage import Passage, in_time

T = TypeVar("T")

MAX_ANSWER_BYTES = 16 * 1024 * 1024
JSON = ("application/json",)
NDJSON = ("application/x-ndjson", "application/json")

_PROBED_WITHIN_S = 2.0
# Of a connection that the peer has closed in the meantime.
_DROPPED = (httpx.ConnectError, httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)
# What may stand in a sentence of ours: an answer could name anything.
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,60}/[a-z0-9][a-z0-9!#$&^_.+-]{0,60}")

Query = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked."""

    method: str
    path: str
    params: Query | None = None
    content: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. Of a refusal that is none of the peer's own making there is the status alone."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """Calls to one peer with one token: that of the destination, or one of a caller's own in its place.

    Each has one deadline for all of it, and sets out only if the breaker lets it, unless the calls are `insisting`.
    """

    destination: Destination
    peer: Peer
    breaker: Breaker
    token: str | None = field(default=None, repr=False)
    insists: bool = False

    def acting_as(self, token: str | None) -> "Calls":
        """The same calls with another token."""
        return replace(self, token=token)

    def insisting(self) -> "Calls":
        """The same calls, which set out whatever is believed of the peer."""
        return replace(self, insists=True)

    async def read(
        self,
        path: str,
        kind: type[T],
        *,
        query: Mapping[str, str | Sequence[str] | None] | None = None,
        missing: type[NotKnown] = NotKnown,
    ) -> T:
        """GET, parsed as `kind`."""
        params = {name: value for name, value in (query or {}).items() if value is not None}
        answer = await self._asked(Request(method="GET", path=path, params=params))
        return self._parsed(answer, kind, missing=missing)

    async def question(self, path: str, kind: type[T], *, body: object) -> T:
        """POST JSON that changes nothing, parsed as `kind`."""
        answer = await self._asked(Request(method="POST", path=path, content=msgspec.json.encode(body)))
        return self._parsed(answer, kind, missing=NotKnown)

    async def write(self, path: str, kind: type[T], *, body: object = None, missing: type[NotKnown] = NotKnown) -> T:
        """POST JSON once, never again, parsed as `kind`.

        Garbled with an `upstream_status` of 2xx: perhaps it was done, and perhaps somebody else answered.
        """
        answer = await self._told(Request(method="POST", path=path, content=msgspec.json.encode(body or {})))
        return self._parsed(answer, kind, missing=missing)

    async def end(self, path: str, kind: type[T], *, missing: type[NotKnown] = NotKnown) -> T:
        """DELETE once, never again; what has ended, parsed as `kind`."""
        answer = await self._told(Request(method="DELETE", path=path))
        return self._parsed(answer, kind, missing=missing)

    async def _asked(self, request: Request) -> Answer:
        async with self._setting_out():
            return await self._answer_to_question(request)

    async def _told(self, request: Request) -> Answer:
        """Of a request that may change something: it is sent once, whatever happens on the way."""
        passage = Passage()
        async with self._setting_out():
            with writing(self.peer):
                async with in_time(self.destination.within_s, passage):
                    answer = await self._answer(request, passage)
        refuse_half_done(answer.status, peer=self.peer)
        return answer

    def _setting_out(self) -> AbstractAsyncContextManager[None]:
        return self.breaker.regardless() if self.insists else self.breaker.careful(self._is_there)

    async def _is_there(self) -> bool:
        try:
            async with asyncio.timeout(_PROBED_WITHIN_S):
                answer = await self._answer_to_question(Request(method="GET", path="/ping"))
        except (TimeoutError, Upstream):
            return False
        return httpx.codes.is_success(answer.status)

    async def _answer_to_question(self, request: Request) -> Answer:
        """What changes nothing is asked again, once, where a connection from before turns out to be none any more."""
        passage = Passage()
        with reading(self.peer):
            async with in_time(self.destination.within_s, passage):
                try:
                    return await self._answer(request, passage)
                except _DROPPED:
                    if not passage.found_nobody:
                        raise
                return await self._answer(request, passage)

    async def _answer(self, request: Request, passage: Passage) -> Answer:
        response = await self.destination.ask(
            request.method,
            request.path,
            passage=passage,
            query=request.params,
            content=request.content,
            token=self.token,
        )
        async with aclosing(response):
            return await whole(response, peer=self.peer)

    def _parsed(self, answer: Answer, kind: type[T], *, missing: type[NotKnown]) -> T:
        if answer.status == httpx.codes.UNAUTHORIZED and self.token is not None:
            raise RouterTokenRefused(f"{self.peer} does not accept the token in Router-Authorization.")
        if not httpx.codes.is_success(answer.status):
            raise refusal(answer.status, answer.body, missing=missing, peer=self.peer)
        return parsed(answer.body, kind, peer=self.peer, upstream_status=answer.status)


def parsed(body: bytes, kind: type[T], *, peer: Peer, **facts: object) -> T:
    """The answer as a value. Raises Garbled, naming the field that is wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise Garbled(f"{peer} answered in a way that cannot be read: {error}", **facts) from error


def refuse_half_done(status: int, *, peer: Peer) -> None:
    """A peer that failed while it changed something may have changed it."""
    if httpx.codes.is_server_error(status) and status != httpx.codes.NOT_IMPLEMENTED:
        detail = f"{peer} failed ({status}): whether the request had an effect is unknown."
        raise Unanswered(detail, upstream_status=status)


async def whole(response: httpx.Response, *, peer: Peer) -> Answer:
    """The whole answer. Raises Garbled for a success that is packed, is no JSON, or is larger than is taken."""
    try:
        refuse_foreign(response, JSON, peer=peer)
        body = await _bounded(response, peer=peer)
    except Garbled:
        if response.is_success:
            raise
        body = b""
    return Answer(status=response.status_code, body=body)


def refuse_foreign(response: httpx.Response, kinds: Sequence[str], *, peer: Peer) -> None:
    """Raise Garbled for an answer that is packed, which could unfold without limit, or of no kind that was asked for."""
    status = response.status_code
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        detail = f"{peer} answered with packed bytes (Content-Encoding), which were not asked for; {peer.look}."
        raise Garbled(detail, upstream_status=status)
    said = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if said and said not in kinds and not (JSON[0] in kinds and said.endswith("+json")):
        named = said if _MEDIA_TYPE.fullmatch(said) else "something else"
        detail = (
            f"{peer} answered with {named} where {kinds[0]} was expected. Perhaps that is the page of a proxy or of a "
            f"login on the way; {peer.look}."
        )
        raise Garbled(detail, upstream_status=status)


async def _bounded(response: httpx.Response, *, peer: Peer) -> bytes:
    body = bytearray()
    async for piece in response.aiter_raw():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise Garbled(
                f"{peer} answered with more than {MAX_ANSWER_BYTES} bytes.", upstream_status=response.status_code
            )
    return bytes(body)
