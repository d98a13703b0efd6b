"""The tables, and the way between rows and values. Lean types: whole numbers, and JSON that is text already.

Times are microseconds since 1970 in UTC. The numbers that stand for phases, kinds, sources, verbs and roles are written down for
good: a number is never given another meaning.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import BigInteger, Column, Index, Integer, Row, Text, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from app.domain.access import Role
from app.domain.actions import Action, NewAction, Verb
from app.domain.events import Event, Kind, NewEvent, Source
from app.domain.jobs import Job, StopAnswer
from app.domain.keys import Key
from app.domain.metrics import in_parties
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
VERBS: dict[Verb, int] = {
    Verb.CREATE: 1,
    Verb.SUBMIT: 2,
    Verb.CANCEL: 3,
    Verb.KILL: 4,
    Verb.ACCEPT: 5,
    Verb.DENY: 6,
    Verb.UPLOAD: 7,
    Verb.AGREE: 8,
    Verb.END_AGREEMENT: 9,
}
ROLES: dict[Role, int] = {Role.VIEWER: 1, Role.SUBMITTER: 2, Role.APPROVER: 3, Role.ADMIN: 4}
_KIND_OF = {number: kind for kind, number in KINDS.items()}
_SOURCE_OF = {number: source for source, number in SOURCES.items()}

_VERB_OF = {number: verb for verb, number in VERBS.items()}
_ROLE_OF = {number: role for role, number in ROLES.items()}

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
        # Statuses and phases are few amongst many messages.
        Index("event_status", "job_key", "id", sqlite_where=text("kind = 1")),
        Index("event_phase", "job_key", "id", sqlite_where=text("kind = 3")),
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


class LabelRow(SQLModel, table=True):
    """A label of a job. Labels never change, so they are written with the job's row."""

    __tablename__ = "job_label"
    __table_args__ = (Index("job_label_value", "name", "value", "job_key"),)

    job_key: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    name: str = Field(primary_key=True)
    value: str


class PositionRow(SQLModel, table=True):
    """How far a numbered source has been heard."""

    __tablename__ = "position"

    source: int = Field(primary_key=True)
    epoch: str
    sequence: int = Field(sa_type=BigInteger)


class ActionRow(SQLModel, table=True):
    """Who did what."""

    __tablename__ = "action"
    __table_args__ = (Index("action_of_job", "job_id", "id"), Index("action_client_ref", "client_ref"))

    id: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    when_us: int = Field(sa_type=BigInteger)
    verb: int
    user: str
    key_id: str | None
    router_user: str | None
    job_id: str | None
    asset_id: str | None
    client_ref: str | None
    reason: str | None
    outcome: str | None
    answers: str | None = Field(default=None, sa_type=Text)


class AttemptRow(SQLModel, table=True):
    """A request with an Idempotency-Key. `answer` is null until it has one."""

    __tablename__ = "attempt"
    __table_args__ = (
        UniqueConstraint("caller", "route", "key", name="attempt_once"),
        Index("attempt_begun", "begun_us"),
    )

    number: int | None = Field(default=None, sa_column=Column(_ROW_NUMBER, primary_key=True))
    caller: str
    route: str
    key: str
    digest: str
    begun_us: int = Field(sa_type=BigInteger)
    job_id: str | None
    answer: str | None = Field(sa_type=Text)


class KeyRow(SQLModel, table=True):
    """An API key; of its secret only the fingerprint."""

    __tablename__ = "api_key"

    key_id: str = Field(primary_key=True)
    user: str
    role: int
    fingerprint: str
    created_us: int = Field(sa_type=BigInteger)
    expires_us: int | None = Field(sa_type=BigInteger)
    revoked_us: int | None = Field(sa_type=BigInteger)
    used_us: int | None = Field(sa_type=BigInteger)


class PassRow(SQLModel, table=True):
    """What lets a browser's stream in. `cookie` is empty until the ticket was used; both are fingerprints."""

    __tablename__ = "stream_pass"
    __table_args__ = (Index("stream_pass_key", "key_id"), Index("stream_pass_expires", "expires_us"))

    ticket: str = Field(primary_key=True)
    cookie: str | None = Field(unique=True)
    key_id: str | None
    path: str
    expires_us: int = Field(sa_type=BigInteger)


JOBS = SQLModel.metadata.tables["job"]
EVENTS = SQLModel.metadata.tables["event"]
LABELS = SQLModel.metadata.tables["job_label"]
POSITIONS = SQLModel.metadata.tables["position"]
ACTIONS = SQLModel.metadata.tables["action"]
ATTEMPTS = SQLModel.metadata.tables["attempt"]
KEYS = SQLModel.metadata.tables["api_key"]
PASSES = SQLModel.metadata.tables["stream_pass"]


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
    job = msgspec.json.decode(state, type=Job)
    return replace(job, model_status=in_parties(job.model_status))


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


def action_values(action: NewAction, *, when: datetime) -> dict[str, object]:
    """The columns of an action's row, its number and outcome apart."""
    return {
        "when_us": to_us(when),
        "verb": VERBS[action.verb],
        "user": action.user,
        "key_id": action.key_id,
        "router_user": action.router_user,
        "job_id": _text(action.job_id),
        "asset_id": _text(action.asset_id),
        "client_ref": action.client_ref,
        "reason": action.reason,
    }


def action_of(row: Row[Any]) -> Action:
    """The value that was kept."""
    return Action(
        id=row.id,
        when=from_us(row.when_us),
        verb=_VERB_OF[row.verb],
        user=row.user,
        key_id=row.key_id,
        router_user=row.router_user,
        job_id=UUID(row.job_id) if row.job_id else None,
        asset_id=UUID(row.asset_id) if row.asset_id else None,
        client_ref=row.client_ref,
        reason=row.reason,
        outcome=row.outcome,
        answers=msgspec.json.decode(row.answers, type=tuple[StopAnswer, ...]) if row.answers else (),
    )


def key_values(key: Key) -> dict[str, object]:
    """The columns of a key's row."""
    return {
        "key_id": key.id,
        "user": key.user,
        "role": ROLES[key.role],
        "fingerprint": key.fingerprint,
        "created_us": to_us(key.created),
        "expires_us": to_us(key.expires) if key.expires else None,
        "revoked_us": to_us(key.revoked) if key.revoked else None,
        "used_us": to_us(key.used) if key.used else None,
    }


def key_of(row: Row[Any]) -> Key:
    """The value that was kept."""
    return Key(
        id=row.key_id,
        user=row.user,
        role=_ROLE_OF[row.role],
        fingerprint=row.fingerprint,
        created=from_us(row.created_us),
        expires=_moment(row.expires_us),
        revoked=_moment(row.revoked_us),
        used=_moment(row.used_us),
    )


def to_us(when: datetime) -> int:
    """Microseconds since 1970, exactly."""
    return (when - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The same moment, aware, in UTC."""
    return _EPOCH + timedelta(microseconds=us)


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)
