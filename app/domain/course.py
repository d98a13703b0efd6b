"""What a piece of news makes of a job. Pure: the same job and the same news give the same answer."""

from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from app.domain.codes import JobCode
from app.domain.events import Kind, NewEvent, Source, Told
from app.domain.jobs import Ending, Job, Result
from app.domain.messages import STARTING, is_metrics
from app.domain.metrics import with_metrics
from app.domain.phases import OF_MARKET_STATUS, Phase, is_requeued, may_move
from app.domain.reports import EndLine, JobReport, MessageLine, StatusLine, StreamLine, first_told
from app.domain.statuses import JobStatus
from app.domain.why import Why, why

_FINAL_CODES = {Phase.COMPLETE: JobCode.COMPLETE, Phase.ERROR: JobCode.ERROR}


class PhaseData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a `phase` event. `previous` is None for the first, and equals `phase` when only `why` changed."""

    job_id: UUID
    phase: Phase
    previous: Phase | None
    when: datetime
    why: Why | None


class EndData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an `end` event, the last of a job."""

    job_id: UUID
    phase: Phase


class UpstreamData(msgspec.Struct, frozen=True, kw_only=True):
    """The data of an `upstream` event: `state` is lost or back, `since` when that began."""

    job_id: UUID
    state: str
    since: datetime


def first_heard(report: JobReport, *, streamed: bool, created_by: str | None = None) -> Told:
    """What the Router's word makes of a job that was never heard of; `created_by` is who asked for it here.

    `streamed`: the job's status stream is this gateway's to read, so a final phase is held until the stream's end
    marker has come: both must say that it is over.
    """
    return _after(_introduced(report, streamed=streamed, created_by=created_by), report)


def hear_router(job: Job, report: JobReport) -> Told | None:
    """Apply the Router's word. None: nothing new."""
    if job.router is not None and not job.router.precedes(report.mark):
        return None
    return _after(Told(job=job), report)


def hear_line(job: Job, line: StreamLine) -> Told | None:
    """Apply a line of the Access Point's stream. None: heard before."""
    if job.stream is not None and not job.stream.precedes(line.mark):
        return None
    heard = replace(job, stream=line.mark)
    if isinstance(line, EndLine):
        return _ended(replace(heard, stream_ended=True))
    if isinstance(line, MessageLine):
        return _message(heard, line)
    return _status(heard, line)


def stop_waiting(job: Job) -> Told | None:
    """The end marker stayed away past its deadline: let the held final phase go. None: nothing is held."""
    return _ended(job) if job.held is not None else None


def upstream_lost(job: Job, *, now: datetime) -> Told | None:
    """The status stream cannot be read. None: known already."""
    if job.upstream_lost_since is not None or job.is_over:
        return None
    return Told(job=replace(job, upstream_lost_since=now), events=(_upstream(job, "lost", now),))


def upstream_back(job: Job, *, now: datetime) -> Told | None:
    """The status stream is read again. None: it was not lost."""
    if job.upstream_lost_since is None or job.is_over:
        return None
    return Told(job=replace(job, upstream_lost_since=None), events=(_upstream(job, "back", now),))


def _introduced(report: JobReport, *, streamed: bool, created_by: str | None) -> Told:
    job = replace(first_told(report, streamed=streamed), created_by=created_by)
    return Told(job=job, events=(_phase(job, previous=None, when=report.created, source=Source.ROUTER),))


def _after(told: Told, report: JobReport) -> Told:
    job = _facts(told.job, report)
    to = OF_MARKET_STATUS.get(report.market_status, job.phase)
    was = told.job.phase
    if to is was:
        moved = _said_again(told.job, job, changed=report.changed)
    elif to.is_final and not was.is_final:
        moved = _hold(job, to, report)
    elif may_move(was, to) or (is_requeued(told.job.market_status, report.market_status) and not was.is_final):
        begins_again = replace(job, code=JobCode.NOT_KNOWN_YET) if to is Phase.WAITING_ON_QUEUE else job
        moved = _move(begins_again, to, when=_when(report, to), source=Source.ROUTER)
    else:
        late = replace(job, phase=to)
        event = _phase(late, previous=was, when=_when(report, to), source=Source.ROUTER, late=True)
        moved = Told(job=job, events=(event,))
    return Told(job=moved.job, events=told.events + moved.events)


def _facts(job: Job, report: JobReport) -> Job:
    """The job with what the Router says of it, its phase apart. The history of a job that is over stays as it is."""
    if job.is_over:
        return replace(job, router=report.mark)
    return replace(
        job,
        router=report.mark,
        market_status=report.market_status,
        submitted=report.submitted,
        started=report.started,
        waiting_on=report.waiting_on,
        queue=report.queue,
        reason=report.reason,
        error=report.error or job.error,
        error_code=job.error_code if report.error_code is None else report.error_code,
    )


def _said_again(was: Job, job: Job, *, changed: datetime) -> Told:
    """The phase stays; whom it waits for may have changed. A mere move up in a queue is not told."""
    if _waits_for(was) == _waits_for(job):
        return Told(job=job)
    return Told(job=job, events=(_phase(job, previous=job.phase, when=changed, source=Source.ROUTER),))


def _waits_for(job: Job) -> object:
    if job.phase is Phase.WAITING_ON_PERMISSION:
        return job.waiting_on
    return [(place.team, place.away_since) for place in job.queue] if job.phase is Phase.WAITING_ON_QUEUE else None


def _hold(job: Job, to: Phase, report: JobReport) -> Told:
    made = report.result.asset_id if report.result else None
    ending = Ending(phase=to, when=_when(report, to), reason=report.reason, asset_id=made)
    held = replace(job, held=ending)
    has_no_stream = not job.streamed or report.submitted is None
    return _ended(held) if job.stream_ended or has_no_stream else Told(job=held)


def _ended(job: Job) -> Told:
    """Let go of a held final phase, if there is one; its `end` is the last event of the job."""
    if job.held is None or job.is_over:
        return Told(job=job)
    ending = job.held
    over = replace(
        job,
        phase=ending.phase,
        finished=ending.when,
        code=_FINAL_CODES.get(ending.phase, job.code),
        result=job.result or _without_text(ending.asset_id),
        waiting_on=(),
        queue=(),
        held=None,
        upstream_lost_since=None,
    )
    phase = _phase(over, previous=job.phase, when=ending.when, source=Source.ROUTER)
    data = msgspec.json.encode(EndData(job_id=job.id, phase=over.phase)).decode()
    end = NewEvent(kind=Kind.END, source=Source.GATEWAY, when=ending.when, data=data)
    return Told(job=over, events=(phase, end))


def _without_text(asset_id: UUID | None) -> Result | None:
    """What is left of a result whose status never came: the asset, if one was made."""
    return None if asset_id is None else Result(raw_status="", asset_id=asset_id)


def _move(job: Job, to: Phase, *, when: datetime, source: Source) -> Told:
    moved = replace(job, phase=to)
    return Told(job=moved, events=(_phase(moved, previous=job.phase, when=when, source=source),))


def _message(job: Job, line: MessageLine) -> Told:
    event = NewEvent(
        kind=Kind.MESSAGE,
        source=Source.ACCESS_POINT,
        when=line.when,
        data=line.text,
        mark=line.mark,
        late=job.is_over,
    )
    if job.is_over:
        return Told(job=job, events=(event,))
    if is_metrics(line.text):
        job = replace(job, model_status=with_metrics(job.model_status, line.text))
    if line.text == STARTING:
        return _forward(job, Phase.STARTING, event=event, when=line.when)
    return Told(job=job, events=(event,))


def _status(job: Job, line: StatusLine) -> Told:
    status = _job_status(job, line)
    event = NewEvent(
        kind=Kind.STATUS,
        source=Source.ACCESS_POINT,
        when=line.when,
        data=msgspec.json.encode(status).decode(),
        mark=line.mark,
        late=job.is_over,
    )
    if job.is_over:
        return Told(job=job, events=(event,))
    # A code that says it is over is shown with the final phase, never before it.
    code = job.code if status.code in _FINAL_CODES.values() else status.code
    heard = replace(job, code=code, error=status.error or job.error, result=status.result or job.result)
    if status.error_code is not None:
        heard = replace(heard, error_code=status.error_code)
    if status.code == JobCode.IN_PROGRESS:
        return _forward(heard, Phase.IN_PROGRESS, event=event, when=line.when)
    return Told(job=heard, events=(event,))


def _forward(job: Job, to: Phase, *, event: NewEvent, when: datetime) -> Told:
    """The Access Point may be ahead of the Router's news: move on, unless the job is further already."""
    if not may_move(job.phase, to):
        return Told(job=job, events=(event,))
    moved = _move(job, to, when=when, source=Source.ACCESS_POINT)
    return Told(job=moved.job, events=(event, *moved.events))


def _job_status(job: Job, line: StatusLine) -> JobStatus:
    said = line.status
    return JobStatus(
        id=said.id,
        job_id=job.id,
        code=said.code,
        status=said.status,
        when=said.when,
        communications=said.communications,
        error=said.error,
        error_code=said.error_code,
        result=said.result,
    )


def _phase(job: Job, *, previous: Phase | None, when: datetime, source: Source, late: bool = False) -> NewEvent:
    data = PhaseData(job_id=job.id, phase=job.phase, previous=previous, when=when, why=why(job))
    return NewEvent(kind=Kind.PHASE, source=source, when=when, data=msgspec.json.encode(data).decode(), late=late)


def _upstream(job: Job, state: str, since: datetime) -> NewEvent:
    data = UpstreamData(job_id=job.id, state=state, since=since)
    return NewEvent(kind=Kind.UPSTREAM, source=Source.GATEWAY, when=since, data=msgspec.json.encode(data).decode())


def _when(report: JobReport, to: Phase) -> datetime:
    """When the Router says this happened."""
    return (report.finished if to.is_final else None) or report.changed
