"""The data of events, as the API's description shows them. What is sent is ready-made text; tests hold the two together."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from app.api.schemas.common import LARGEST_ID, Strict
from app.api.schemas.jobs import FindQuery, JobView
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.domain.why import WhyKind


class StreamQuery(Strict):
    """Where a stream is to go on, and how."""

    after: int | None = Field(None, ge=0, le=LARGEST_ID, description="Go on after this event; the header wins")
    format: Literal["json", "text"] = Field(
        "json", description="`text`: each message as lines that people read, in a `text` event in its place"
    )
    ticket: str | None = Field(None, description="Of POST /v1/stream-tickets, for browsers; others send a key")


class EventsQuery(FindQuery, StreamQuery):
    """Whose events, too: those of the jobs that fit. Of `phase` and `job_status` one must be before the event or after it."""

    def wanted(self) -> JobFilter | None:
        """None: all jobs."""
        narrowed = self.value()
        return None if narrowed == JobFilter() else narrowed


class _Exact(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MissingPermission(_Exact):
    """A grant that is missing: `team` must allow the use of its asset."""

    asset_id: UUID
    asset: str = Field(description="The alias, `team/name`")
    team: str
    since: datetime


class QueuePlace(_Exact):
    """Place `place` of `of` in the queue of an Access Point; `away_since` is null while it is in touch."""

    team: str
    place: int
    of: int
    since: datetime
    away_since: datetime | None


class StopAnswer(_Exact):
    """What an Access Point answered to a kill: `acknowledged`, `done` or `unknown`; and when."""

    team: str
    answer: str
    when: datetime


class Actor(_Exact):
    """Who brought a job there: `user` asked this gateway (null: nobody here), `router_user` of `team` the Router."""

    user: str | None
    router_user: str
    team: str


class Why(_Exact):
    """Why a job stands where it stands; which fields are there depends on `kind`."""

    kind: WhyKind
    waiting_on: list[MissingPermission] = Field(default=[], description="Of `permission`")
    places: list[QueuePlace] = Field(default=[], description="Of `queue`")
    reason: str | None = Field(default=None, description="Of `decision`, if one was given")
    error: str = Field(default="", description="Of `error`")
    error_code: int | None = Field(default=None, description="Of `error`")
    since: datetime | None = Field(default=None, description="Of `unknown` and `lost`")
    answers: list[StopAnswer] = Field(default=[], description="Of `decision`, while the Access Points stop")


class PhaseChange(_Exact):
    """`previous` is null for the first, and equals `phase` when only `why` changed.

    `actor` is who brought the job there; null: it came by itself. `reason` is a sentence, null where none was given.
    """

    job_id: UUID
    phase: Phase
    previous: Phase | None
    when: datetime
    why: Why | None
    actor: Actor | None
    reason: str | None


class UpstreamChange(_Exact):
    """Whether the Access Point's stream can be read, and since when not."""

    job_id: UUID
    state: Literal["lost", "back"]
    since: datetime


class JobEnd(_Exact):
    """The last event of a job, with its final phase."""

    job_id: UUID
    phase: Phase


class JobSnapshot(_Exact):
    """The job as it is now, and the newest number of the log."""

    job: JobView
    as_of: int


class FeedSnapshot(_Exact):
    """The newest number of the log."""

    as_of: int


class Gap(_Exact):
    """Events after the position `after` have been removed; the feed goes on, whole, after `resumes_at`."""

    after: int
    resumes_at: int


class TypedMessage(BaseModel):
    """What an Access Point streams, unchanged: fields beside `__type` are the type's own, and further types will come."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(alias="__type", examples=["RegressionTrainingMetrics"])


class FeedMessage(_Exact):
    """A message, and whose it is."""

    job_id: UUID
    message: JsonValue


class Text(_Exact):
    """A message as people read it: its lines, and one line in short."""

    lines: list[str]
    line: str


class FeedText(Text):
    """The same, and whose it is."""

    job_id: UUID
