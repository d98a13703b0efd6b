"""One log to many viewers: frames are made once, kept in rings, and a viewer is a cursor.

What is told is written to everybody who has all before it, in one go and without waiting. Whoever cannot take it at once
lags: a task of its own catches up from the ring, or from the log where the ring does not reach back so far. A viewer who
begins with a replay is one who lags, so replay and live are one code path.
"""

import asyncio
import logging
from bisect import bisect_right
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Protocol
from uuid import UUID

from app.domain.events import Event
from app.domain.ports import History

_TICK_S = 0.02  # between two flushes of one stream; after a pause the first leaves at once
_TURN = 250  # viewers served before others have their turn
_CHUNK_BYTES = 64 * 1024
_SLICE = 500
_PENDING_AT_MOST = 5_000
_BUDGET_BYTES = 64 * 1024 * 1024
log = logging.getLogger(__name__)

Render = Callable[[Sequence[Event]], Awaitable[Sequence[bytes]]]


class Outlet(Protocol):
    """A viewer's connection."""

    ping: bytes

    def at_once(self, chunk: bytes, *, last: bool) -> bool:
        """Hand it over. False: that would need waiting, and nothing was taken."""

    async def wait(self, chunk: bytes, *, last: bool) -> None:
        """Hand it over as soon as there is room."""

    def cut(self) -> None:
        """Break off, whatever has not gone out."""


class Ring:
    """The newest frames of a stream: all of those after `since`."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.size = 0
        self._numbers: list[int] = []
        self._frames: list[bytes] = []

    @property
    def newest(self) -> int:
        """The number of the last one; of the event before the first, where there is none."""
        return self._numbers[-1] if self._numbers else self.since

    def append(self, number: int, frame: bytes) -> None:
        """The next one."""
        self._numbers.append(number)
        self._frames.append(frame)
        self.size += len(frame)

    def after(self, cursor: int) -> tuple[bytes, int]:
        """The next frames after a cursor that is not before `since`, as one chunk, and the cursor behind them."""
        first = place = bisect_right(self._numbers, cursor)
        size = 0
        while place < len(self._frames) and size < _CHUNK_BYTES:
            size += len(self._frames[place])
            place += 1
        return b"".join(self._frames[first:place]), self._numbers[place - 1] if place > first else cursor

    def drop_older_half(self) -> None:
        """Make room: those who lag so far behind go to the log."""
        half = (len(self._frames) + 1) // 2
        self.since = self._numbers[half - 1]
        self.size -= sum(map(len, self._frames[:half]))
        del self._numbers[:half], self._frames[:half]


class Viewer:
    """Somebody who watches a stream, and has everything of it up to the cursor."""

    def __init__(self, outlet: Outlet, *, cursor: int) -> None:
        self.outlet = outlet
        self.cursor = cursor
        self.lags = True
        self.over = False
        self.served_s = monotonic()
        self.catching_up: asyncio.Task[None] | None = None

    def give(self, chunk: bytes, *, last: bool = False) -> bool:
        """Without waiting. False: nothing was taken."""
        if not self.outlet.at_once(chunk, last=last):
            return False
        self.served_s = monotonic()
        self.over = last
        return True

    def send_home(self) -> None:
        """End the stream cleanly; who cannot even take that is cut off."""
        if not self.over and not self.give(b"", last=True):
            self.outlet.cut()
        self.over = True


class Channel:
    """One stream in one form, with those who watch it."""

    def __init__(
        self, job_id: UUID | None, *, render: Render, since: int, history: History, stall_s: float, at_a_time: int
    ) -> None:
        self.job_id = job_id
        self.ring = Ring(since)
        self.viewers: set[Viewer] = set()
        self._render = render
        self._stall_s = stall_s
        self._history = history
        self._at_a_time = at_a_time
        self._end: int | None = None
        self._pending: list[Event] = []
        self._news = asyncio.Event()

    def notice(self, events: Sequence[Event]) -> None:
        """What was told, in order; to be shown at the next turn."""
        self._pending += events
        if len(self._pending) > _PENDING_AT_MOST:
            self.restart(self._pending[-1].id)
        self._news.set()

    def restart(self, since: int) -> None:
        """Forget what is here: it is in the log, and everybody goes on from there."""
        self.ring = Ring(since)
        self._pending.clear()
        for viewer in self.viewers:
            if not viewer.lags:
                self._lag(viewer)

    async def run(self) -> None:
        """Show what is told, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._pending:
                await self._take_in()
                await self._flush()
            await asyncio.sleep(_TICK_S)

    def _lag(self, viewer: Viewer) -> None:
        viewer.lags = True
        viewer.catching_up = asyncio.create_task(self.see_to(viewer), name="catching up")

    async def _catch_up(self, viewer: Viewer) -> None:
        while not viewer.over:
            if viewer.cursor < self.ring.since:
                await self._replay(viewer)
                continue
            chunk, cursor = self.ring.after(viewer.cursor)
            if not chunk and not self._is_over(viewer.cursor):
                viewer.lags = False
                return
            await self._hand(viewer, chunk, cursor)

    async def see_to(self, viewer: Viewer) -> None:
        """Send all there is, as fast as the viewer takes it; from then on it is served with everybody else."""
        try:
            await self._catch_up(viewer)
        except Exception:
            log.exception("a viewer could not be served")
            viewer.over = True
            viewer.outlet.cut()

    async def _replay(self, viewer: Viewer) -> None:
        """One slice of the log."""
        since = self.ring.since
        events = await self._history.events(self.job_id, after=viewer.cursor, limit=self._at_a_time)
        frames = Ring(viewer.cursor)
        for event, frame in zip(events, await self._render(events), strict=True):
            frames.append(event.id, frame)
            self._note_end(event)
        while not viewer.over:
            chunk, cursor = frames.after(viewer.cursor)
            if not chunk:
                break
            await self._hand(viewer, chunk, cursor)
        if len(events) < self._at_a_time:
            # Whatever is not after `since` was in the log before this look.
            viewer.cursor = max(viewer.cursor, since)

    async def _hand(self, viewer: Viewer, chunk: bytes, cursor: int) -> None:
        last = self._is_over(cursor)
        if not viewer.give(chunk, last=last):
            try:
                async with asyncio.timeout(self._stall_s):
                    await viewer.outlet.wait(chunk, last=last)
            except TimeoutError:
                log.info("a viewer that takes nothing was cut off", extra={"after_s": self._stall_s})
                viewer.outlet.cut()
                viewer.over = True
                return
            viewer.over, viewer.served_s = viewer.over or last, monotonic()
        viewer.cursor = cursor

    async def _take_in(self) -> None:
        events, self._pending = self._pending, []
        ring = self.ring
        try:
            frames = await self._render(events)
        except Exception:
            log.exception("events could not be made into frames")
            self.restart(events[-1].id)
        if ring is not self.ring:
            return  # begun anew meanwhile
        for event, frame in zip(events, frames, strict=True):
            ring.append(event.id, frame)
            self._note_end(event)

    async def _flush(self) -> None:
        begun, ready = -1, (b"", -1)
        for served, viewer in enumerate(tuple(self.viewers), start=1):
            if not viewer.lags and not viewer.over:
                if viewer.cursor != begun:
                    begun, ready = viewer.cursor, self.ring.after(viewer.cursor)
                self._offer(viewer, *ready)
            if served % _TURN == 0:
                await asyncio.sleep(0)

    def _offer(self, viewer: Viewer, chunk: bytes, cursor: int) -> None:
        if viewer.cursor >= self.ring.since:
            if not chunk:
                return
            if viewer.give(chunk, last=self._is_over(cursor)):
                viewer.cursor = cursor
                if viewer.over or cursor >= self.ring.newest:
                    return
        self._lag(viewer)

    def _note_end(self, event: Event) -> None:
        if self.job_id is not None and event.is_end:
            self._end = event.id

    def _is_over(self, cursor: int) -> bool:
        return self._end is not None and cursor >= self._end


class Streams:
    """All that are watched."""

    def __init__(
        self, history: History, *, newest: int, ping_s: float, stall_s: float, at_a_time: int = _SLICE
    ) -> None:
        self._history = history
        self._at_a_time = at_a_time
        self._newest = newest
        self._ping_s = ping_s
        self._stall_s = stall_s
        self._channels: dict[tuple[UUID | None, Render], Channel] = {}
        self._runs: dict[Channel, asyncio.Task[None]] = {}
        self._closed = False

    def notice(self, events: Sequence[Event]) -> None:
        """What was written down just now."""
        if events[0].id != self._newest + 1:  # somebody else writes, too
            for channel in self._channels.values():
                channel.restart(events[0].id - 1)
        self._newest = events[-1].id
        of_job: dict[UUID | None, list[Event]] = {None: [event for event in events if not event.late]}
        for event in of_job[None]:
            of_job.setdefault(event.job_id, []).append(event)
        for (job_id, _), channel in self._channels.items():
            if told := of_job.get(job_id):
                channel.notice(told)
        self._keep_to_budget()

    async def show(
        self, job_id: UUID | None, viewer: Viewer, *, render: Render, left: Callable[[], Awaitable[object]]
    ) -> None:
        """Serve the viewer the events after its cursor, in order, as they come, until it has `left`."""
        with self._watching(job_id, viewer, render=render) as channel:
            await channel.see_to(viewer)
            await left()

    def close(self) -> None:
        """Send everybody home."""
        self._closed = True
        for channel in self._channels.values():
            for viewer in channel.viewers:
                viewer.send_home()

    async def ping(self) -> None:
        """Tell viewers that nothing comes, for ever, so that who is gone is noticed on both sides."""
        while True:
            await asyncio.sleep(self._ping_s / 4)
            due_s = monotonic() - self._ping_s
            for channel in tuple(self._channels.values()):
                for served, viewer in enumerate(tuple(channel.viewers), start=1):
                    if viewer.served_s <= due_s and not viewer.lags and not viewer.over:
                        viewer.give(viewer.outlet.ping)
                    if served % _TURN == 0:
                        await asyncio.sleep(0)

    @contextmanager
    def _watching(self, job_id: UUID | None, viewer: Viewer, *, render: Render) -> Iterator[Channel]:
        place = (job_id, render)
        channel = self._channels.get(place)
        if channel is None:
            channel = self._channels[place] = Channel(
                job_id,
                render=render,
                since=self._newest,
                history=self._history,
                stall_s=self._stall_s,
                at_a_time=self._at_a_time,
            )
            self._runs[channel] = asyncio.create_task(channel.run(), name="stream")
        channel.viewers.add(viewer)
        if self._closed:
            viewer.send_home()
        try:
            yield channel
        finally:
            viewer.over = True
            if viewer.catching_up is not None:
                viewer.catching_up.cancel()
            channel.viewers.discard(viewer)
            if not channel.viewers:
                del self._channels[place]
                self._runs.pop(channel).cancel()

    def _keep_to_budget(self) -> None:
        while sum(channel.ring.size for channel in self._channels.values()) > _BUDGET_BYTES:
            max(self._channels.values(), key=lambda channel: channel.ring.size).ring.drop_older_half()
