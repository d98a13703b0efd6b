"""What a line of an Access Point's status stream makes of a job. Pure, as the course of a job is."""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from app.domain.codes import JobCode
from app.domain.events import Kind, NewEvent, Source, Told
from app.domain.jobs import Job
from app.domain.messages import STARTING, is_metrics
from app.domain.metrics import with_metrics
from app.domain.moves import FINAL_CODES, SEEN_AGAIN, ended, move
from app.domain.phases import Phase, may_move
from app.domain.reports import EndLine, MessageLine, StatusLine, StreamLine
from app.domain.statuses import JobStatus


def hear_line(job: Job, line: StreamLine) -> Told | None:
    """Apply a line of the Access Point's stream. None: heard before."""
    if job.stream is not None and not job.stream.precedes(line.mark):
        return None
    heard = replace(job, stream=line.mark)
    if isinstance(line, EndLine):
        return ended(replace(heard, stream_ended=True))
    if isinstance(line, MessageLine):
        return _message(heard, line)
    return _status(heard, line)


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
    code = job.code if status.code in FINAL_CODES.values() else status.code
    heard = replace(job, code=code, error=status.error or job.error, result=status.result or job.result)
    if status.error_code is not None:
        heard = replace(heard, error_code=status.error_code)
    if status.code == JobCode.IN_PROGRESS:
        return _forward(heard, Phase.IN_PROGRESS, event=event, when=line.when)
    return Told(job=heard, events=(event,))


def _forward(job: Job, to: Phase, *, event: NewEvent, when: datetime) -> Told:
    """The Access Point may be ahead of the Router's news: move on, unless the job is further already.

    What it says of a job that the Router has put back may be of the run before: the Router's word is waited for.
    """
    if job.put_back or not may_move(job.phase, to):
        return Told(job=job, events=(event,))
    was_lost = job.phase is Phase.LOST
    reason = SEEN_AGAIN if was_lost else None
    heard = replace(job, forgotten_since=None) if was_lost else job
    moved = move(heard, to, when=when, source=Source.ACCESS_POINT, reason=reason)
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
