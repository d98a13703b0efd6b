"""Short calls: one request, one answer of bounded size, parsed or translated."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import httpx
import msgspec

from app.domain.errors import Garbled, NotKnown, RouterTokenRefused, Unanswered
from app.upstream.failures import UNREADABLE, reading, refusal, writing

T = TypeVar("T")

MAX_ANSWER_BYTES = 16 * 1024 * 1024


class Calls:
    """Calls to one peer with one token: that of the client, or one of a caller's own in its place."""

    def __init__(self, client: httpx.AsyncClient, *, peer: str, token: str | None = None) -> None:
        self._client = client
        self._peer = peer
        self._token = token

    def acting_as(self, token: str | None) -> "Calls":
        """The same calls with another token."""
        return Calls(self._client, peer=self._peer, token=token)

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
        with reading(self._peer):
            status, body = await self._ask("GET", path, params=params)
        return self._parsed(status, body, kind, missing=missing)

    async def write(self, path: str, kind: type[T], *, body: object = None, missing: type[NotKnown] = NotKnown) -> T:
        """POST JSON once, never again, parsed as `kind`."""
        with writing(self._peer):
            status, answer = await self._ask("POST", path, content=msgspec.json.encode(body or {}))
        refuse_half_done(status, peer=self._peer)
        return self._parsed(status, answer, kind, missing=missing)

    async def end(self, path: str, kind: type[T], *, missing: type[NotKnown] = NotKnown) -> T:
        """DELETE once, never again; what has ended, parsed as `kind`."""
        with writing(self._peer):
            status, answer = await self._ask("DELETE", path)
        refuse_half_done(status, peer=self._peer)
        return self._parsed(status, answer, kind, missing=missing)

    async def question(self, path: str, kind: type[T], *, body: object) -> T:
        """POST JSON that changes nothing, parsed as `kind`."""
        with reading(self._peer):
            status, answer = await self._ask("POST", path, content=msgspec.json.encode(body))
        return self._parsed(status, answer, kind, missing=NotKnown)

    async def _ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | Sequence[str]] | None = None,
        content: bytes | None = None,
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"} if content is not None else {}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        async with self._client.stream(method, path, params=params, content=content, headers=headers) as response:
            return response.status_code, await bounded(response, peer=self._peer)

    def _parsed(self, status: int, body: bytes, kind: type[T], *, missing: type[NotKnown]) -> T:
        if status == httpx.codes.UNAUTHORIZED and self._token is not None:
            raise RouterTokenRefused(f"{self._peer} does not accept the token in Router-Authorization.")
        if not httpx.codes.is_success(status):
            raise refusal(status, body, missing=missing, peer=self._peer)
        return parsed(body, kind, peer=self._peer)


def parsed(body: bytes, kind: type[T], *, peer: str) -> T:
    """The answer as a value. Raises Garbled, naming the field that is wrong."""
    try:
        return msgspec.json.decode(body, type=kind)
    except UNREADABLE as error:
        raise Garbled(f"{peer} answered in a way that cannot be read: {error}") from error


def refuse_half_done(status: int, *, peer: str) -> None:
    """A peer that failed while it changed something may have changed it."""
    if httpx.codes.is_server_error(status) and status != httpx.codes.NOT_IMPLEMENTED:
        detail = f"{peer} failed ({status}): whether the request had an effect is unknown."
        raise Unanswered(detail, upstream_status=status)


async def bounded(response: httpx.Response, *, peer: str) -> bytes:
    """The whole answer. Raises Garbled when it is larger than is taken."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) > MAX_ANSWER_BYTES:
            raise Garbled(f"{peer} answered with more than {MAX_ANSWER_BYTES} bytes.")
    return bytes(body)
