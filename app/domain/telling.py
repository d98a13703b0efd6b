"""What events say: the data of those that the gateway words itself, as one line of JSON each."""

from datetime import datetime
from uuid import UUID

import msgspec

from app.domain.events import Kind, NewEvent, Source
from app.domain.jobs import Actor, Job
from app.domain.phases import Phase
from app.domain.why import Why, why


class PhaseData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a `phase` event. `previous` is None for the first, and equals `phase` when only `why` changed.

    `actor` is who brought the job there; None: it came by itself. `reason` is a sentence, None where none was given.
    """

    job_id: UUID
    phase: Phase
    previous: Phase | None
    when: datetime
    why: Why | None
    actor: Actor | None
    reason: str | None


class EndData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an `end` event, the last of a job."""

    job_id: UUID
    phase: Phase


class UpstreamData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an `upstream` event: `state` is lost or back, `since` when that began."""

    job_id: UUID
    state: str
    since: datetime


def phase_told(
    job: Job,
    *,
    previous: Phase | None,
    when: datetime,
    source: Source,
    actor: Actor | None = None,
    reason: str | None = None,
    late: bool = False,
) -> NewEvent:
    """The job is in its phase now; without a `reason` the one that its `why` has."""
    because = why(job)
    if reason is None and because is not None:
        reason = because.reason or because.error or None
    data = PhaseData(
        job_id=job.id, phase=job.phase, previous=previous, when=when, why=because, actor=actor, reason=reason
    )
    return NewEvent(kind=Kind.PHASE, source=source, when=when, data=_line(data), late=late)


def end_told(job: Job, *, when: datetime) -> NewEvent:
    """Nothing follows."""
    data = EndData(job_id=job.id, phase=job.phase)
    return NewEvent(kind=Kind.END, source=Source.GATEWAY, when=when, data=_line(data))


def upstream_told(job: Job, state: str, *, since: datetime) -> NewEvent:
    """The job's status stream is lost or back."""
    data = UpstreamData(job_id=job.id, state=state, since=since)
    return NewEvent(kind=Kind.UPSTREAM, source=Source.GATEWAY, when=since, data=_line(data))


def _line(data: msgspec.Struct) -> str:
    return msgspec.json.encode(data).decode()
