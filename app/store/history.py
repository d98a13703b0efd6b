"""The history: jobs, statuses and events, read here and written through the log's one writer."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import ColumnElement, Row, Select, func, or_, select, tuple_

from app.domain.errors import RegexTooCostly, StoreAway
from app.domain.events import Event, Kind, Source, Told
from app.domain.jobs import Job, Mark
from app.domain.phases import BUCKETS, Bucket
from app.domain.ports import JobFilter, Page, StatusPage
from app.domain.statuses import JobStatus
from app.store.cursors import cursor_after, place_of
from app.store.database import Database
from app.store.log import Tell, Writer
from app.store.regexes import compiled, deadline, is_past
from app.store.tables import EVENTS, JOBS, KINDS, LABELS, PHASES, POSITIONS, SOURCES, event_of, job_of, to_us

_HEAD = select(func.coalesce(func.max(EVENTS.c.id), 0)).scalar_subquery()
_LATEST_STATUS = (
    select(EVENTS.c.data)
    .where(EVENTS.c.job_key == JOBS.c.key, EVENTS.c.kind == KINDS[Kind.STATUS], EVENTS.c.late.is_(False))
    .order_by(EVENTS.c.id.desc())
    .limit(1)
    .correlate(JOBS)
    .scalar_subquery()
)
_FINAL = [PHASES[phase] for phase in BUCKETS[Bucket.HISTORY]]


@asynccontextmanager
async def open_history(
    database: Database, *, tell: Tell, now: Callable[[], datetime], look_within_s: float = 2.0
) -> AsyncIterator["SqlHistory"]:
    """The history in this database; what was handed in before the end is written before it closes.

    `look_within_s`: how long one query may look for a pattern in names.
    """
    async with database.connection() as connection, asyncio.TaskGroup() as tasks:
        writer = Writer(connection, tell=tell, now=now)
        tasks.create_task(writer.run(), name="event log writer")
        try:
            yield SqlHistory(database, writer=writer, look_within_s=look_within_s)
        finally:
            await writer.close()


class SqlHistory:
    """Fulfils the port History on one database."""

    def __init__(self, database: Database, *, writer: Writer, look_within_s: float) -> None:
        self._database = database
        self._look_within_s = look_within_s
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
        """Jobs, newest first. Raises Invalid for another query's cursor, RegexUnsupported for what RE2 does not know."""
        rows, more, as_of = await self._page(JOBS.c.state, wanted, of="jobs", limit=limit, cursor=cursor)
        return Page(jobs=tuple(job_of(row.value) for row in rows), next=more, as_of=as_of)

    async def latest_statuses(self, job_id: UUID | None, *, limit: int, cursor: str | None) -> StatusPage:
        """Of each job that has a JobStatus, or of this one. Raises Invalid for another query's cursor."""
        wanted = JobFilter(id=job_id)
        rows, more, as_of = await self._page(_LATEST_STATUS, wanted, of="statuses", limit=limit, cursor=cursor)
        statuses = tuple(msgspec.json.decode(row.value, type=JobStatus) for row in rows)
        return StatusPage(statuses=statuses, next=more, as_of=as_of)

    async def _page(
        self, value: ColumnElement[Any], wanted: JobFilter, *, of: str, limit: int, cursor: str | None
    ) -> tuple[Sequence[Row[Any]], str | None, int]:
        """Something of each job, newest first, where there is such a thing; the next cursor, and the log's position."""
        before = await self.head()
        until = deadline(self._look_within_s)
        columns = select(value.label("value"), JOBS.c.created_us, JOBS.c.key, _HEAD.label("as_of"))
        query = _narrowed(wanted, columns, until=until)
        if cursor is not None:
            place = place_of(cursor, wanted=wanted, of=of)
            query = query.where(tuple_(JOBS.c.created_us, JOBS.c.key) < (place.created_us, place.key))
        query = query.where(value.is_not(None)).order_by(JOBS.c.created_us.desc(), JOBS.c.key.desc()).limit(limit + 1)
        try:
            rows = await self._read(query)
        except StoreAway as away:
            if wanted.name_regex is None or not is_past(until):
                raise
            raise RegexTooCostly(
                "Looking for this pattern took too long; narrow the list by other filters, or write a simpler one.",
                field="name_regex",
            ) from away
        shown = rows[:limit]
        more = cursor_after(shown[-1].created_us, shown[-1].key, wanted=wanted, of=of) if len(rows) > limit else None
        # In one statement with the jobs, so that the feed goes on exactly where they are.
        return shown, more, rows[0].as_of if rows else before

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
        """Events in order after a position, up to another: of one job, or with None of all, or of those that are `wanted`."""
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
        return int((await self._read(select(_HEAD)))[0][0])

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
    if wanted.created_after is not None:
        query = query.where(JOBS.c.created_us >= to_us(wanted.created_after))
    if wanted.created_before is not None:
        query = query.where(JOBS.c.created_us < to_us(wanted.created_before))
    for name, text in wanted.labels:
        labelled = select(LABELS.c.job_key).where(LABELS.c.name == name)
        query = query.where(JOBS.c.key.in_(labelled if text is None else labelled.where(LABELS.c.value == text)))
    if wanted.name_regex is not None:
        compiled(wanted.name_regex)  # what is wrong with it is told here, not by the database
        query = query.where(func.re2(wanted.name_regex, JOBS.c.job_name, until))
    return query
