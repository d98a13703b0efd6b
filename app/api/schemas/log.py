"""What was heard and done, as it is shown: statuses, events, actions."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, JsonValue

from app.api.schemas.common import ResultView, plain
from app.api.schemas.events import Text
from app.domain.actions import Action, has_stopped
from app.domain.events import Event, Kind
from app.domain.formatting import text_of
from app.domain.jobs import Stop
from app.domain.messages import is_readable
from app.domain.statuses import JobStatus


class StatusView(BaseModel):
    """A JobStatus: a snapshot of the state of a job performing an operation."""

    id: UUID
    job_id: UUID
    code: int
    status: str
    when: datetime
    communications: int
    error: str
    error_code: int | None
    result: ResultView | None


class Statuses(BaseModel):
    """Every JobStatus of a job, oldest first."""

    items: list[StatusView]


class StatusPage(BaseModel):
    """The latest JobStatus of each job, newest job first. Jobs whose Access Point has said nothing yet are not in it."""

    items: list[StatusView]
    next_cursor: str | None
    as_of: int
    observed_at: datetime | None
    stale: bool


class EventView(BaseModel):
    """A row of the log. `late` news was kept, but never applied and never streamed.

    `text` is a message as people read it; null for all else.
    """

    id: int
    event: str
    source: str
    when: datetime
    received: datetime
    late: bool
    data: JsonValue
    text: Text | None

    @classmethod
    def of(cls, event: Event) -> "EventView":
        """The event as it is shown."""
        return cls(
            id=event.id,
            event=event.kind,
            source=event.source,
            when=event.when,
            received=event.received,
            late=event.late,
            data=_readable(event.data),
            text=Text.model_validate(plain(text_of(event.data))) if event.kind is Kind.MESSAGE else None,
        )


class HistoryPage(BaseModel):
    """A job's events in order; `next_after` is null on the last page."""

    items: list[EventView]
    next_after: int | None


class StopAnswerView(BaseModel):
    """What an Access Point answered to a cancel or kill: `acknowledged`, `refused`, `done` or `unknown`; and when."""

    team: str
    answer: str
    when: datetime


class ActionView(BaseModel):
    """Something that was done through this gateway. `outcome`: `done`, the code of a problem, or null: not known.

    `answers` are those of the Access Points to a cancel or kill.
    """

    id: int
    when: datetime
    verb: str
    user: str
    key_id: str | None
    router_user: str | None
    asset_id: UUID | None
    reason: str | None
    outcome: str | None
    answers: list[StopAnswerView]


class ActionList(BaseModel):
    """Actions, oldest first."""

    items: list[ActionView]


def status_view(status: JobStatus) -> StatusView:
    """The status as it is shown."""
    return StatusView.model_validate(plain(status))


def action_view(action: Action, *, stop: Stop | None) -> ActionView:
    """The action as it is shown; of the cancel or kill that took effect (`stop`) with the newest answers."""
    answers = stop.answers if stop is not None and has_stopped(action, stop) else action.answers
    return ActionView.model_validate({**plain(action), "answers": plain(answers)})


def _readable(text: str) -> Any:
    """The JSON; as text where it is more than every reader can hold."""
    return msgspec.json.decode(text) if is_readable(text) else text
