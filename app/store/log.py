"""The event log's one writer: it numbers, inserts and commits in batches, and only then tells."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from app.domain.errors import StoreAway
from app.domain.events import Event, Source, Told
from app.domain.jobs import Job, Mark
from app.store.database import Own
from app.store.tables import EVENTS, JOBS, LABELS, POSITIONS, SOURCES, event_values, job_values

Tell = Callable[[Sequence[Event]], None]

_QUEUE = 1_000
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    told: Told | None
    position: Mark | None
    done: "asyncio.Future[None]"


class Writer:
    """Takes news from anybody, writes it in the order it came, and tells the listeners what is durable."""

    def __init__(self, connection: Own, *, tell: Tell, now: Callable[[], datetime]) -> None:
        self._connection = connection
        self._tell = tell
        self._now = now
        self._queue: asyncio.Queue[_Entry | None] = asyncio.Queue(_QUEUE)
        self._last = 0
        self._closed = False

    async def keep(self, told: Told | None, *, position: Mark | None) -> None:
        """Return once it is durable and told. Raises StoreAway when it was not written."""
        if self._closed:
            raise StoreAway("The gateway is stopping.")
        done = asyncio.get_running_loop().create_future()
        await self._queue.put(_Entry(told=told, position=position, done=done))
        await done

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
            events = await self._connection.do(lambda connection: self._commit(connection, batch))
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
        """Where the database is well, one entry is guilty: only that one fails."""
        if len(batch) == 1 or isinstance(error, OperationalError):
            _fail(batch, error)
            return
        for entry in batch:
            await self._write([entry])

    def _commit(self, connection: Connection, batch: Sequence[_Entry]) -> list[Event]:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        # From the table, not from memory: another process may have written meanwhile.
        self._last = max(self._last, connection.execute(_NEWEST).scalar_one())
        rows: list[dict[str, object]] = []
        events: list[Event] = []
        received = self._now()
        for told in (entry.told for entry in batch if entry.told is not None):
            self._number(told, _keep_job(connection, told.job), received=received, rows=rows, events=events)
        if rows:
            connection.execute(_NEW_EVENTS, rows)
        positions = [entry.position for entry in batch if entry.position is not None]
        if positions:
            _keep_position(connection, positions[-1])
        connection.exec_driver_sql("COMMIT")
        return events

    def _number(
        self, told: Told, job_key: int, *, received: datetime, rows: list[dict[str, object]], events: list[Event]
    ) -> None:
        for new in told.events:
            self._last += 1
            rows.append(event_values(new, number=self._last, job_key=job_key, received=received))
            events.append(
                Event(
                    id=self._last,
                    job_id=told.job.id,
                    kind=new.kind,
                    source=new.source,
                    when=new.when,
                    received=received,
                    data=new.data,
                    late=new.late,
                )
            )


_NEWEST = select(func.coalesce(func.max(EVENTS.c.id), 0))
_NEW_EVENTS = insert(EVENTS)


def _keep_job(connection: Connection, job: Job) -> int:
    values = job_values(job)
    known = update(JOBS).where(JOBS.c.job_id == values["job_id"]).values(values).returning(JOBS.c.key)
    key = connection.execute(known).scalar_one_or_none()
    return int(key) if key is not None else _begin_job(connection, job, values)


def _begin_job(connection: Connection, job: Job, values: dict[str, object]) -> int:
    key = int(connection.execute(insert(JOBS).values(values).returning(JOBS.c.key)).scalar_one())
    if job.labels:
        labels = [{"job_key": key, "name": name, "value": value} for name, value in job.labels.items()]
        connection.execute(insert(LABELS), labels)
    return key


def _keep_position(connection: Connection, position: Mark) -> None:
    values = {"epoch": position.epoch, "sequence": position.sequence}
    statement = upsert(POSITIONS).values(source=SOURCES[Source.ROUTER], **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["source"], set_=values))


def _roll_back(connection: Connection) -> None:
    if connection.in_transaction():
        connection.rollback()
    try:
        connection.exec_driver_sql("ROLLBACK")
    except SQLAlchemyError:
        return  # the failure had ended the transaction already


def _fail(batch: Sequence[_Entry], error: Exception) -> None:
    for entry in batch:
        if not entry.done.done():
            away = StoreAway("The history cannot be written at the moment; try again later.")
            away.__cause__ = error
            entry.done.set_exception(away)
