"""A stream as an answer: its head, where it stands, and from then on whatever the log brings."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial

from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from app.api.frames import Frames, NdjsonFrames, SseFrames, of_all, of_all_as_text, of_job, of_job_as_text
from app.api.staying import stay
from app.domain.events import Event
from app.services.channels import Render, Watched
from app.services.streams import Streams
from app.services.viewers import Viewer

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a connection begins: after a `position`, with a snapshot. Up to `whole_after` events have been removed."""

    position: int
    snapshot: str
    whole_after: int = 0

    @property
    def cursor(self) -> int:
        """After which event it goes on."""
        return max(self.position, self.whole_after)

    def frames(self, frames: Frames) -> bytes:
        """The snapshot, and the gap if there is one: who is cut off between the two is told of it again."""
        snapshot = _snapshot(self.snapshot, frames, position=self.position)
        if self.cursor == self.position:
            return snapshot
        gap = f'{{"after":{self.position},"resumes_at":{self.cursor}}}'
        return snapshot + frames.event(self.cursor, "gap", gap)


class EventStream(EventSourceResponse):
    """One task for each connection: it sends what there is, and then waits for the caller to leave."""

    def __init__(
        self,
        streams: Streams,
        watched: Watched,
        *,
        standing: Standing,
        frames: Frames,
        client: str,
        visiting: Callable[[Callable[[], None]], AbstractContextManager[object]],
    ) -> None:
        super().__init__(_nothing(), headers=_HEADERS, media_type=frames.media_type, ping=0)
        self._streams = streams
        self._watched = watched
        self._standing = standing
        self._frames = frames
        self._client = client
        self._visiting = visiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI. Raises TooManyStreams before anything was sent.

        The viewer is served once everything that led here has returned.
        """
        with ExitStack() as place:
            place.enter_context(self._streams.place(self._client))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            viewer = Viewer(
                scope["wire"],
                cursor=self._standing.cursor,
                first=self._standing.frames(self._frames),
                still_here=_SIGNS[self._frames],
            )
            place.enter_context(self._visiting(viewer.send_home))
            left = partial(_left, receive, viewer)
            stay(scope, partial(self._streams.show, self._watched, viewer, left=left), over=place.pop_all())


async def _left(receive: Receive, viewer: Viewer) -> None:
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except HTTPException:  # more of a body than is taken: nothing behind that can be heard
        viewer.send_home()


def _snapshot(snapshot: str, frames: Frames, *, position: int) -> bytes:
    """Where this connection stands. Clients that are sent away together come back one by one."""
    return frames.snapshot(snapshot, position=position, retry_ms=random.randint(*_RETRY_MS))  # noqa: S311


def _sign_of_life(frames: Frames, position: int | None) -> bytes:
    """A position that is told is where a client goes on that has seen nothing for long."""
    return frames.ping if position is None else _snapshot(f'{{"as_of":{position}}}', frames, position=position)


_SIGNS = {frames: partial(_sign_of_life, frames) for frames in (SSE, NDJSON)}


async def _nothing() -> AsyncIterator[bytes]:
    """What the class is given to send: the streams write by themselves."""
    return
    yield b""
