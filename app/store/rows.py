"""The way between rows and values."""

from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace
from sqlalchemy import Row

from app.domain.actions import Action, NewAction
from app.domain.events import Event, NewEvent
from app.domain.jobs import Job, StopAnswer
from app.domain.keys import Key
from app.domain.metrics import in_parties
from app.domain.shown import SHAPE, job_of, lines
from app.store.numbers import KIND_OF, KINDS, PHASES, ROLE_OF, ROLES, SOURCE_OF, SOURCES, VERB_OF, VERBS, from_us, to_us


def job_values(job: Job, *, key: int, received: datetime) -> dict[str, object]:
    """The columns of a job's row. A phase that was reached before it was heard of began when it is heard."""
    return {
        "key": key,
        "job_id": str(job.id),
        "job_name": job.job_name,
        "operation": job.operation,
        "owner": job.owner.user,
        "phase": PHASES[job.phase],
        "created_us": to_us(job.created),
        "since_us": to_us(job.created),
        "over_us": over_us(job, received=received),
    }


def over_us(job: Job, *, received: datetime) -> int | None:
    """When it was over. None: it is not."""
    return to_us(job.finished or received) if job.is_over else None


def state_values(job: Job, *, key: int) -> dict[str, object]:
    """The columns of a job's state."""
    line, rest = lines(job)
    return {
        "key": key,
        "shown": line.decode(),
        "unseen": rest.decode(),
        "shape": SHAPE,
        "digest": digest(line),
    }


def digest(line: bytes) -> int:
    """A whole number that a column holds, and that no other line has."""
    return int.from_bytes(blake2b(line, digest_size=8).digest(), signed=True)


def kept_job(shown: str, unseen: str, shape: int) -> Job:
    """The value that was kept."""
    job = job_of(shown, unseen)
    return job if shape == SHAPE else replace(job, model_status=in_parties(job.model_status))


# The columns of an event's row, in their order.
EventValues = tuple[int, int, int, int, str | None, int | None, int, int, bool, str]


def event_values(event: NewEvent, *, number: int, job_key: int, received_us: int) -> EventValues:
    """The row of an event."""
    mark = event.mark
    return (
        number,
        job_key,
        KINDS[event.kind],
        SOURCES[event.source],
        mark.epoch if mark else None,
        mark.sequence if mark else None,
        to_us(event.when),
        received_us,
        event.late,
        event.data,
    )


def numbered(event: NewEvent, number: int, *, job_id: UUID, received: datetime) -> Event:
    """The event as it is told."""
    return Event(
        id=number,
        job_id=job_id,
        kind=event.kind,
        source=event.source,
        when=event.when,
        received=received,
        data=event.data,
        late=event.late,
    )


def event_of(row: Row[Any]) -> Event:
    """The value that was kept, from a row of the event's columns and its job's `job_id`."""
    return Event(
        id=row.id,
        job_id=UUID(row.job_id),
        kind=KIND_OF[row.kind],
        source=SOURCE_OF[row.source],
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
        verb=VERB_OF[row.verb],
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
        role=ROLE_OF[row.role],
        fingerprint=row.fingerprint,
        created=from_us(row.created_us),
        expires=_moment(row.expires_us),
        revoked=_moment(row.revoked_us),
        used=_moment(row.used_us),
    )


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)
