"""The history: jobs, statuses and events, read here and written through the log's one writer."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Row, Select, bindparam, func, or_, select, text

from app.domain.errors import EventsMissing, JobPruned, SearchTooCostly
from app.domain.events import Event, Kind, Source, Told
from app.domain.jobs import Job, Mark
from app.domain.phases import BUCKETS, Bucket
from app.domain.ports import JobFilter, Page
from app.domain.statistics import Statistics
from app.domain.statuses import JobStatus
from app.store import places
from app.store.database import Database
from app.store.heads import missing_through, newest
from app.store.lists import jobs_found, page_of_jobs, page_of_statuses
from app.store.log import Tell, Writer
from app.store.numbers import KINDS, PHASES, SOURCES, to_us
from app.store.prepared import Prepared
from app.store.regexes import compiled, deadline, is_past
from app.store.rollups import statistics
from app.store.rows import event_of, kept_job
from app.store.tables import EVENTS, JOBS, POSITIONS, PRUNED, STATES
from app.store.texts import matching

T = TypeVar("T")

_FINAL = [PHASES[phase] for phase in BUCKETS[Bucket.HISTORY]]
_LOOKING_AT_ONCE = 2
_STATE_OF = (
    select(STATES.c.shown, STATES.c.unseen, STATES.c.shape)
    .join(JOBS, JOBS.c.key == STATES.c.key)
    .where(JOBS.c.job_id == bindparam("job_id"))
)
_STATE = Prepared(_STATE_OF)
_PRUNED = Prepared(select(PRUNED.c.job_id).where(PRUNED.c.job_id == bindparam("job_id")))


@asynccontextmanager
async def open_history(
    database: Database, *, tell: Tell, now: Callable[[], datetime], look_within_s: float = 1.0
) -> AsyncIterator["SqlHistory"]:
    """The history in this database; what was handed in before the end is written before it closes.

    `look_within_s`: how long one query may look for words, for labels, or for a pattern in names.
    """
    async with database.connection() as connection, asyncio.TaskGroup() as tasks:
        writer = Writer(connection, tell=tell, now=now)
        tasks.create_task(writer.run(), name="event log writer")
        try:
            yield SqlHistory(database, writer=writer, now=now, look_within_s=look_within_s)
        finally:
            await writer.close()


class SqlHistory:
    """Fulfils the port History on one database."""

    def __init__(
        self, database: Database, *, writer: Writer, now: Callable[[], datetime], look_within_s: float
    ) -> None:
        self._database = database
        self._now = now
        self._look_within_s = look_within_s
        self._writer = writer
        self._looking = asyncio.Semaphore(_LOOKING_AT_ONCE)

    async def keep(self, *told: Told, position: Mark | None = None) -> None:
        """Write new states of jobs and their events down, in this order, then tell the listeners."""
        await self._writer.keep(told, position=position)

    async def position(self) -> Mark | None:
        """How far the Router's changes have been heard. None: never."""
        query = select(POSITIONS.c.epoch, POSITIONS.c.sequence).where(POSITIONS.c.source == SOURCES[Source.ROUTER])
        rows = await self._read(query)
        return Mark(epoch=rows[0].epoch, sequence=rows[0].sequence) if rows else None

    async def job(self, job_id: UUID) -> Job | None:
        """What is known of a job. None: never heard of."""
        rows = await self._database.read(lambda connection: _STATE.done(connection, {"job_id": str(job_id)}))
        return kept_job(*rows[0]) if rows else None

    async def known(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        """What is known of these jobs; those that were never heard of are not amongst them."""
        found = await self._database.read(
            lambda connection: [_STATE.done(connection, {"job_id": str(job_id)}) for job_id in job_ids]
        )
        return {job.id: job for job in (kept_job(*rows[0]) for rows in found if rows)}

    async def unfinished(self) -> Sequence[UUID]:
        """The jobs that are not over."""
        rows = await self._read(select(JOBS.c.job_id).where(JOBS.c.phase.not_in(_FINAL)))
        return [UUID(row[0]) for row in rows]

    async def page(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> Page:
        """Jobs, as they are shown, newest first."""
        return await self._looked(
            wanted,
            lambda connection, is_over: page_of_jobs(connection, wanted, limit=limit, cursor=cursor, is_over=is_over),
        )

    async def found(self, wanted: JobFilter, *, limit: int) -> Sequence[Job]:
        """Jobs, newest first. Raises SearchTooCostly where the time for looking ran out."""
        jobs, is_all = await self._looked(
            wanted, lambda connection, is_over: jobs_found(connection, wanted, limit=limit, is_over=is_over)
        )
        if not is_all:
            raise SearchTooCostly(
                "Looking for this took too long; narrow it by other filters, or write a simpler pattern.",
                field="name_regex" if wanted.name_regex is not None else "q" if wanted.words is not None else "label",
            )
        return jobs

    async def latest_statuses(self, job_id: UUID | None, *, limit: int, cursor: str | None) -> Page:
        """Of each job that has a JobStatus, or of this one. Raises Invalid for another query's cursor."""
        return await self._database.read(
            lambda connection: page_of_statuses(connection, job_id, limit=limit, cursor=cursor)
        )

    async def _looked(self, wanted: JobFilter, look: Callable[[sqlite3.Connection, Callable[[], bool]], T]) -> T:
        """Look for jobs; for words and patterns, few at a time, so that others find a thread."""
        if wanted.name_regex is not None:
            compiled(wanted.name_regex)  # what is wrong with it is told at once
        is_search = wanted.name_regex is not None or wanted.words is not None
        async with self._looking if is_search else nullcontext():
            until = deadline(self._look_within_s)
            return await self._database.read(lambda connection: look(connection, lambda: is_past(until)))

    async def events(
        self,
        job_id: UUID | None,
        *,
        after: int,
        until: int | None = None,
        limit: int,
        late_too: bool = False,
        wanted: JobFilter | None = None,
    ) -> Sequence[Event]:
        """Events in order after a position, up to another: of one job, or with None of all, or of those that are `wanted`.

        Raises JobPruned, and for more than one job EventsMissing, where some of them have been removed.
        """
        query = (
            select(EVENTS, JOBS.c.job_id)
            .join(JOBS, JOBS.c.key == EVENTS.c.job_key)
            .where(EVENTS.c.id > after)
            .order_by(EVENTS.c.id)
            .limit(limit)
        )
        if job_id is not None:
            query = query.where(JOBS.c.job_id == str(job_id))
        if until is not None:
            query = query.where(EVENTS.c.id <= until)
        if not late_too:
            query = query.where(EVENTS.c.late.is_(False))
        if wanted is not None:
            query = _narrowed_events(wanted, query, until=deadline(self._look_within_s))
        events = [event_of(row) for row in await self._read(query)]
        # After the look: what was removed before it is noted by then.
        if job_id is None and after < (through := await self.missing_through()):
            raise EventsMissing(f"Events up to {through} have been removed.")
        if job_id is not None and not events and await self.is_pruned(job_id):
            raise JobPruned("The job was removed from the history.")
        return events

    async def statistics(self, *, days: int) -> Statistics:
        """Of every job, and day by day of the last so many days."""
        now_us = to_us(self._now())
        return await self._database.read(lambda connection: statistics(connection, days=days, now_us=now_us))

    async def missing_through(self) -> int:
        """Up to this number events have been removed; 0: none have."""
        return await self._database.read(missing_through)

    async def is_pruned(self, job_id: UUID) -> bool:
        """Whether this job was removed."""
        return bool(await self._database.read(lambda connection: _PRUNED.done(connection, {"job_id": str(job_id)})))

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
        return await self._database.read(newest)

    async def _read(self, query: Select[Any]) -> Sequence[Row[Any]]:
        return await self._database.fetch(query)


def _narrowed_events(wanted: JobFilter, query: Select[Any], *, until: float) -> Select[Any]:
    """By what never changes as jobs are; by the phase that the job had when it was told, or before."""
    if wanted.phases is not None:
        names = [str(phase) for phase in wanted.phases]
        query = query.where(or_(_phase("phase").in_(names), _phase("previous").in_(names)))
    return _narrowed(replace(wanted, phases=None), query, until=until)


def _phase(field: str) -> ColumnElement[Any]:
    """Of the newest phase event that an event has before it, or is; `previous` only of what is one."""
    told = EVENTS.alias()
    newest = (
        select(func.json_extract(told.c.data, f"$.{field}"))
        .where(told.c.job_key == EVENTS.c.job_key, told.c.kind == KINDS[Kind.PHASE], told.c.late.is_(False))
        .where(told.c.id <= EVENTS.c.id if field == "phase" else told.c.id == EVENTS.c.id)
        .order_by(told.c.id.desc())
        .limit(1)
    )
    return newest.correlate(EVENTS).scalar_subquery()


def _narrowed(wanted: JobFilter, query: Select[Any], *, until: float) -> Select[Any]:
    conditions = [*places.conditions(wanted)]
    values = places.values(wanted)
    if wanted.words is not None:
        conditions.append("job.key IN (SELECT rowid FROM job_words WHERE job_words MATCH :words)")
        values["words"] = matching(wanted.words)
    if wanted.name_regex is not None:
        compiled(wanted.name_regex)  # what is wrong with it is told here, not by the database
        conditions.append("re2(:name_regex, job.job_name, :until)")
        values |= {"name_regex": wanted.name_regex, "until": until}
    return query.where(*map(text, conditions)).params(**values)
