"""What it costs to write events down: through the log's writer, by the driver alone, and by an ORM; and how long it takes."""

import asyncio
import os
import shutil
import sqlite3
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

from msgspec.structs import replace
from sqlalchemy.dialects.sqlite import insert
from sqlmodel import Session, create_engine

from app.domain.events import Event, NewEvent, Told
from app.domain.jobs import Job, Mark
from app.domain.phases import Phase
from app.domain.reports import MessageLine
from app.domain.stream import hear_line
from app.store.database import open_database
from app.store.history import open_history
from app.store.numbers import least_key, to_us
from app.store.prepared import Prepared
from app.store.rows import EventValues, event_values, state_values
from app.store.tables import EVENTS, STATES, EventRow, StateRow
from app.store.upkeep import bring_home
from benchmarks._past import lives

_JOBS = 200
_EVENTS = 20_000
_ORM_EVENTS = 400
_ONE_AFTER_ANOTHER = 200
_PAUSE_S = 0.002
_PAGE = b"\0" * 4096
_PAGES = 1000  # as many as the write-ahead log has before it begins anew
_EVENT = Prepared(insert(EVENTS), *EVENTS.columns)
_STATE = (
    "INSERT INTO job_state (key, shown, unseen, shape, digest) VALUES (?, ?, ?, ?, ?) ON CONFLICT (key) "
    "DO UPDATE SET shown = excluded.shown, unseen = excluded.unseen, shape = excluded.shape, digest = excluded.digest"
)

Course = Sequence[Sequence[Told]]


class Commit(NamedTuple):
    """The rows of one transaction."""

    events: list[EventValues]
    states: list[tuple[object, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU microseconds for each event, and how many events a transaction had."""

    writer_us: float
    raw_us: float
    orm_us: float
    orm_with_state_us: float
    together: float


def courses(lines: int) -> Course:
    """Of each job what is told of it, so many lines at a time."""
    done = (life.job for life in lives(10_000) if life.job.phase is Phase.COMPLETE)
    return [_course(_running(job), lines) for job in islice(done, _JOBS)]


async def empty(folder: Path) -> Path:
    """A database that knows the jobs, and no more."""
    file = folder / "empty.db"
    async with open_database(f"sqlite:///{file}") as database, open_history(database, tell=_unheard, now=_now) as log:
        await asyncio.gather(*(log.keep(Told(job=told[0].job)) for told in courses(1)))
    return file


async def cost(empty: Path, course: Course) -> Cost:
    """Each way in turn, each into a database of its own."""
    heard: list[Sequence[Event]] = []
    writer_us = await _by_writer(_copy(empty), course, heard)
    commits = _rows(course, heard)
    events = sum(len(commit.events) for commit in commits)
    return Cost(
        writer_us=writer_us,
        raw_us=_by_driver(_copy(empty), commits),
        orm_us=_by_orm(_copy(empty), commits, with_state=False),
        orm_with_state_us=_by_orm(_copy(empty), commits, with_state=True),
        together=events / len(commits),
    )


async def delays(empty: Path, course: Course) -> tuple[float, float]:
    """Medians, in turn: until one event is durable and told, and until 4 KB are. In ms.

    Both into a file that is there: a disk takes longer for one that grows, which the journal does until it is first brought home.
    """
    all_told = [told for each in zip(*course, strict=True) for told in each]
    before, told = all_told[:-_ONE_AFTER_ANOTHER], all_told[-_ONE_AFTER_ANOTHER:]
    kept, synced = [], []
    file = _copy(empty)
    page = file.with_suffix(".page")
    page.write_bytes(_PAGE * _PAGES)
    with page.open("r+b") as plain:
        os.fsync(plain.fileno())
        async with (
            open_database(f"sqlite:///{file}") as database,
            open_history(database, tell=_unheard, now=_now) as log,
        ):
            await asyncio.gather(*(log.keep(one) for one in before))
            async with database.connection() as connection:
                await connection.do(bring_home)
            for number, one in enumerate(told):
                began = time.perf_counter()
                await log.keep(one)
                kept.append(time.perf_counter() - began)
                await asyncio.sleep(_PAUSE_S)
                synced.append(_synced(plain.fileno(), number))
                await asyncio.sleep(_PAUSE_S)
    return 1000 * statistics.median(kept), 1000 * statistics.median(synced)


def _course(job: Job, lines: int) -> list[Told]:
    told = []
    for first in range(0, _EVENTS // _JOBS, lines):
        events: list[NewEvent] = []
        for number in range(first, first + lines):
            heard = hear_line(job, _line(number + 2))
            assert heard is not None  # noqa: S101  (each is the next)
            job = heard.job
            events += heard.events
        told.append(Told(job=job, events=tuple(events)))
    return told


def _line(number: int) -> MessageLine:
    text = (
        f'{{"__type":"EpochMetrics","party":"mercy","epoch":{number % 20},"epoch_count":20,'
        f'"loss":0.{number:08},"accuracy":0.98765432,"auc":0.91234567,"examples":1250}}'
    )
    return MessageLine(mark=Mark(epoch="a-point", sequence=number), when=_now(), text=text)


def _running(job: Job) -> Job:
    running = replace(job, phase=Phase.IN_PROGRESS, finished=None, result=None, stream_ended=False)
    return replace(running, stream=Mark(epoch="a-point", sequence=1))


async def _by_writer(file: Path, course: Course, heard: list[Sequence[Event]]) -> float:
    async with (
        open_database(f"sqlite:///{file}") as database,
        open_history(database, tell=heard.append, now=_now) as log,
    ):

        async def keep(tolds: Sequence[Told]) -> None:
            for told in tolds:
                await log.keep(told)

        began = time.process_time()
        await asyncio.gather(*(keep(tolds) for tolds in course))
        spent = time.process_time() - began
    return 1e6 * spent / sum(len(events) for events in heard)


def _rows(course: Course, heard: Sequence[Sequence[Event]]) -> list[Commit]:
    """What the writer wrote, transaction by transaction."""
    coming = {tolds[0].job.id: [(told, new) for told in tolds for new in told.events][::-1] for tolds in course}
    return [_commit(events, coming) for events in heard]


def _commit(events: Sequence[Event], coming: dict[UUID, list[tuple[Told, NewEvent]]]) -> Commit:
    rows, newest = [], {}
    for event in events:
        told, new = coming[event.job_id].pop()
        newest[event.job_id] = told.job
        rows.append(event_values(new, number=event.id, job_key=_key(told.job), received_us=to_us(event.received)))
    return Commit(rows, [tuple(state_values(job, key=_key(job)).values()) for job in newest.values()])


def _key(job: Job) -> int:
    return least_key(to_us(job.created))


def _by_driver(file: Path, commits: Sequence[Commit]) -> float:
    connection = _connected(file)
    began = time.process_time()
    for commit in commits:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(_STATE, commit.states)
        connection.executemany(_EVENT.sql, commit.events)
        connection.execute("COMMIT")
    spent = time.process_time() - began
    connection.close()
    return 1e6 * spent / sum(len(commit.events) for commit in commits)


def _by_orm(file: Path, commits: Sequence[Commit], *, with_state: bool) -> float:
    """One event, and if so the state of its job, in each transaction."""
    names = [column.name for column in STATES.columns]
    of_events = [column.name for column in EVENTS.columns]
    states: dict[object, dict[str, Any]] = {
        row[0]: dict(zip(names, row, strict=True)) for commit in commits for row in commit.states
    }
    events = [event for commit in commits for event in commit.events][:_ORM_EVENTS]
    engine = create_engine(f"sqlite:///{file}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
    with Session(engine) as session:
        began = time.process_time()
        for event in events:
            row: dict[str, Any] = dict(zip(of_events, event, strict=True))
            session.add(EventRow(**row))
            if with_state:
                session.merge(StateRow.model_validate(states[row["job_key"]]))
            session.commit()
        spent = time.process_time() - began
    engine.dispose()
    return 1e6 * spent / len(events)


def _connected(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _synced(descriptor: int, number: int) -> float:
    began = time.perf_counter()
    os.pwrite(descriptor, _PAGE, number % _PAGES * len(_PAGE))
    os.fdatasync(descriptor)
    return time.perf_counter() - began


def _copy(empty: Path) -> Path:
    for old in empty.parent.glob("copy.*"):
        old.unlink()
    return Path(shutil.copy(empty, empty.parent / "copy.db"))


def _unheard(_events: Sequence[Event]) -> None:
    pass


def _now() -> datetime:
    return datetime.now(UTC)
