"""JobStatus: a snapshot of the state of a job performing an operation."""

from datetime import datetime
from uuid import UUID

import msgspec

from app.domain.jobs import Result


class JobStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot; static. `communications` counts the messages exchanged between Access Points so far."""

    id: UUID
    job_id: UUID
    code: int
    status: str
    when: datetime
    communications: int
    error: str
    error_code: int | None
    result: Result | None
