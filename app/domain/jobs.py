"""What is known of a job."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from app.domain.codes import JobCode
from app.domain.phases import WITHOUT_CODE, Phase

# A time without its zone is refused where it is read.
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The user that created the job, and the team it was created for."""

    user: str
    team: str


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that is missing: `team` must allow the use of its asset."""

    asset_id: UUID
    asset: str
    team: str
    since: Moment


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Place `place` of `of` in the queue of an Access Point; `away_since` is None while it is in touch."""

    team: str
    place: int
    of: int
    since: Moment
    away_since: Moment | None


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The raw output of a completed job, and the asset it made (None where it made none)."""

    raw_status: str
    asset_id: UUID | None


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who brought a job to where it stands: `user` asked this gateway for it (None: nobody here), `router_user` of
    `team` the Router.
    """

    user: str | None
    router_user: str
    team: str


class StopAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What an Access Point answered to a cancel or kill, and when that was heard.

    `answer` is `acknowledged`, `refused` (it calculates already), `done`, `unknown` (nothing was heard), or another
    word of the Router's.
    """

    team: str
    answer: str
    when: Moment


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """The cancel or kill (`wanted`) that took effect, and what each Access Point answered."""

    wanted: str
    since: Moment
    answers: tuple[StopAnswer, ...]


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a numbered source: `sequence` counts within `epoch`."""

    epoch: str
    sequence: int

    def precedes(self, other: "Mark") -> bool:
        """Whether `other` is news after this mark; another epoch always is."""
        return other.epoch != self.epoch or other.sequence > self.sequence


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """A final phase that is held until the Access Point's last message has come, and the asset that was made."""

    phase: Phase
    when: datetime
    reason: str | None
    asset_id: UUID | None
    actor: Actor | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A single operation, its input, and where it stands.

    `market_status` is the Router's own word. `router` and `stream` say how far each source has been heard; `streamed`
    is whether a status stream exists that this gateway may read, `stream_ended` whether its end marker came; `stream_to`
    names the other teams that may read it. `model_status` is a `ModelStatus`, null before any metrics.
    `created_by` is who asked this gateway for it; None: created past it. `stop` is the cancel or kill that took effect.

    `listed` is the last document of it that the Router's changes told, and `listed_status` its market status; `ahead`
    are the changes heard before those told them, in answers of the Router. `past_epochs` are storages that the Router
    has left behind. `forgotten_since` is since when the Router has not known it.
    `put_back`: the Router took it back into the queue, and has not let it start since.
    """

    id: UUID
    job_name: str
    operation: str
    dataset: tuple[UUID, ...]
    preprocessor: msgspec.Raw
    params: msgspec.Raw
    labels: dict[str, str]
    stream_to: tuple[str, ...] = ()
    owner: Owner
    created_by: str | None = None
    created: datetime
    submitted: datetime | None
    started: datetime | None
    finished: datetime | None
    phase: Phase
    market_status: str
    waiting_on: tuple[Permission, ...] = ()
    model_status: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""
    error_code: int | None = None
    result: Result | None = None
    # What follows is not shown in lists.
    queue: tuple[Place, ...] = ()
    code: int = JobCode.NOT_KNOWN_YET
    reason: str | None = None
    router: Mark | None = None
    stream: Mark | None = None
    streamed: bool = False
    stream_ended: bool = False
    upstream_lost_since: datetime | None = None
    held: Ending | None = None
    stop: Stop | None = None
    listed: Mark | None = None
    listed_status: str = ""
    ahead: tuple[int, ...] = ()
    past_epochs: tuple[str, ...] = ()
    forgotten_since: datetime | None = None
    put_back: bool = False

    @property
    def status(self) -> int | None:
        """The Access Point's code; None where the phase has no public code."""
        return None if self.phase in WITHOUT_CODE else self.code

    @property
    def is_over(self) -> bool:
        """Nothing more will be told of this job."""
        return self.phase.is_final


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller asks for."""

    job_name: str
    operation: str
    dataset: tuple[str, ...]
    preprocessor: tuple[dict[str, object], ...] | None
    params: dict[str, object]
    labels: dict[str, str]
    stream_to: tuple[str, ...] = ()
