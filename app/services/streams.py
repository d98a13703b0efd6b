"""All that are watched: who is told what was written down, how many may watch, and what all frames may take together."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from uuid import UUID

from app.domain.errors import TooManyStreams
from app.domain.events import Event
from app.domain.ports import History
from app.services.channels import Channel, Watched
from app.services.viewers import Viewer

_SLICE = 500
_BUDGET_BYTES = 64 * 1024 * 1024
log = logging.getLogger(__name__)


class Streams:
    """Every channel, with those who watch it."""

    def __init__(
        self,
        history: History,
        *,
        newest: int,
        ping_s: float,
        stall_s: float,
        at_most: int,
        each: int,
        at_a_time: int = _SLICE,
    ) -> None:
        """`at_most` at a time, and of one client `each`."""
        self._history = history
        self._at_a_time = at_a_time
        self._newest = newest
        self._ping_s = ping_s
        self._stall_s = stall_s
        self._at_most = at_most
        self._each = each
        self._clients: Counter[str] = Counter()
        self._channels: dict[Watched, Channel] = {}
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
        for channel in self._channels.values():
            if told := of_job.get(channel.job_id):
                channel.notice(told, head=self._newest)
        self._keep_to_budget()

    @contextmanager
    def place(self, client: str) -> Iterator[None]:
        """A place for one more stream of this client. Raises TooManyStreams."""
        if self._clients[client] >= self._each:
            raise TooManyStreams(f"You have {self._each} streams open, which is as many as one may; close some.")
        if self._clients.total() >= self._at_most:
            raise TooManyStreams(
                f"{self._at_most} streams are open, which is as many as there may be; try again later."
            )
        self._clients[client] += 1
        try:
            yield
        finally:
            self._clients[client] -= 1
            if not self._clients[client]:
                del self._clients[client]

    async def show(self, watched: Watched, viewer: Viewer, *, left: Callable[[], Awaitable[object]]) -> None:
        """Serve the viewer the events after its cursor, in order, as they come, until it has `left`."""
        viewer.give_up_after(self._stall_s)
        with self._watching(watched, viewer) as channel:
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
            for channel in tuple(self._channels.values()):
                try:
                    await channel.ping(before_s=monotonic() - self._ping_s)
                except Exception:
                    # Whatever is wrong with one stream, the others are pinged.
                    log.exception("a stream could not be pinged")

    @contextmanager
    def _watching(self, watched: Watched, viewer: Viewer) -> Iterator[Channel]:
        channel = self._channels.get(watched) or self._open(watched)
        channel.viewers.add(viewer)
        if self._closed:
            viewer.send_home()
        try:
            yield channel
        finally:
            channel.leave(viewer)
            if not channel.viewers:
                del self._channels[watched]
                self._runs.pop(channel).cancel()
                channel.past.close()

    def _open(self, watched: Watched) -> Channel:
        channel = self._channels[watched] = Channel(
            watched,
            since=self._newest,
            history=self._history,
            stall_s=self._stall_s,
            at_a_time=self._at_a_time,
            grown=self._keep_to_budget,
        )
        self._runs[channel] = asyncio.create_task(channel.run(), name="stream")
        return channel

    def _keep_to_budget(self) -> None:
        while sum(channel.size for channel in self._channels.values()) > _BUDGET_BYTES:
            max(self._channels.values(), key=lambda channel: channel.size).make_room()
