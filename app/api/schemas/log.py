"""What was heard and done, as it is shown: statuses, events, actions."""

from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from pydantic import BaseModel, JsonValue

from app.api.schemas.common import ResultView, plain
from app.domain.actions import Action
from app.domain.events import Event
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


class EventView(BaseModel):
    """A row of the log. `late` news was kept, but never applied and never streamed."""

    id: int
    event: str
    source: str
    when: datetime
    received: datetime
    late: bool
    data: JsonValue

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
        )


class HistoryPage(BaseModel):
    """A job's events in order; `next_after` is null on the last page."""

    items: list[EventView]
    next_after: int | None


class ActionView(BaseModel):
    """Something that was done through this gateway. `outcome`: `done`, the code of a problem, or null: not known."""

    id: int
    when: datetime
    verb: str
    user: str
    key_id: str | None
    router_user: str | None
    asset_id: UUID | None
    reason: str | None
    outcome: str | None


class ActionList(BaseModel):
    """Actions, oldest first."""

    items: list[ActionView]


def status_view(status: JobStatus) -> StatusView:
    """The status as it is shown."""
    return StatusView.model_validate(plain(status))


def action_view(action: Action) -> ActionView:
    """The action as it is shown."""
    return ActionView.model_validate(plain(action))


def _readable(text: str) -> Any:
    """The JSON; as text where it is more than every reader can hold."""
    return msgspec.json.decode(text) if is_readable(text) else text
