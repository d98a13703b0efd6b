"""One stream in one form, for all who watch it: frames are made once, kept in a ring, and written to each in turn.

What is told is written to everybody who has all before it, in one go and without waiting. Whoever cannot take it at once
lags: a task of its own catches up from the ring, or from the log where the ring does not reach back so far. A viewer who
begins with a replay is one who lags, so replay and live are one code path.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from time import monotonic
from uuid import UUID

from app.domain.errors import EventsMissing, GatewayError, StoreAway
from app.domain.events import Event
from app.domain.ports import History, JobFilter
from app.services.rings import Past, Ring
from app.services.viewers import Viewer

_TICK_S = 0.02  # between two flushes of one stream that many watch; after a pause the first leaves at once
_REST = 4  # times what a flush took, where that is less: few who watch wait for less
_LOOK_AGAIN_S = 1.0
_TURN = 250  # viewers served before others have their turn
_WINDOW = 20_000  # numbers of the log that are looked through at a time for the jobs that fit
_PENDING_AT_MOST = 5_000
log = logging.getLogger(__name__)

Render = Callable[[Sequence[Event]], Awaitable[Sequence[bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What is watched, and in which form: one job, or the jobs that fit, or all."""

    render: Render
    job_id: UUID | None = None
    wanted: JobFilter | None = None


class Channel:
    """One stream in one form, with those who watch it."""

    def __init__(
        self,
        watched: Watched,
        *,
        since: int,
        history: History,
        stall_s: float,
        at_a_time: int,
        grown: Callable[[], None],
    ) -> None:
        """`grown` is called when there is more than before."""
        self.job_id = watched.job_id
        self.ring = Ring(since)
        self.past = Past(self._piece, grown=grown)
        self.viewers: set[Viewer] = set()
        # Who has everything up to `_at`; while a chunk is handed round, who had it `_before` that; and who has caught up
        # since, each with a cursor of its own.
        self._abreast: set[Viewer] = set()
        self._waiting: set[Viewer] = set()
        self._fresh: set[Viewer] = set()
        self._at = self._before = self._told = since
        self._served_s = monotonic()
        self._render = watched.render
        self._wanted = watched.wanted
        self._stall_s = stall_s
        self._history = history
        self._at_a_time = at_a_time
        self._end: int | None = None
        self._pending: list[Event] = []
        self._head = since
        self._news = asyncio.Event()

    @property
    def size(self) -> int:
        """What its frames take, in bytes."""
        return self.ring.size + self.past.size

    def notice(self, events: Sequence[Event], *, head: int) -> None:
        """What was told, in order, and how far the log goes; to be shown at the next turn."""
        self._head = head
        if self._wanted is None:
            self._pending += events
            if len(self._pending) > _PENDING_AT_MOST:
                self.restart(self._pending[-1].id)
        self._news.set()

    def restart(self, since: int) -> None:
        """Forget what is here: it is in the log, and everybody goes on from there."""
        self.ring = Ring(since)
        self._pending.clear()
        for viewer in [*self._abreast, *self._waiting, *self._fresh]:
            self.lag(viewer)
        self._at = since

    def make_room(self) -> None:
        """Let go of what has not been wanted for longest."""
        if self.past.size:
            self.past.drop_oldest()
        else:
            self.ring.drop_older_half()

    async def run(self) -> None:
        """Show what is told, for ever."""
        while True:
            await self._news.wait()
            self._news.clear()
            began_s = monotonic()
            try:
                await self._take_in()
                await self._flush()
            except StoreAway as error:
                log.warning("the log is out of reach for a stream", extra={"why": str(error)})
                self._news.set()
                await asyncio.sleep(_LOOK_AGAIN_S)
            except EventsMissing:
                self.restart(self._head)
            except Exception:
                # Whatever it is, everybody goes on from the log.
                log.exception("a stream could not be shown")
                self.restart(self._head)
            await asyncio.sleep(min(_TICK_S, _REST * (monotonic() - began_s)))

    async def see_to(self, viewer: Viewer) -> None:
        """Send all there is, as fast as the viewer takes it; from then on it is served with everybody else."""
        try:
            await self._catch_up(viewer)
        except (GatewayError, EventsMissing) as error:
            # Who comes back is told what has become of it.
            log.warning("a viewer was cut off", extra={"why": str(error)})
            viewer.cut()
        except Exception:
            log.exception("a viewer could not be served")
            viewer.cut()

    def lag(self, viewer: Viewer) -> None:
        """It has a task of its own until it has caught up."""
        self._step_out(viewer)
        viewer.catching_up = asyncio.create_task(self.see_to(viewer), name="catching up")

    def leave(self, viewer: Viewer) -> None:
        """It is served no more."""
        self._step_out(viewer)
        self.viewers.discard(viewer)
        viewer.leave()
        if viewer.catching_up is not None:
            viewer.catching_up.cancel()

    async def ping(self, *, before_s: float) -> None:
        """Give a sign of life to those who were last served before that moment."""
        for served, viewer in enumerate([*self._abreast, *self._fresh], start=1):
            if viewer in self._abreast:
                self._account(viewer)
            elif viewer not in self._fresh:
                continue  # it is being served
            if viewer.served_s <= before_s and not viewer.over:
                # Where much does not fit, it says how far the stream has come beyond what the viewer was told.
                is_ahead = self._wanted is not None and viewer.cursor > viewer.told
                sign = viewer.still_here(viewer.cursor if is_ahead else None)
                if not viewer.give(sign, cursor=viewer.cursor):
                    viewer.owed = sign
                    self.lag(viewer)
            if served % _TURN == 0:
                await asyncio.sleep(0)

    def _step_out(self, viewer: Viewer) -> None:
        if viewer in self._abreast:
            self._account(viewer)
        elif viewer in self._waiting:
            viewer.cursor = self._before
        for group in (self._abreast, self._waiting, self._fresh):
            group.discard(viewer)

    def _account(self, viewer: Viewer) -> None:
        """What was done for all was done for it."""
        viewer.cursor = self._at
        viewer.told = max(viewer.told, self._told)
        viewer.served_s = max(viewer.served_s, self._served_s)

    async def _catch_up(self, viewer: Viewer) -> None:
        if viewer.owed:
            owed, viewer.owed = viewer.owed, b""
            await self._hand(viewer, owed, cursor=viewer.cursor)
        while not viewer.is_gone:
            if self._is_over(viewer.cursor):
                await self._see_out(viewer)
                return
            ring = self.ring if viewer.cursor >= self.ring.since else await self.past.after(viewer.cursor)
            chunk, cursor = ring.after(viewer.cursor)
            if ring is self.ring and not chunk:
                viewer.cursor = cursor
                self._fresh.add(viewer)
                return
            await self._hand(viewer, chunk, cursor=cursor)
            await asyncio.sleep(0)  # however fast it takes them, others have their turn

    async def _hand(self, viewer: Viewer, chunk: bytes, *, cursor: int) -> None:
        await self._patiently(viewer, lambda: viewer.give(chunk, cursor=cursor))

    async def _see_out(self, viewer: Viewer) -> None:
        await self._patiently(viewer, viewer.end)

    async def _patiently(self, viewer: Viewer, done: Callable[[], bool]) -> None:
        if done():
            return
        try:
            async with asyncio.timeout(self._stall_s):
                while not (viewer.is_gone or done()):
                    await viewer.room()
        except TimeoutError:
            log.info("a viewer that takes nothing was cut off", extra={"after_s": self._stall_s})
            viewer.cut()

    async def _piece(self, cursor: int) -> Ring:
        """One slice of the log. Whatever is not after the ring's `since` is there before this look."""
        piece = Ring(cursor)
        await self._read(piece, head=self.ring.since)
        return piece

    async def _read(self, ring: Ring, *, head: int) -> None:
        """Go on in the log, which goes as far as `head` at least; how far at a time has a bound, whatever fits."""
        until = head if self._wanted is None else min(head, ring.upto + _WINDOW)
        events = await self._history.events(
            self.job_id, after=ring.upto, until=until, limit=self._at_a_time, wanted=self._wanted
        )
        await self._add(events, to=ring)
        if len(events) < self._at_a_time:
            ring.reach(until)

    async def _add(self, events: Sequence[Event], *, to: Ring) -> None:
        for event, frame in zip(events, await self._render(events), strict=True):
            to.append(event.id, frame)
            if self.job_id is not None and event.is_end:
                self._end = event.id

    async def _take_in(self) -> None:
        """What was told is taken as it is; which jobs fit, the log knows, and says it once for all who asked for the same."""
        ring, head = self.ring, self._head
        if self._wanted is None:
            events, self._pending = self._pending, []
            await self._add(events, to=ring)
            return
        while ring.upto < head:
            await self._read(ring, head=head)

    async def _flush(self) -> None:
        self._join()
        while self._at < self.ring.upto:
            if self._at < self.ring.since:  # it has let go of what they have not been told
                self.restart(self._head)
            else:
                await self._hand_round(*self.ring.after(self._at))
        self._join()
        if self._is_over(self._at):
            for viewer in tuple(self._abreast):
                if not viewer.end():
                    self.lag(viewer)

    def _join(self) -> None:
        for viewer in tuple(self._fresh):
            if viewer.cursor == self._at:
                self._fresh.discard(viewer)
                self._abreast.add(viewer)
            elif viewer.cursor < self._at:
                self.lag(viewer)

    async def _hand_round(self, chunk: bytes, cursor: int) -> None:
        """To everybody who is abreast; who has no room for it lags."""
        self._before, self._at = self._at, cursor
        if not chunk:
            return
        self._told, self._served_s = cursor, monotonic()
        self._waiting, self._abreast = self._abreast, set()
        while self._waiting:
            batch = tuple(islice(self._waiting, _TURN))
            behind = [viewer for viewer in batch if not viewer.write(chunk)]
            for viewer in behind:
                self.lag(viewer)
            self._waiting.difference_update(batch)
            self._abreast.update(batch)
            self._abreast.difference_update(behind)
            await asyncio.sleep(0)  # others have their turn, and what was written goes out

    def _is_over(self, cursor: int) -> bool:
        return self._end is not None and cursor >= self._end
