"""The Access Points over HTTP: status streams, and the bytes of assets on their way through."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

import httpx
import msgspec

from app.domain.errors import AssetNotKnown, Garbled, JobNotKnown, NotAcceptable, NotYours
from app.domain.jobs import Mark
from app.domain.network import Asset, Uploaded
from app.domain.ports import Content
from app.domain.reports import MessageLine, StreamAddress, StreamLine
from app.upstream.calls import bounded, parsed, refuse_half_done
from app.upstream.failures import UNREADABLE, reading, refusal, writing
from app.upstream.lines import TooLong, lines_of
from app.upstream.wire import stream_line

log = logging.getLogger(__name__)

_PEER = "The Access Point"
_UPLOAD_TIMEOUT_S = 60.0


class HttpAccessPoints:
    """Fulfils the port AccessPoints. Every call carries a token made for that one job or asset, never the Router's."""

    def __init__(self, client: httpx.AsyncClient, *, now: Callable[[], datetime]) -> None:
        self._client = client
        self._now = now

    @asynccontextmanager
    async def lines(
        self, job_id: UUID, address: StreamAddress, *, after: Mark | None
    ) -> AsyncIterator[AsyncIterator[StreamLine | None]]:
        query = {"epoch": after.epoch, "after": str(after.sequence)} if after else {}
        headers = _bearer(address)
        with reading(_PEER):
            async with self._client.stream("GET", address.url, params=query, headers=headers) as response:
                if not response.is_success:
                    raise refusal(
                        response.status_code, await bounded(response, peer=_PEER), missing=JobNotKnown, peer=_PEER
                    )
                yield self._stream(job_id, response, last=after)

    @asynccontextmanager
    async def content(self, asset: Asset, *, media_type: str) -> AsyncIterator[Content]:
        address = _address(asset)
        headers = {**_bearer(address), "Accept": media_type}
        with reading(_PEER):
            async with self._client.stream("GET", address.url, headers=headers) as response:
                if response.status_code == httpx.codes.NOT_ACCEPTABLE:
                    raise NotAcceptable(f"A {asset.kind} has no form {media_type}.")
                if not response.is_success:
                    raise refusal(
                        response.status_code, await bounded(response, peer=_PEER), missing=AssetNotKnown, peer=_PEER
                    )
                yield _content(response)

    async def upload(self, asset: Asset, *, media_type: str, pieces: AsyncIterator[bytes]) -> Uploaded:
        address = _address(asset)
        headers = {**_bearer(address), "Content-Type": media_type}
        with writing(_PEER):
            async with self._client.stream(
                "PUT", address.url, content=pieces, headers=headers, timeout=_UPLOAD_TIMEOUT_S
            ) as response:
                status, body = response.status_code, await bounded(response, peer=_PEER)
        refuse_half_done(status, peer=_PEER)
        if not httpx.codes.is_success(status):
            raise refusal(status, body, missing=AssetNotKnown, peer=_PEER)
        return parsed(body, Uploaded, peer=_PEER)

    async def _stream(
        self, job_id: UUID, response: httpx.Response, *, last: Mark | None
    ) -> AsyncIterator[StreamLine | None]:
        async for raw in lines_of(response):
            if raw == b"":
                yield None
                continue
            line = self._line(job_id, raw, last=last)
            last = line.mark
            yield line

    def _line(self, job_id: UUID, raw: bytes | TooLong, *, last: Mark | None) -> StreamLine:
        """The line; one that cannot be read becomes a message that says so, and the stream goes on."""
        if isinstance(raw, TooLong):
            return self._unreadable(job_id, "longer than is taken", last=last)
        try:
            return stream_line(raw)
        except UNREADABLE as error:
            return self._unreadable(job_id, str(error), last=last)

    def _unreadable(self, job_id: UUID, why: str, *, last: Mark | None) -> StreamLine:
        if last is None:
            raise Garbled(f"{_PEER} began a status stream with a line that cannot be read: {why}")
        log.warning("stream line unreadable", extra={"job": str(job_id), "why": why})
        text = msgspec.json.encode({"__type": "UnreadableMessage", "detail": why}).decode()
        mark = Mark(epoch=last.epoch, sequence=last.sequence + 1)
        return MessageLine(mark=mark, when=self._now(), text=text)


def _content(response: httpx.Response) -> Content:
    length = response.headers.get("content-length")
    return Content(
        media_type=response.headers.get("content-type", "application/octet-stream"),
        length=int(length) if length is not None and length.isdecimal() else None,
        pieces=response.aiter_bytes(),
    )


def _address(asset: Asset) -> StreamAddress:
    if asset.content is None:
        raise NotYours(f"The bytes of {asset.name} belong to {asset.team} and stay there.", team=asset.team)
    return asset.content


def _bearer(address: StreamAddress) -> dict[str, str]:
    return {"Authorization": f"Bearer {address.token}"}
