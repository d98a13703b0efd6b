"""A stream as an answer: its head, where it stands, and from then on whatever the log brings."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from uuid import UUID

from sse_starlette import EventSourceResponse
from starlette.types import Message, Receive, Scope, Send

from app.api.frames import Frames, NdjsonFrames, SseFrames, of_all, of_all_as_text, of_job, of_job_as_text
from app.domain.events import Event
from app.http11 import Wire
from app.services.streams import Render, Streams, Viewer

SSE: Frames = SseFrames()
NDJSON: Frames = NdjsonFrames()

_HEADERS = {"Cache-Control": "no-cache, no-transform"}
_RETRY_MS = (1_000, 3_000)


def _at_once(write: Callable[[Event, Frames], bytes], frames: Frames) -> Render:
    async def rendered(events: Sequence[Event]) -> list[bytes]:
        return [write(event, frames) for event in events]

    return rendered


def _apart(write: Callable[[Event, Frames], bytes], frames: Frames) -> Render:
    """In a thread: long messages take milliseconds each to be put into words, and nobody else's stream waits for that."""

    def written(events: Sequence[Event]) -> list[bytes]:
        return [write(event, frames) for event in events]

    async def rendered(events: Sequence[Event]) -> list[bytes]:
        return await asyncio.to_thread(written, events)

    return rendered


# One for each form, and not one for each viewer: those who watch a stream in the same form share its frames.
OF_JOB = {
    (frames, form): render
    for frames in (SSE, NDJSON)
    for form, render in (("json", _at_once(of_job, frames)), ("text", _apart(of_job_as_text, frames)))
}
OF_ALL = {
    (frames, form): render
    for frames in (SSE, NDJSON)
    for form, render in (("json", _at_once(of_all, frames)), ("text", _apart(of_all_as_text, frames)))
}


class Outlet:
    """A connection as the streams use it: past everything that wraps `send`, for a thousand of them are written in turn."""

    def __init__(self, wire: Wire, *, ping: bytes) -> None:
        self.ping = ping
        self._wire = wire

    def at_once(self, chunk: bytes, *, last: bool) -> bool:
        """The server's `send` writes without a wait where there is room, and begins with the wait where there is none."""
        sending = self._wire.send(_body(chunk, last=last))
        try:
            sending.send(None)
        except StopIteration:
            return True
        sending.close()
        return False

    async def wait(self, chunk: bytes, *, last: bool) -> None:
        """As soon as there is room."""
        await self._wire.send(_body(chunk, last=last))

    def cut(self) -> None:
        """Break off."""
        self._wire.cut()


class EventStream(EventSourceResponse):
    """One task for each connection: it sends what there is, and then waits for the caller to leave."""

    def __init__(
        self,
        streams: Streams,
        job_id: UUID | None,
        *,
        position: int,
        snapshot: str,
        frames: Frames,
        form: str,
        visiting: Callable[[Callable[[], None]], AbstractContextManager[object]],
    ) -> None:
        super().__init__(_nothing(), headers=_HEADERS, media_type=frames.media_type, ping=0)
        self._streams = streams
        self._job_id = job_id
        self._position = position
        self._first = frames.snapshot(snapshot, position=position, retry_ms=random.randint(*_RETRY_MS))  # noqa: S311
        self._frames = frames
        self._render = (OF_ALL if job_id is None else OF_JOB)[frames, form]
        self._visiting = visiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["method"] == "HEAD":
            await super().__call__(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        outlet = Outlet(scope["wire"], ping=self._frames.ping)
        first, self._first = self._first, b""  # a stream may last for days
        await outlet.wait(first, last=False)
        viewer = Viewer(outlet, cursor=self._position)
        with self._visiting(viewer.send_home):
            await self._streams.show(self._job_id, viewer, render=self._render, left=lambda: _left(receive))


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _body(chunk: bytes, *, last: bool) -> Message:
    return {"type": "http.response.body", "body": chunk, "more_body": not last}


async def _nothing() -> AsyncIterator[bytes]:
    """What a HEAD is answered with."""
    return
    yield b""
