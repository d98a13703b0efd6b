"""The Access Points over HTTP: status streams, and the bytes of assets on their way through."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from math import inf
from uuid import UUID

import httpx
import msgspec

from app.domain.errors import AssetNotKnown, Garbled, JobNotKnown, NotAcceptable, NotYours, RangeOutside
from app.domain.jobs import Mark
from app.domain.network import Asset, Stored, Uploaded
from app.domain.ports import Content, Extent, Wanted
from app.domain.reports import MessageLine, StreamAddress, StreamLine
from app.upstream.calls import NDJSON, Answer, parsed, refuse_foreign, refuse_half_done, whole
from app.upstream.clients import begun, deadline_s, line_within_s
from app.upstream.failures import ACCESS_POINT, UNREADABLE, reading, refusal, writing
from app.upstream.lines import TooLong, lines_of, pieces_of
from app.upstream.passage import Passage, in_time
from app.upstream.transport import PASSAGE
from app.upstream.wire import stream_line

log = logging.getLogger(__name__)

_UPLOAD_TIMEOUT_S = 60.0
_SAID = ("ETag", "Content-Range", "Accept-Ranges", "X-Records", "X-Next-Offset")
_DIGITS = 18
_EXTENTS = {200: Extent.WHOLE, 206: Extent.PART, 304: Extent.UNCHANGED}


class HttpAccessPoints:
    """Fulfils the port AccessPoints. Every call carries a token made for that one job or asset, never the Router's."""

    def __init__(
        self, client: httpx.AsyncClient, *, now: Callable[[], datetime], upload_timeout_s: float = _UPLOAD_TIMEOUT_S
    ) -> None:
        """`upload_timeout_s` is the longest wait for a piece of a table to be taken, and for the answer to the last."""
        self._client = client
        self._now = now
        self._upload_timeout_s = upload_timeout_s

    @asynccontextmanager
    async def lines(
        self, job_id: UUID, address: StreamAddress, *, after: Mark | None
    ) -> AsyncIterator[AsyncIterator[Sequence[StreamLine]]]:
        query = {"epoch": after.epoch, "after": str(after.sequence)} if after else {}
        with reading(ACCESS_POINT):
            async with begun(self._client, address.url, params=query, headers=_bearer(address)) as response:
                if not response.is_success:
                    answer = await whole(response, peer=ACCESS_POINT)
                    raise refusal(answer.status, answer.body, missing=JobNotKnown, peer=ACCESS_POINT)
                refuse_foreign(response, NDJSON, peer=ACCESS_POINT)
                yield self._stream(job_id, response, last=after)

    @asynccontextmanager
    async def content(self, asset: Stored, wanted: Wanted) -> AsyncIterator[Content]:
        address = _address(asset)
        headers = {**wanted.conditions, **_bearer(address), "Accept": wanted.media_type}
        query = {name: str(rows) for name in ("offset", "limit") if (rows := getattr(wanted, name)) is not None}
        with reading(ACCESS_POINT):
            async with begun(self._client, address.url, params=query, headers=headers) as response:
                if response.status_code in _EXTENTS:
                    if response.is_success:
                        refuse_foreign(response, (wanted.media_type,), peer=ACCESS_POINT)
                    yield _content(response, within_s=self._client.timeout.read or inf)
                    return
                if response.status_code == httpx.codes.NOT_ACCEPTABLE:
                    raise NotAcceptable(f"A {asset.kind} has no form {wanted.media_type}.")
                if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise RangeOutside(
                        "None of these bytes are there.", content_range=_said(response).get("Content-Range")
                    )
                answer = await whole(response, peer=ACCESS_POINT)
                raise refusal(answer.status, answer.body, missing=AssetNotKnown, peer=ACCESS_POINT)

    async def upload(self, asset: Asset, *, media_type: str, pieces: AsyncIterator[bytes]) -> Uploaded:
        headers = {**_bearer(_address(asset)), "Content-Type": media_type}
        with writing(ACCESS_POINT):
            answer = await self._put(_address(asset).url, pieces, headers=headers)
        refuse_half_done(answer.status, peer=ACCESS_POINT)
        if not httpx.codes.is_success(answer.status):
            raise refusal(answer.status, answer.body, missing=AssetNotKnown, peer=ACCESS_POINT)
        return parsed(answer.body, Uploaded, peer=ACCESS_POINT, upstream_status=answer.status)

    async def _put(self, url: str, pieces: AsyncIterator[bytes], *, headers: Mapping[str, str]) -> Answer:
        """However long the caller takes to bring the pieces; from the last on the answer has a deadline."""
        passage = Passage()
        patience = httpx.Timeout(self._upload_timeout_s, connect=deadline_s(self._client))
        async with in_time(None, passage) as limit:
            now_s = asyncio.get_running_loop().time
            passage.when_sent = lambda: limit.reschedule(now_s() + self._upload_timeout_s)
            told = {PASSAGE: passage}
            async with self._client.stream(
                "PUT", url, content=pieces, headers=headers, timeout=patience, extensions=told
            ) as response:
                return await whole(response, peer=ACCESS_POINT)

    async def _stream(
        self, job_id: UUID, response: httpx.Response, *, last: Mark | None
    ) -> AsyncIterator[Sequence[StreamLine]]:
        async for together in lines_of(response, within_s=line_within_s(self._client)):
            lines: list[StreamLine] = []
            for raw in together:
                if raw != b"":
                    lines.append(self._line(job_id, raw, last=last))
                    last = lines[-1].mark
            yield lines

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
            raise Garbled(f"{ACCESS_POINT} began a status stream with a line that cannot be read: {why}")
        log.warning("stream line unreadable", extra={"job": str(job_id), "why": why})
        text = msgspec.json.encode({"__type": "UnreadableMessage", "detail": why}).decode()
        mark = Mark(epoch=last.epoch, sequence=last.sequence + 1)
        return MessageLine(mark=mark, when=self._now(), text=text)


def _content(response: httpx.Response, *, within_s: float) -> Content:
    said = _said(response)
    return Content(
        media_type=response.headers.get("content-type", "application/octet-stream"),
        length=_number(response.headers.get("content-length")),
        pieces=pieces_of(response, within_s=within_s),
        extent=_EXTENTS[response.status_code],
        said=said,
        next_offset=_number(said.get("X-Next-Offset")),
    )


def _said(response: httpx.Response) -> Mapping[str, str]:
    """What it says of the bytes; what cannot stand in an answer of ours is left out."""
    return {
        name: said
        for name in _SAID
        if (said := response.headers.get(name)) is not None and said.isprintable() and said.isascii()
    }


def _number(text: str | None) -> int | None:
    is_one = text is not None and text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    return int(text) if text is not None and is_one else None


def _address(asset: Stored) -> StreamAddress:
    if asset.content is None:
        raise NotYours(f"The bytes of {asset.name} belong to {asset.team} and stay there.", team=asset.team)
    return asset.content


def _bearer(address: StreamAddress) -> dict[str, str]:
    return {"Authorization": f"Bearer {address.token}"}
