"""What a piece of news makes of a job. Pure: the same job and the same news give the same answer."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from app.domain.codes import JobCode
from app.domain.events import NewEvent, Source, Told
from app.domain.jobs import Actor, Ending, Job
from app.domain.moves import SEEN_AGAIN, ended, move
from app.domain.phases import OF_MARKET_STATUS, Phase, is_requeued, may_move
from app.domain.reports import JobReport, first_told
from app.domain.telling import phase_told, upstream_told

_FORGOTTEN = "The Router does not know the job any more."
_REQUEUED = "The Router took the job back into the queue."
# What was heard ahead of the changes is remembered until they tell it, too; and of storages, the last few.
_AHEAD_AT_MOST = 100
_EPOCHS_AT_MOST = 8


def first_heard(
    report: JobReport, *, streamed: bool, created_by: str | None = None, by: str | None = None, listed: bool = False
) -> Told:
    """What the Router's word makes of a job that was never heard of; `created_by` is who asked for it here.

    `streamed`: the job's status stream is this gateway's to read, so a final phase is held until the stream's end
    marker has come: both must say that it is over. `by` and `listed` are as for `hear_router`.
    """
    told = _introduced(report, streamed=streamed, created_by=created_by)
    heard = replace(told, job=_noted(told.job, report, listed=listed))
    return _after(heard, report, now=report.changed, by=by)


def hear_router(
    job: Job, report: JobReport, *, now: datetime, by: str | None = None, listed: bool = False
) -> Told | None:
    """Apply the Router's word, which is heard `now`. None: nothing new.

    `by` is who asked this gateway for what brought the job there; None: nobody here. `listed`: the word comes from the
    Router's changes, which leave nothing out; what an answer has overtaken is late, and not lost.
    """
    if report.epoch in job.past_epochs or (listed and job.listed is not None and not job.listed.precedes(report.mark)):
        return None
    if job.router is None or job.router.precedes(report.mark):
        return _after(Told(job=_noted(job, report, listed=listed)), report, now=now, by=by)
    if job.forgotten_since is not None and job.router == report.mark and not listed:
        return _seen_as_it_was(job, report, now=now)
    return _overtaken(job, report, by=by) if listed else None


def forgotten(job: Job, *, now: datetime, lost_after: timedelta) -> Told | None:
    """The Router says that there is no such job; when that lasts, the job is lost. None: nothing new."""
    if job.is_over or job.held is not None or job.phase is Phase.LOST:
        return None
    if job.forgotten_since is None:
        return Told(job=replace(job, forgotten_since=now))
    if now - job.forgotten_since < lost_after:
        return None
    return move(job, Phase.LOST, when=now, source=Source.GATEWAY, reason=_FORGOTTEN)


def stop_waiting(job: Job) -> Told | None:
    """The end marker stayed away past its deadline: let the held final phase go. None: nothing is held."""
    return ended(job) if job.held is not None else None


def upstream_lost(job: Job, *, now: datetime) -> Told | None:
    """The status stream cannot be read. None: known already."""
    if job.upstream_lost_since is not None or job.is_over:
        return None
    return Told(job=replace(job, upstream_lost_since=now), events=(upstream_told(job, "lost", since=now),))


def upstream_back(job: Job, *, now: datetime) -> Told | None:
    """The status stream is read again. None: it was not lost."""
    if job.upstream_lost_since is None or job.is_over:
        return None
    return Told(job=replace(job, upstream_lost_since=None), events=(upstream_told(job, "back", since=now),))


def _introduced(report: JobReport, *, streamed: bool, created_by: str | None) -> Told:
    job = replace(first_told(report, streamed=streamed), created_by=created_by)
    creator = Actor(user=created_by, router_user=report.owner.user, team=report.owner.team)
    return Told(
        job=job, events=(phase_told(job, previous=None, when=report.created, source=Source.ROUTER, actor=creator),)
    )


def _noted(job: Job, report: JobReport, *, listed: bool) -> Job:
    """The job, which has heard this now."""
    if job.router is not None and job.router.epoch != report.epoch:
        left_behind = (*job.past_epochs, job.router.epoch)[-_EPOCHS_AT_MOST:]
        job = replace(job, past_epochs=left_behind, listed=None, listed_status="", ahead=())
    if listed:
        return replace(job, router=report.mark, listed=report.mark, listed_status=report.market_status, ahead=())
    return replace(job, router=report.mark, ahead=(*job.ahead, report.sequence)[-_AHEAD_AT_MOST:])


def _seen_as_it_was(job: Job, report: JobReport, *, now: datetime) -> Told:
    """The Router knows it again, and nothing about it has changed."""
    if job.phase is Phase.LOST:
        return _after(Told(job=job), report, now=now, by=None)
    return Told(job=replace(job, forgotten_since=None))


def _overtaken(job: Job, report: JobReport, *, by: str | None) -> Told:
    """An answer was quicker than the changes: what it left out is kept, late."""
    ahead = tuple(sequence for sequence in job.ahead if sequence > report.sequence)
    noted = replace(job, listed=report.mark, listed_status=report.market_status, ahead=ahead)
    to = OF_MARKET_STATUS.get(report.market_status)
    if to is None or report.sequence in job.ahead or report.market_status == job.listed_status:
        return Told(job=noted)
    return Told(job=noted, events=(_late(job, to, report, by=by),))


def _after(told: Told, report: JobReport, *, now: datetime, by: str | None) -> Told:
    job = _facts(told.job, report)
    to = OF_MARKET_STATUS.get(report.market_status, _as_seen(job))
    was = told.job.phase
    if to is was:
        moved = _said_again(told.job, job, changed=report.changed)
    elif to.is_final and not was.is_final:
        moved = _hold(job, to, report, by=by)
    elif may_move(was, to) or (is_requeued(told.job.market_status, report.market_status) and not was.is_final):
        moved = _moved(told.job, job, to, report=report, now=now, by=by)
    else:
        moved = Told(job=job, events=(_late(job, to, report, by=by),))
    return Told(job=moved.job, events=told.events + moved.events)


def _as_seen(job: Job) -> Phase:
    """The phase of a job of which the Router has a word that says nothing here."""
    if job.phase is not Phase.LOST:
        return job.phase
    if job.started is not None:
        return Phase.IN_PROGRESS
    return Phase.CREATED if job.submitted is None else Phase.WAITING_ON_QUEUE


def _moved(was: Job, job: Job, to: Phase, *, report: JobReport, now: datetime, by: str | None) -> Told:
    put_back = is_requeued(was.market_status, report.market_status)
    job = replace(job, put_back=put_back)
    if to is Phase.WAITING_ON_QUEUE:
        job = replace(job, code=JobCode.NOT_KNOWN_YET)
    if was.phase is Phase.LOST and report.market_status == was.market_status:
        # It stands where it stood: nobody brought it there now.
        return move(job, to, when=now, source=Source.ROUTER, reason=SEEN_AGAIN)
    reason = _REQUEUED if put_back else None
    if was.phase is Phase.LOST and report.reason is None:
        reason = SEEN_AGAIN
    return move(job, to, when=_when(report, to), source=Source.ROUTER, actor=_actor(report, by), reason=reason)


def _late(job: Job, to: Phase, report: JobReport, *, by: str | None) -> NewEvent:
    told = replace(job, phase=to, reason=report.reason, error=report.error, error_code=report.error_code)
    actor = _actor(report, by)
    return phase_told(told, previous=job.phase, when=_when(report, to), source=Source.ROUTER, actor=actor, late=True)


def _actor(report: JobReport, by: str | None) -> Actor | None:
    said = report.actor
    return None if said is None else Actor(user=by, router_user=said.user, team=said.team)


def _facts(job: Job, report: JobReport) -> Job:
    """The job with what the Router says of it, its phase apart. The history of a job that is over stays as it is."""
    if job.is_over:
        return job
    return replace(
        job,
        market_status=report.market_status,
        submitted=report.submitted,
        started=report.started,
        waiting_on=report.waiting_on,
        queue=report.queue,
        reason=report.reason,
        error=report.error or job.error,
        error_code=job.error_code if report.error_code is None else report.error_code,
        stop=report.stop or job.stop,
        forgotten_since=None,
    )


def _said_again(was: Job, job: Job, *, changed: datetime) -> Told:
    """The phase stays; whom it waits for may have changed. A mere move up in a queue is not told."""
    if _waits_for(was) == _waits_for(job):
        return Told(job=job)
    return Told(job=job, events=(phase_told(job, previous=job.phase, when=changed, source=Source.ROUTER),))


def _waits_for(job: Job) -> object:
    if job.phase is Phase.WAITING_ON_PERMISSION:
        return job.waiting_on
    return [(place.team, place.away_since) for place in job.queue] if job.phase is Phase.WAITING_ON_QUEUE else None


def _hold(job: Job, to: Phase, report: JobReport, *, by: str | None) -> Told:
    made = report.result.asset_id if report.result else None
    when, actor = _when(report, to), _actor(report, by)
    ending = Ending(phase=to, when=when, reason=report.reason, asset_id=made, actor=actor)
    held = replace(job, held=ending)
    has_no_stream = not job.streamed or report.submitted is None
    return ended(held) if job.stream_ended or has_no_stream else Told(job=held)


def _when(report: JobReport, to: Phase) -> datetime:
    """When the Router says this happened."""
    if to is Phase.CREATED:
        return report.created
    return (report.finished if to.is_final else None) or report.changed
