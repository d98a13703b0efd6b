"""A job as it is shown to people and programs: what is known of it, and what follows from that."""

from datetime import datetime
from uuid import UUID

import msgspec

from app.domain.jobs import Job, Owner, Permission, Result
from app.domain.phases import Phase
from app.domain.why import Why, message, why

# The number of this way of showing; another one takes another number, for lines are kept as they were shown.
SHAPE = 1


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """The fields in the order in which they are shown; `status`, `why` and `message` follow from the others."""

    id: UUID
    job_name: str
    operation: str
    dataset: tuple[UUID, ...]
    preprocessor: msgspec.Raw
    params: msgspec.Raw
    labels: dict[str, str]
    stream_to: tuple[str, ...]
    owner: Owner
    created_by: str | None
    created: datetime
    submitted: datetime | None
    started: datetime | None
    finished: datetime | None
    phase: Phase
    status: int | None
    market_status: str
    waiting_on: tuple[Permission, ...]
    why: Why | None
    message: str
    model_status: msgspec.Raw
    error: str
    error_code: int | None
    result: Result | None


_FOLLOWS = frozenset({"status", "why", "message"})
_KNOWN = tuple(name for name in Shown.__struct_fields__ if name not in _FOLLOWS)
# What is known of a job and not shown in a list: `Shown` and these together are the whole of it.
_UNSEEN = tuple(name for name in Job.__struct_fields__ if name not in _KNOWN)


def shown(job: Job) -> bytes:
    """One line of JSON."""
    known = {name: getattr(job, name) for name in _KNOWN}
    return msgspec.json.encode(Shown(**known, status=job.status, why=why(job), message=message(job)))


def unseen(job: Job) -> bytes:
    """The rest of what is known, as one line of JSON."""
    return msgspec.json.encode({name: getattr(job, name) for name in _UNSEEN})


def job_of(shown: str, unseen: str) -> Job:
    """The job, from both; of one that was kept before the two were told apart, all of it is in the first."""
    whole = shown if unseen == "{}" else f"{shown[:-1]},{unseen[1:]}"
    return msgspec.json.decode(whole, type=Job)
