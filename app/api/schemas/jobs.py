"""Jobs: what is sent to create and find them, and how they are shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from pydantic import BaseModel, Field, JsonValue, field_validator

from app.api.fresh import digest_of
from app.api.schemas.common import Moment, Name, ResultView, Strict, with_fields
from app.domain.jobs import Job, NewJob
from app.domain.phases import BUCKETS, Bucket, Phase
from app.domain.ports import JobFilter
from app.domain.shown import shown
from app.services.contact import Contact
from app.services.refresh import Refreshed

# A key without `=`, so that `label=key=value` names it.
LabelKey = Annotated[str, Field(min_length=1, max_length=100, pattern="^[^=]+$")]
LabelValue = Annotated[str, Field(max_length=500)]


class JobToCreate(Strict):
    """A job to create. Assets are named by UUID or as `team/name`."""

    job_name: Name
    operation: Annotated[str, Field(min_length=1, description="A name of /v1/operations, or a trained model's asset")]
    dataset: str | list[str] = Field(default_factory=list, description="An asset or a list of assets; may be empty")
    preprocessor: dict[str, JsonValue] | list[dict[str, JsonValue]] | None = Field(
        None, description="One for all datasets, or one for each"
    )
    params: dict[str, JsonValue] = Field(default_factory=dict, description="As the operation's JSON Schema says")
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, max_length=50, description="Kept and returned, never interpreted; jobs are found by them"
    )
    stream_to: list[Name] = Field(default_factory=list, description="Teams taking part that may read the status stream")

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
            stream_to=tuple(self.stream_to),
        )


class FindQuery(Strict):
    """Which job; all that are given must hold."""

    name: str | None = Field(None, description="The job_name, exactly")
    name_regex: Annotated[str, Field(max_length=500)] | None = Field(
        None, description="An RE2 pattern that is found anywhere in the job_name"
    )
    q: Annotated[str, Field(min_length=1, max_length=500)] | None = Field(
        None,
        description=(
            "Words that stand in the job's name, operation, params or error; all of them, wherever. Words in quotation "
            "marks stand together, and `begin*` is the beginning of one"
        ),
    )
    id: UUID | None = None
    job_status: Bucket | None = None
    phase: list[Phase] = Field(default_factory=list)
    operation: str | None = None
    owner: str | None = Field(None, description="The user that created it")
    label: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        default_factory=list, max_length=20, description="`key=value`, or `key` for any value"
    )
    created_after: Moment | None = Field(None, description="At this moment or later")
    created_before: Moment | None = Field(None, description="Before this moment")

    def value(self) -> JobFilter:
        """As we say it."""
        return JobFilter(
            name=self.name,
            name_regex=self.name_regex,
            words=self.q,
            id=self.id,
            phases=self._phases(),
            operation=self.operation and _as_kept(self.operation),
            owner=self.owner,
            labels=tuple(map(_label, self.label)),
            created_after=self.created_after,
            created_before=self.created_before,
        )

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


class JobView(BaseModel):
    """A job."""

    id: UUID
    job_name: str
    operation: str
    dataset: list[UUID]
    preprocessor: JsonValue
    params: JsonValue
    labels: dict[str, str]
    stream_to: list[str]
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
    """A job, and how fresh this is: when the Router was last heard, and whether it is out of touch.

    `changed`: whether the look at the Router brought news; null where none was asked for.
    """

    queue: list[dict[str, JsonValue]]
    changed: bool | None
    observed_at: datetime | None
    stale: bool


class JobPage(BaseModel):
    """Jobs, newest first. `GET /v1/events?after=<as_of>` goes on from here without a gap.

    `partial`: the time for looking ran out before the page was full; `next_cursor` goes on looking.
    """

    items: list[JobView]
    next_cursor: str | None
    partial: bool
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


def job_view(job: Job) -> JobView:
    """The job as it is shown, within other things."""
    return JobView.model_validate_json(shown(job))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A job as a single read shows it: a `JobSeen` as JSON, and the digest of what in it is the job's."""

    body: bytes
    digest: int


def job_seen(job: Job, contact: Contact) -> Seen:
    """The job as a single read shows it."""
    return _seen(job, observed_at=contact.observed_at, stale=contact.stale, changed=None)


def job_refreshed(refreshed: Refreshed, contact: Contact) -> Seen:
    """The job as a look at the Router shows it; where that came to nothing, as old as what is known."""
    looked, changed = refreshed.observed_at, refreshed.changed
    observed_at = contact.observed_at if looked is None else looked
    return _seen(refreshed.job, observed_at=observed_at, stale=looked is None, changed=changed)


def _seen(job: Job, *, stale: bool, observed_at: datetime | None, changed: bool | None) -> Seen:
    # Of a job that the Router has not known of late, what is shown may be over.
    stale = stale or (job.forgotten_since is not None and not job.is_over)
    content = with_fields(shown(job), {"queue": job.queue})
    fresh = {"changed": changed, "observed_at": observed_at, "stale": stale}
    return Seen(body=with_fields(content, fresh), digest=digest_of(content))


def _as_kept(operation: str) -> str:
    """A model's UUID however it is written, or a name."""
    try:
        return str(UUID(operation))
    except ValueError:
        return operation


def _label(text: str) -> tuple[str, str | None]:
    name, is_given, value = text.partition("=")
    return name, value if is_given else None
