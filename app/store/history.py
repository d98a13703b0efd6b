"""The history: jobs, statuses and events, read here and written through the log's one writer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.events import Event, Kind, Source, Told
from app.domain.jobs import Job, Mark
from app.domain.phases import BUCKETS, Bucket
from app.domain.ports import JobFilter, Page
from app.domain.statuses import JobStatus
from app.store.cursors import cursor_after, place_of
from app.store.log import Tell, Writer
from app.store.short import fetch
from app.store.tables import EVENTS, JOBS, KINDS, PHASES, POSITIONS, SOURCES, event_of, job_of

_FINAL = [PHASES[phase] for phase in BUCKETS[Bucket.HISTORY]]


@asynccontextmanager
async def open_history(engine: AsyncEngine, *, tell: Tell, now: Callable[[], datetime]) -> AsyncIterator["SqlHistory"]:
    """The history in this database; what was handed in before the end is written before it closes."""
    async with engine.connect() as connection, asyncio.TaskGroup() as tasks:
        writer = Writer(connection, tell=tell, now=now)
        tasks.create_task(writer.run(), name="event log writer")
        try:
            yield SqlHistory(engine, writer=writer)
        finally:
            await writer.close()


class SqlHistory:
    """Fulfils the port History on one database."""

    def __init__(self, engine: AsyncEngine, *, writer: Writer) -> None:
        self._engine = engine
        self._writer = writer

    async def keep(self, told: Told, *, position: Mark | None = None) -> None:
        """Write the job's new state and its events down, then tell the listeners."""
        await self._writer.keep(told, position=position)

    async def keep_position(self, position: Mark) -> None:
        """Remember how far the Router's changes have been heard when they brought no news."""
        await self._writer.keep(None, position=position)

    async def position(self) -> Mark | None:
        """How far the Router's changes have been heard. None: never."""
        query = select(POSITIONS.c.epoch, POSITIONS.c.sequence).where(POSITIONS.c.source == SOURCES[Source.ROUTER])
        rows = await self._read(query)
        return Mark(epoch=rows[0].epoch, sequence=rows[0].sequence) if rows else None

    async def job(self, job_id: UUID) -> Job | None:
        """What is known of a job. None: never heard of."""
        rows = await self._read(select(JOBS.c.state).where(JOBS.c.job_id == str(job_id)))
        return job_of(rows[0][0]) if rows else None

    async def unfinished(self) -> Sequence[UUID]:
        """The jobs that are not over."""
        rows = await self._read(select(JOBS.c.job_id).where(JOBS.c.phase.not_in(_FINAL)))
        return [UUID(row[0]) for row in rows]

    async def page(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> Page:
        """Jobs, newest first. Raises Invalid for a cursor that this query did not give."""
        as_of = await self.head()
        query = _narrowed(wanted)
        if cursor is not None:
            place = place_of(cursor, wanted=wanted)
            query = query.where(tuple_(JOBS.c.created_us, JOBS.c.key) < (place.created_us, place.key))
        query = query.order_by(JOBS.c.created_us.desc(), JOBS.c.key.desc()).limit(limit + 1)
        rows = await self._read(query)
        shown = rows[:limit]
        more = cursor_after(shown[-1].created_us, shown[-1].key, wanted=wanted) if len(rows) > limit else None
        return Page(jobs=tuple(job_of(row.state) for row in shown), next=more, as_of=as_of)

    async def events(self, job_id: UUID | None, *, after: int, limit: int, late_too: bool = False) -> Sequence[Event]:
        """Events in order after a position: of one job, or of all with None."""
        query = (
            select(EVENTS, JOBS.c.job_id)
            .join(JOBS, JOBS.c.key == EVENTS.c.job_key)
            .where(EVENTS.c.id > after)
            .order_by(EVENTS.c.id)
            .limit(limit)
        )
        if job_id is not None:
            query = query.where(JOBS.c.job_id == str(job_id))
        if not late_too:
            query = query.where(EVENTS.c.late.is_(False))
        return [event_of(row) for row in await self._read(query)]

    async def statuses(self, job_id: UUID) -> Sequence[JobStatus]:
        """Every JobStatus of a job, oldest first."""
        query = (
            select(EVENTS.c.data)
            .join(JOBS, JOBS.c.key == EVENTS.c.job_key)
            .where(JOBS.c.job_id == str(job_id), EVENTS.c.kind == KINDS[Kind.STATUS])
            .order_by(EVENTS.c.id)
        )
        return [msgspec.json.decode(row[0], type=JobStatus) for row in await self._read(query)]

    async def end_of(self, job_id: UUID) -> int | None:
        """The number of a job's `end`. None: it has not ended."""
        query = (
            select(EVENTS.c.id)
            .join(JOBS, JOBS.c.key == EVENTS.c.job_key)
            .where(JOBS.c.job_id == str(job_id), EVENTS.c.kind == KINDS[Kind.END])
        )
        rows = await self._read(query)
        return rows[0][0] if rows else None

    async def head(self) -> int:
        """The number of the newest event; 0 when there is none."""
        return int((await self._read(select(func.coalesce(func.max(EVENTS.c.id), 0))))[0][0])

    async def _read(self, query: Select[Any]) -> Sequence[Row[Any]]:
        return await fetch(self._engine, query)


def _narrowed(wanted: JobFilter) -> Select[Any]:
    query = select(JOBS.c.state, JOBS.c.created_us, JOBS.c.key)
    if wanted.name is not None:
        query = query.where(JOBS.c.job_name == wanted.name)
    if wanted.id is not None:
        query = query.where(JOBS.c.job_id == str(wanted.id))
    if wanted.phases is not None:
        query = query.where(JOBS.c.phase.in_([PHASES[phase] for phase in wanted.phases]))
    if wanted.operation is not None:
        query = query.where(JOBS.c.operation == wanted.operation)
    if wanted.owner is not None:
        query = query.where(JOBS.c.owner == wanted.owner)
    return query
