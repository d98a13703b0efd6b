"""Why a job stands where it stands, as data and as one human line."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from app.domain.jobs import Job, Moment, Permission, Place, StopAnswer
from app.domain.phases import Phase
from app.domain.wording import one_line


class WhyKind(StrEnum):
    """The kinds of answer."""

    NOT_SUBMITTED = "not_submitted"
    PERMISSION = "permission"
    QUEUE = "queue"
    DECISION = "decision"
    ERROR = "error"
    LOST = "lost"
    UNKNOWN = "unknown"


class Why(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer; which fields are there depends on `kind`."""

    kind: WhyKind
    waiting_on: tuple[Permission, ...] = ()
    places: tuple[Place, ...] = ()
    reason: str | None = None
    error: str = ""
    error_code: int | None = None
    since: Moment | None = None
    answers: tuple[StopAnswer, ...] = ()


_UNDER_WAY = frozenset({Phase.STARTING, Phase.IN_PROGRESS})


def why(job: Job) -> Why | None:
    """None: the job runs, or ran to its end. Unknown: it should run, but nothing can be heard of it."""
    if job.phase in _REASONS:
        return _REASONS[job.phase](job)
    return Why(kind=WhyKind.UNKNOWN, since=job.upstream_lost_since) if _is_out_of_touch(job) else None


def message(job: Job) -> str:
    """One human line: the reference's `pretty_status_msg`."""
    text = _SENTENCES[job.phase](job)
    if _is_out_of_touch(job):
        text += f", as far as is known: it cannot be heard since {job.upstream_lost_since:%Y-%m-%d %H:%M:%S} UTC"
    return one_line(text)


def _is_out_of_touch(job: Job) -> bool:
    return job.upstream_lost_since is not None and job.phase in _UNDER_WAY


def _permission(job: Job) -> str:
    missing = ", ".join(f"{one.asset} from {one.team}" for one in job.waiting_on)
    return f"Waiting on permission to use {missing}" if missing else "Waiting on permission"


def _queue(job: Job) -> str:
    places = ", ".join(_place(one) for one in job.queue)
    return f"Waiting in the queue: {places}" if places else "Waiting in the queue"


def _place(place: Place) -> str:
    if place.away_since is not None:
        return f"the Access Point of {place.team} is away since {place.away_since:%Y-%m-%d %H:%M:%S} UTC"
    return f"place {place.place} of {place.of} at {place.team}"


def _stopping(job: Job) -> str:
    teams = [one.team for one in job.stop.answers if one.answer != "done"] if job.stop else []
    return f"Stopping at the Access Points of {', '.join(teams)}" if teams else "Stopping at the Access Points"


def _decided(word: str, reason: str | None) -> str:
    return f"{word}: {reason}" if reason else word


_SENTENCES: dict[Phase, Callable[[Job], str]] = {
    Phase.CREATED: lambda _: "Created; submit it to begin",
    Phase.WAITING_ON_PERMISSION: _permission,
    Phase.WAITING_ON_QUEUE: _queue,
    Phase.STARTING: lambda _: "Starting at the Access Points",
    Phase.IN_PROGRESS: lambda _: "In progress",
    Phase.STOPPING: _stopping,
    Phase.LOST: lambda _: "Not seen at the Router any more",
    Phase.COMPLETE: lambda _: "Complete",
    Phase.ERROR: lambda job: _decided("Error", job.error),
    Phase.CANCELLED: lambda job: _decided("Cancelled", job.reason),
    Phase.KILLED: lambda job: _decided("Killed", job.reason),
    Phase.DENIED: lambda job: _decided("Denied", job.reason),
}

_REASONS: dict[Phase, Callable[[Job], Why]] = {
    Phase.CREATED: lambda _: Why(kind=WhyKind.NOT_SUBMITTED),
    Phase.WAITING_ON_PERMISSION: lambda job: Why(kind=WhyKind.PERMISSION, waiting_on=job.waiting_on),
    Phase.WAITING_ON_QUEUE: lambda job: Why(kind=WhyKind.QUEUE, places=job.queue),
    Phase.ERROR: lambda job: Why(kind=WhyKind.ERROR, error=job.error, error_code=job.error_code),
    Phase.LOST: lambda job: Why(kind=WhyKind.LOST, since=job.forgotten_since),
    Phase.STOPPING: lambda job: Why(
        kind=WhyKind.DECISION, reason=job.reason, answers=job.stop.answers if job.stop else ()
    ),
    **dict.fromkeys(
        (Phase.CANCELLED, Phase.KILLED, Phase.DENIED),
        lambda job: Why(kind=WhyKind.DECISION, reason=job.reason),
    ),
}
