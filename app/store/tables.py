"""The tables, and the way between rows and values. Lean types: whole numbers, and JSON that is text already.

Times are microseconds since 1970 in UTC. The numbers that stand for phases, kinds and sources are written down for
good: a number is never given another meaning.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import BigInteger, Column, Index, Integer, Row, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from app.domain.events import Event, Kind, NewEvent, Source
from app.domain.jobs import Job
from app.domain.phases import Phase

PHASES: dict[Phase, int] = {
    Phase.CREATED: 1,
    Phase.WAITING_ON_PERMISSION: 2,
    Phase.WAITING_ON_QUEUE: 3,
    Phase.STARTING: 4,
    Phase.IN_PROGRESS: 5,
    Phase.STOPPING: 6,
    Phase.LOST: 7,
    Phase.COMPLETE: 8,
    Phase.ERROR: 9,
    Phase.CANCELLED: 10,
    Phase.KILLED: 11,
    Phase.DENIED: 12,
}
KINDS: dict[Kind, int] = {Kind.STATUS: 1, Kind.MESSAGE: 2, Kind.PHASE: 3, Kind.UPSTREAM: 4, Kind.END: 5}
SOURCES: dict[Source, int] = {Source.ROUTER: 1, Source.ACCESS_POINT: 2, Source.GATEWAY: 3}
_KIND_OF = {number: kind for kind, number in KINDS.items()}
_SOURCE_OF = {number: source for source, number in SOURCES.items()}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# SQLite numbers rows by itself only where the column is spelled INTEGER.
_ROW_NUMBER = BigInteger().with_variant(Integer(), "sqlite")


class JobRow(SQLModel, table=True):
    """A job: the columns that are searched, and the whole value as JSON."""

    __tablename__ = "job"
    __table_args__ = (
        Index("job_newest", "created_us", "key"),
        Index("job_phase_newest", "phase", "created_us", "key"),
        Index("job_name_newest", "job_name", "created_us", "key"),
    )

    key: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    job_id: str = Field(unique=True)
    job_name: str
    operation: str
    owner: str
    phase: int
    created_us: int = Field(sa_type=BigInteger)
    state: str = Field(sa_type=Text)


class EventRow(SQLModel, table=True):
    """A line of the log. `epoch` and `sequence` are set where the row is a line that an Access Point numbered."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("job_key", "source", "epoch", "sequence", name="event_once"),
        Index("event_of_job", "job_key", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    job_key: int = Field(sa_type=BigInteger)
    kind: int
    source: int
    epoch: str | None
    sequence: int | None = Field(sa_type=BigInteger)
    when_us: int = Field(sa_type=BigInteger)
    received_us: int = Field(sa_type=BigInteger)
    late: bool
    data: str = Field(sa_type=Text)


class PositionRow(SQLModel, table=True):
    """How far a numbered source has been heard."""

    __tablename__ = "position"

    source: int = Field(primary_key=True)
    epoch: str
    sequence: int = Field(sa_type=BigInteger)


JOBS = SQLModel.metadata.tables["job"]
EVENTS = SQLModel.metadata.tables["event"]
POSITIONS = SQLModel.metadata.tables["position"]


def job_values(job: Job) -> dict[str, object]:
    """The columns of a job's row, its key apart."""
    return {
        "job_id": str(job.id),
        "job_name": job.job_name,
        "operation": job.operation,
        "owner": job.owner.user,
        "phase": PHASES[job.phase],
        "created_us": to_us(job.created),
        "state": msgspec.json.encode(job).decode(),
    }


def job_of(state: str) -> Job:
    """The value that was kept."""
    return msgspec.json.decode(state, type=Job)


def event_values(event: NewEvent, *, number: int, job_key: int, received: datetime) -> dict[str, object]:
    """The columns of an event's row."""
    return {
        "id": number,
        "job_key": job_key,
        "kind": KINDS[event.kind],
        "source": SOURCES[event.source],
        "epoch": event.mark.epoch if event.mark else None,
        "sequence": event.mark.sequence if event.mark else None,
        "when_us": to_us(event.when),
        "received_us": to_us(received),
        "late": event.late,
        "data": event.data,
    }


def event_of(row: Row[Any]) -> Event:
    """The value that was kept, from a row of the event's columns and its job's `job_id`."""
    return Event(
        id=row.id,
        job_id=UUID(row.job_id),
        kind=_KIND_OF[row.kind],
        source=_SOURCE_OF[row.source],
        when=from_us(row.when_us),
        received=from_us(row.received_us),
        data=row.data,
        late=row.late,
    )


def to_us(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The same moment, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=us)
