"""The event log's one writer: it numbers, inserts and commits in batches, and only then tells."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.sqlite import insert

from app.domain.errors import StoreAway
from app.domain.events import Event, Kind, Source, Told
from app.domain.jobs import Mark
from app.store.condition import away
from app.store.database import Own
from app.store.heads import newest
from app.store.kept import Batch, Known
from app.store.numbers import SOURCES, to_us
from app.store.prepared import Prepared
from app.store.rows import EventValues, event_values, numbered
from app.store.tables import EVENTS, POSITIONS

Tell = Callable[[Sequence[Event]], None]

_QUEUE = 1_000
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    told: Sequence[Told]
    position: Mark | None
    done: "asyncio.Future[None]"


class Writer:
    """Takes news from anybody, writes it in the order it came, and tells the listeners what is durable."""

    def __init__(self, connection: Own, *, tell: Tell, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._tell = tell
        self._now = now
        self._queue: asyncio.Queue[_Entry | None] = asyncio.Queue(_QUEUE)
        self._known = Known()
        self._last = 0
        self._closed = False

    async def keep(self, told: Sequence[Told], *, position: Mark | None) -> None:
        """Return once it is durable and told. Raises StoreAway when it was not written.

        Of several pieces those before one that cannot be written may be, and none behind it; the position stands for all.
        """
        if self._closed:
            raise StoreAway("The gateway is stopping.")
        if not told and position is None:
            return
        done = asyncio.get_running_loop().create_future()
        await self._queue.put(_Entry(told=told, position=position, done=done))
        try:
            await asyncio.shield(done)
        except asyncio.CancelledError:
            # It will be written; what comes next for its jobs is to be applied to that.
            await asyncio.wait([done])
            if not done.cancelled():
                done.exception()  # looked at, since nobody is left to be told
            raise

    async def run(self) -> None:
        """Write until `close`; what was handed in before is written still."""
        while (first := await self._queue.get()) is not None:
            batch, is_last = self._with_waiting(first)
            await self._write(batch)
            if is_last:
                return

    async def close(self) -> None:
        """End `run` once the queue is written."""
        self._closed = True
        await self._queue.put(None)

    def _with_waiting(self, first: _Entry) -> tuple[list[_Entry], bool]:
        batch = [first]
        while len(batch) < _BATCH and not self._queue.empty():
            entry = self._queue.get_nowait()
            if entry is None:
                return batch, True
            batch.append(entry)
        return batch, False

    async def _write(self, batch: Sequence[_Entry]) -> None:
        before = self._last
        try:
            events = await self._connection.write(lambda connection: self._commit(connection, batch))
        except Exception as error:  # noqa: BLE001  (whatever is wrong with one entry, the writing goes on)
            self._last = before  # nobody has seen these numbers
            await self._connection.do(_roll_back)
            await self._make_out(batch, error)
        else:
            self._tell(events)
            for entry in batch:
                if not entry.done.done():
                    entry.done.set_result(None)

    async def _make_out(self, batch: Sequence[_Entry], error: Exception) -> None:
        """Where the database is well, one entry is guilty: only that one fails, and of its pieces only the guilty and the next."""
        first = batch[0]
        if isinstance(error, StoreAway) or (len(batch) == 1 and len(first.told) <= 1):
            _fail(batch, error)
        elif len(batch) == 1:
            await self._write_each(first)
        else:
            for entry in batch:
                await self._write([entry])

    async def _write_each(self, entry: _Entry) -> None:
        loop = asyncio.get_running_loop()
        for one in entry.told:
            piece = _Entry(told=(one,), position=None, done=loop.create_future())
            await self._write([piece])
            if (failure := piece.done.exception()) is not None:
                entry.done.set_exception(failure)
                return
        await self._write([_Entry(told=(), position=entry.position, done=entry.done)])

    def _commit(self, connection: sqlite3.Connection, batch: Sequence[_Entry]) -> list[Event]:
        connection.execute("BEGIN IMMEDIATE")
        # From the file, not from memory: another process may have written meanwhile.
        self._last = max(self._last, newest(connection))
        received = self._now()
        received_us = to_us(received)
        jobs = Batch(connection, received=received, known=self._known)
        rows: list[EventValues] = []
        events: list[Event] = []
        for told in (one for entry in batch for one in entry.told):
            kept = jobs.job(told.job)
            if kept is None:
                continue  # it was removed since the news was applied
            for new in told.events:
                self._last += 1
                rows.append(event_values(new, number=self._last, job_key=kept.key, received_us=received_us))
                events.append(numbered(new, self._last, job_id=told.job.id, received=received))
                if new.kind is Kind.PHASE and not new.late:
                    jobs.moved(kept, new)
        jobs.write()
        _NEW_EVENT.done_for_tuples(connection, rows)
        positions = [entry.position for entry in batch if entry.position is not None]
        if positions:
            at = positions[-1]
            _POSITION.done(connection, {"source": SOURCES[Source.ROUTER], "epoch": at.epoch, "sequence": at.sequence})
        connection.execute("COMMIT")
        jobs.remember()
        return events


_NEW_POSITION = insert(POSITIONS)

_NEW_EVENT = Prepared(insert(EVENTS), *EVENTS.columns)
_POSITION = Prepared(
    _NEW_POSITION.on_conflict_do_update(
        index_elements=["source"],
        set_={name: _NEW_POSITION.excluded[name] for name in ("epoch", "sequence")},
    ),
    *POSITIONS.columns,
)


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # it says what the commit said before it
        connection.rollback()


def _fail(batch: Sequence[_Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.done.done():
            told = StoreAway(error.detail) if isinstance(error, StoreAway) else away(error, "written")
            told.__cause__ = error
            entry.done.set_exception(told)
