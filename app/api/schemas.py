"""What goes over the wire here: bodies, queries and answers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator

from app.domain.actions import Action
from app.domain.events import Event
from app.domain.jobs import Job, NewJob
from app.domain.messages import is_readable
from app.domain.network import AccessRequest, Asset, Operation
from app.domain.phases import BUCKETS, Bucket, Phase
from app.domain.ports import JobFilter
from app.domain.statuses import JobStatus
from app.domain.why import message, why
from app.services.contact import Contact

LARGEST_ID = 2**63 - 1  # of an event

Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
Kind = Literal["table", "model"]
RequestState = Literal["pending", "accepted", "denied", "withdrawn"]


class _Strict(BaseModel):
    """Refuses what it does not know, so that a misspelt field is never silently ignored."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class JobToCreate(_Strict):
    """A job to create. Assets are named by UUID or as `team/name`."""

    job_name: Name
    operation: Annotated[str, Field(min_length=1, description="A name of /v1/operations, or a trained model's asset")]
    dataset: str | list[str] = Field(default_factory=list, description="An asset or a list of assets; may be empty")
    preprocessor: dict[str, JsonValue] | list[dict[str, JsonValue]] | None = Field(
        None, description="One for all datasets, or one for each"
    )
    params: dict[str, JsonValue] = Field(default_factory=dict, description="As the operation's JSON Schema says")
    labels: dict[str, str] = Field(default_factory=dict, description="Kept and returned, never interpreted")

    @field_validator("params", "preprocessor")
    @classmethod
    def _can_be_sent(cls, value: JsonValue) -> JsonValue:
        try:
            msgspec.json.encode(value)
        except UnicodeEncodeError as error:
            raise ValueError("A text holds half of a surrogate pair, which is no character") from error
        return value

    def value(self) -> NewJob:
        """As we say it."""
        datasets = [self.dataset] if isinstance(self.dataset, str) else self.dataset
        preprocessors = [self.preprocessor] if isinstance(self.preprocessor, dict) else self.preprocessor
        return NewJob(
            job_name=self.job_name,
            operation=self.operation,
            dataset=tuple(datasets),
            preprocessor=None if preprocessors is None else tuple(dict(one) for one in preprocessors),
            params=dict(self.params),
            labels=self.labels,
        )


class Reason(_Strict):
    """Why it is asked for; kept with the job."""

    reason: Annotated[str, Field(max_length=1000)] | None = None


class FindQuery(_Strict):
    """Which job; all that are given must hold."""

    name: str | None = Field(None, description="The job_name, exactly")
    id: UUID | None = None
    job_status: Bucket | None = None
    phase: list[Phase] = Field(default_factory=list)
    operation: str | None = None
    owner: str | None = Field(None, description="The user that created it")

    def value(self) -> JobFilter:
        """As we say it."""
        return JobFilter(name=self.name, id=self.id, phases=self._phases(), operation=self.operation, owner=self.owner)

    def _phases(self) -> frozenset[Phase] | None:
        named = frozenset(self.phase) or None
        if self.job_status is None:
            return named
        bucket = BUCKETS[self.job_status]
        return bucket if named is None else bucket & named


class JobsQuery(FindQuery):
    """Which jobs, and which part of the list."""

    limit: int = Field(50, ge=1, le=200)
    cursor: str | None = Field(None, description="next_cursor of the page before")


class OwnerView(BaseModel):
    """Who created it, for which team."""

    user: str
    team: str


class ResultView(BaseModel):
    """The job's raw output, and the asset it made."""

    raw_status: str
    asset_id: UUID | None


class JobView(BaseModel):
    """A job."""

    id: UUID
    job_name: str
    operation: str
    dataset: list[UUID]
    preprocessor: JsonValue
    params: JsonValue
    labels: dict[str, str]
    owner: OwnerView
    created_by: str | None
    created: datetime
    submitted: datetime | None
    started: datetime | None
    finished: datetime | None
    phase: Phase
    status: int | None
    market_status: str
    waiting_on: list[dict[str, JsonValue]]
    why: dict[str, JsonValue] | None
    message: str
    model_status: JsonValue
    error: str
    error_code: int | None
    result: ResultView | None


class JobSeen(JobView):
    """A job, and how fresh this is: when the Router was last heard, and whether it is out of touch."""

    queue: list[dict[str, JsonValue]]
    observed_at: datetime | None
    stale: bool


class JobPage(BaseModel):
    """Jobs, newest first. `GET /v1/events?after=<as_of>` goes on from here without a gap."""

    items: list[JobView]
    next_cursor: str | None
    as_of: int
    observed_at: datetime | None
    stale: bool


class Cancelled(BaseModel):
    """The answer to a cancel."""

    cancelled: bool
    job: JobView


class Killed(BaseModel):
    """The answer to a kill; false while an Access Point has yet to confirm."""

    killed: bool
    job: JobView


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


class ColumnView(BaseModel):
    """A column of a table."""

    name: str
    dtype: str
    role: str


class AssetView(BaseModel):
    """A table or a model. `records` is null before its bytes have arrived."""

    id: UUID
    name: str
    team: str
    kind: str
    columns: list[ColumnView]
    records: int | None
    job_id: UUID | None
    created: datetime


class AssetList(BaseModel):
    """Assets."""

    items: list[AssetView]


class OperationView(BaseModel):
    """What a job can name as its operation. `params` is a JSON Schema."""

    name: str
    description: str
    params: dict[str, Any]
    datasets: dict[str, int]
    message_types: list[str]
    available: bool
    why_not: str | None


class OperationList(BaseModel):
    """Operations."""

    items: list[OperationView]


class AccessRequestView(BaseModel):
    """A permission asked for one asset and one job. `owner_team` decides; `team` and `user` ask."""

    job_id: UUID
    asset_id: UUID
    asset: str
    owner_team: str
    team: str
    user: str
    job_name: str
    operation: str
    params: JsonValue
    preprocessor: JsonValue
    since: datetime
    state: str
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None


class AccessRequestList(BaseModel):
    """Access requests."""

    items: list[AccessRequestView]


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


class Health(BaseModel):
    """The gateway is well."""

    status: Literal["alive", "ready"]


def job_view(job: Job) -> JobView:
    """The job as it is shown."""
    return JobView.model_validate(_job_fields(job))


def job_seen(job: Job, contact: Contact) -> JobSeen:
    """The job as a single read shows it."""
    fresh = {"observed_at": contact.observed_at, "stale": contact.stale}
    return JobSeen.model_validate({**_job_fields(job), "queue": _plain(job.queue), **fresh})


def status_view(status: JobStatus) -> StatusView:
    """The status as it is shown."""
    return StatusView.model_validate(_plain(status))


def asset_view(asset: Asset) -> AssetView:
    """The asset as it is shown: without the address and token of its bytes."""
    return AssetView.model_validate(_plain(asset))


def operation_view(operation: Operation) -> OperationView:
    """The operation as it is shown."""
    return OperationView.model_validate(_plain(operation))


def access_request_view(request: AccessRequest) -> AccessRequestView:
    """The request as it is shown."""
    return AccessRequestView.model_validate(_plain(request))


def action_view(action: Action) -> ActionView:
    """The action as it is shown."""
    return ActionView.model_validate(_plain(action))


def _job_fields(job: Job) -> dict[str, object]:
    fields = _plain(job)
    reason = why(job)
    return {
        **{name: fields[name] for name in JobView.model_fields if name in fields},
        "status": job.status,
        "why": None if reason is None else _plain(reason),
        "message": message(job),
    }


def _readable(text: str) -> Any:
    """The JSON; as text where it is more than every reader can hold."""
    return msgspec.json.decode(text) if is_readable(text) else text


def _plain(value: object) -> Any:
    """The value as JSON holds it."""
    return msgspec.json.decode(msgspec.json.encode(value))
