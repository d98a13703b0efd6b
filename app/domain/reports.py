"""What is heard from outside, parsed: the Router's word on a job, and the lines of an Access Point's status stream."""

from uuid import UUID

import msgspec

from app.domain.jobs import Job, Mark, Moment, Owner, Permission, Place, Result, Stop
from app.domain.phases import Phase


class StreamAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a job's status stream is read, and the token that opens that stream alone. Never stored, never logged."""

    url: str
    token: str


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What the Router knows of a result: the asset. Its text comes from the Access Point alone."""

    asset_id: UUID | None


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """What a user of the Router did: who, of which team, and our own name for it. None: not ours."""

    user: str
    team: str
    client_ref: str | None = None


class JobReport(msgspec.Struct, frozen=True, kw_only=True):
    """What the Router says of a job: the document after the change `sequence` of its storage `epoch`, made at `changed`.

    `actor` is who brought it to this market status; None: nobody did, or the Router does not say.
    """

    epoch: str
    sequence: int
    id: UUID
    job_name: str
    operation: str
    dataset: tuple[UUID, ...]
    preprocessor: msgspec.Raw
    params: msgspec.Raw
    labels: dict[str, str]
    owner: Owner
    market_status: str
    changed: Moment
    created: Moment
    submitted: Moment | None
    started: Moment | None
    finished: Moment | None
    waiting_on: tuple[Permission, ...]
    queue: tuple[Place, ...]
    reason: str | None
    error: str
    error_code: int | None
    result: Made | None
    stream: StreamAddress | None
    client_ref: str | None = None
    stream_to: tuple[str, ...] = ()
    actor: Act | None = None
    stop: Stop | None = None

    @property
    def mark(self) -> Mark:
        """Which change of the Router's this is."""
        return Mark(epoch=self.epoch, sequence=self.sequence)

    def is_streamed_to(self, team: str) -> bool:
        """Whether this team may read the job's status stream."""
        return team == self.owner.team or team in self.stream_to


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the Router's changes; without a report it is a sign of life.

    The first line of a reading says in `head` how far the changes went when it began; None: it does not say.
    """

    mark: Mark
    report: JobReport | None
    head: int | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The Access Point's side of a JobStatus."""

    id: UUID
    code: int
    status: str
    when: Moment
    communications: int
    error: str
    error_code: int | None
    result: Result | None


class StatusLine(msgspec.Struct, frozen=True, kw_only=True):
    """A new status."""

    mark: Mark
    when: Moment
    status: Status


class MessageLine(msgspec.Struct, frozen=True, kw_only=True):
    """A message: `text` is the Access Point's JSON, unchanged, in one line."""

    mark: Mark
    when: Moment
    text: str


class EndLine(msgspec.Struct, frozen=True, kw_only=True):
    """The marker after the last message."""

    mark: Mark
    when: Moment


StreamLine = StatusLine | MessageLine | EndLine


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Whose token the gateway holds, and which storage the Router works on."""

    user: str
    team: str
    role: str
    epoch: str


def first_told(report: JobReport, *, streamed: bool) -> Job:
    """A job heard of for the first time, before anything the report says of its course is applied."""
    return Job(
        id=report.id,
        job_name=report.job_name,
        operation=report.operation,
        dataset=report.dataset,
        preprocessor=report.preprocessor,
        params=report.params,
        labels=report.labels,
        stream_to=report.stream_to,
        owner=report.owner,
        created=report.created,
        submitted=None,
        started=None,
        finished=None,
        phase=Phase.CREATED,
        market_status="created",
        streamed=streamed,
    )
