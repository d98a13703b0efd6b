"""Rows of the log: what was heard of a job, in one increasing order."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from app.domain.jobs import Job, Mark


class Kind(StrEnum):
    """What an event tells."""

    STATUS = "status"
    MESSAGE = "message"
    PHASE = "phase"
    UPSTREAM = "upstream"
    END = "end"


class Source(StrEnum):
    """Who told it."""

    ROUTER = "router"
    ACCESS_POINT = "access_point"
    GATEWAY = "gateway"


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that has no number yet.

    `data` is one line of JSON, ready to be sent. `mark` is the place of the upstream line that this row *is*; None for
    what was derived. `late` news is kept for the history, never applied and never streamed.
    """

    kind: Kind
    source: Source
    when: datetime
    data: str
    mark: Mark | None = None
    late: bool = False


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A numbered event: written down, then told."""

    id: int
    job_id: UUID
    kind: Kind
    source: Source
    when: datetime
    received: datetime
    data: str
    late: bool

    @property
    def is_end(self) -> bool:
        """Whether it is the last of its job."""
        return self.kind is Kind.END


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What a piece of news makes of a job: its new state and the events that say so, to be kept together."""

    job: Job
    events: tuple[NewEvent, ...] = ()
