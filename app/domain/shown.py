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
    """What is shown. `status`, `why` and `message` follow from the others, and stand last."""

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
    market_status: str
    waiting_on: tuple[Permission, ...]
    model_status: msgspec.Raw
    error: str
    error_code: int | None
    result: Result | None
    status: int | None
    why: Why | None
    message: str


# What is known of a job stands in two parts, in the order of its fields: what is shown, and from here on the rest.
_FIRST_UNSEEN = next(name for name in Job.__struct_fields__ if name not in Shown.__struct_fields__)
_SEAM = f',"{_FIRST_UNSEEN}":'.encode()


class _Follows(msgspec.Struct, frozen=True):
    status: int | None
    why: Why | None
    message: str


def lines(job: Job) -> tuple[bytes, bytes]:
    """Two lines of JSON: the job as it is shown, and the rest of what is known of it."""
    whole = msgspec.json.encode(job)
    # The last one: within what is shown there may be others, and within the rest no field has this name.
    seam = whole.rindex(_SEAM)
    follows = msgspec.json.encode(_Follows(job.status, why(job), message(job)))
    return b"%b,%b" % (whole[:seam], follows[1:]), b"{" + whole[seam + 1 :]


def shown(job: Job) -> bytes:
    """The first of them."""
    return lines(job)[0]


def job_of(shown: str, unseen: str) -> Job:
    """The job, from both; of one that was kept before the two were told apart, all of it is in the first."""
    whole = shown if unseen == "{}" else f"{shown[:-1]},{unseen[1:]}"
    return msgspec.json.decode(whole, type=Job)
