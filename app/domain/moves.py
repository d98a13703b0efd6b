"""The ways a job goes from phase to phase, and how it ends."""

from datetime import datetime
from uuid import UUID

from msgspec.structs import replace

from app.domain.codes import JobCode
from app.domain.events import Source, Told
from app.domain.jobs import Actor, Job, Result
from app.domain.phases import Phase
from app.domain.telling import end_told, phase_told

FINAL_CODES = {Phase.COMPLETE: JobCode.COMPLETE, Phase.ERROR: JobCode.ERROR}
SEEN_AGAIN = "The job was seen again."


def move(
    job: Job, to: Phase, *, when: datetime, source: Source, actor: Actor | None = None, reason: str | None = None
) -> Told:
    """The job in its new phase, and the event that says so."""
    moved = replace(job, phase=to)
    event = phase_told(moved, previous=job.phase, when=when, source=source, actor=actor, reason=reason)
    return Told(job=moved, events=(event,))


def ended(job: Job) -> Told:
    """Let go of a held final phase, if there is one; its `end` is the last event of the job."""
    if job.held is None or job.is_over:
        return Told(job=job)
    ending = job.held
    over = replace(
        job,
        phase=ending.phase,
        finished=ending.when,
        code=FINAL_CODES.get(ending.phase, job.code),
        result=job.result or _without_text(ending.asset_id),
        waiting_on=(),
        queue=(),
        held=None,
        upstream_lost_since=None,
    )
    phase = phase_told(over, previous=job.phase, when=ending.when, source=Source.ROUTER, actor=ending.actor)
    return Told(job=over, events=(phase, end_told(over, when=ending.when)))


def _without_text(asset_id: UUID | None) -> Result | None:
    """What is left of a result whose status never came: the asset, if one was made."""
    return None if asset_id is None else Result(raw_status="", asset_id=asset_id)
