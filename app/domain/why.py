"""Why a job stands where it stands, as data and as one human line."""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from app.domain.jobs import Job, Permission, Place
from app.domain.phases import Phase


class WhyKind(StrEnum):
    """The kinds of answer."""

    NOT_SUBMITTED = "not_submitted"
    PERMISSION = "permission"
    QUEUE = "queue"
    DECISION = "decision"
    ERROR = "error"
    LOST = "lost"


class Why(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The answer; which fields are there depends on `kind`."""

    kind: WhyKind
    waiting_on: tuple[Permission, ...] = ()
    places: tuple[Place, ...] = ()
    reason: str | None = None
    error: str = ""
    error_code: int | None = None


_DECIDED = frozenset({Phase.STOPPING, Phase.CANCELLED, Phase.KILLED, Phase.DENIED})


def why(job: Job) -> Why | None:
    """None: the job runs, or ran to its end."""
    if job.phase is Phase.CREATED:
        return Why(kind=WhyKind.NOT_SUBMITTED)
    if job.phase is Phase.WAITING_ON_PERMISSION:
        return Why(kind=WhyKind.PERMISSION, waiting_on=job.waiting_on)
    if job.phase is Phase.WAITING_ON_QUEUE:
        return Why(kind=WhyKind.QUEUE, places=job.queue)
    if job.phase in _DECIDED:
        return Why(kind=WhyKind.DECISION, reason=job.reason)
    if job.phase is Phase.ERROR:
        return Why(kind=WhyKind.ERROR, error=job.error, error_code=job.error_code)
    return Why(kind=WhyKind.LOST) if job.phase is Phase.LOST else None


def message(job: Job) -> str:
    """One human line: the reference's `pretty_status_msg`."""
    return _SENTENCES[job.phase](job)


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


def _decided(word: str, reason: str | None) -> str:
    return f"{word}: {reason}" if reason else word


_SENTENCES: dict[Phase, Callable[[Job], str]] = {
    Phase.CREATED: lambda _: "Created; submit it to begin",
    Phase.WAITING_ON_PERMISSION: _permission,
    Phase.WAITING_ON_QUEUE: _queue,
    Phase.STARTING: lambda _: "Starting at the Access Points",
    Phase.IN_PROGRESS: lambda _: "In progress",
    Phase.STOPPING: lambda _: "Stopping at the Access Points",
    Phase.LOST: lambda _: "Not seen at the Router any more",
    Phase.COMPLETE: lambda _: "Complete",
    Phase.ERROR: lambda job: _decided("Error", job.error),
    Phase.CANCELLED: lambda job: _decided("Cancelled", job.reason),
    Phase.KILLED: lambda job: _decided("Killed", job.reason),
    Phase.DENIED: lambda job: _decided("Denied", job.reason),
}
