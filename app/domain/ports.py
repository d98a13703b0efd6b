"""What services need of the world, so that they know neither HTTP nor SQL."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from enum import Enum, auto
from typing import Protocol
from uuid import UUID

import msgspec

from app.domain.actions import Action, NewAction
from app.domain.attempts import Answer, Asked, Kept
from app.domain.events import Event, Told
from app.domain.jobs import Job, Mark, NewJob, StopAnswer
from app.domain.keys import Key
from app.domain.network import (
    AccessRequest,
    Agreement,
    Asset,
    NewAgreement,
    Operation,
    Preflight,
    Stored,
    Uploaded,
    Usage,
)
from app.domain.phases import Phase
from app.domain.reports import Change, JobReport, Me, StreamAddress, StreamLine
from app.domain.retention import Removable
from app.domain.statistics import Statistics
from app.domain.statuses import JobStatus


class Router(Protocol):
    """The Router, as one user of one team sees it: what each fulfils, and by name what one may lack (None: it does).

    Raises Unreachable when a call was surely not received, Unanswered when that is unknown, Garbled when the answer
    makes no sense, Rejected when the token is refused, and the Router's own refusals as NotKnown, NotNow, NotYours,
    Invalid or NotOffered.
    """

    @property
    def feed(self) -> "Feed | None":
        """Its changes as it tells them. None: it has a `listing`, to be looked at again and again."""

    @property
    def listing(self) -> "Listing | None":
        """Its jobs. None: it has a `feed`."""

    @property
    def lookup(self) -> "Lookup | None":
        """Jobs by the reference they were created with. None: a create whose answer was lost stays unknown."""

    @property
    def catalogue(self) -> "Catalogue | None":
        """What jobs can be made of."""

    @property
    def requests(self) -> "Requests | None":
        """Access requests, and what a job would have to ask for."""

    @property
    def standing(self) -> "Standing | None":
        """Agreements."""

    def acting_as(self, token: str | None) -> "Router":
        """The same Router as the user of this token sees it (None: as the gateway does).

        Raises RouterTokenRefused where the token is not accepted.
        """

    async def me(self) -> Me: ...

    async def create(self, new: NewJob, *, client_ref: str) -> JobReport: ...

    async def submit(self, job_id: UUID, *, client_ref: str) -> JobReport:
        """`client_ref`, here and below, is our own name for what is done, by which the Router tells who did it."""

    async def cancel(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport: ...

    async def kill(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport: ...

    async def job(self, job_id: UUID) -> JobReport: ...

    async def stored(self, asset_id: UUID) -> Stored:
        """An asset that a job of our team has made, to be fetched. Raises AssetNotKnown."""

    async def usage(self, *, algorithm: str | None, datasets: Sequence[str]) -> Usage: ...


class Feed(Protocol):
    """The Router's changes, each with a number."""

    def changes(self, after: Mark | None) -> AbstractAsyncContextManager[AsyncIterator[Sequence[Change]]]:
        """Every change of every job, in order, from a mark on, as many at a time as come together; never ends by itself."""


class Listing(Protocol):
    """The Router's jobs, where it does not tell of their changes."""

    async def jobs(self, *, over: bool) -> Sequence[JobReport]:
        """The jobs that are not over; with `over`, all."""


class Lookup(Protocol):
    """Finds what was created by our own name for it."""

    async def made_with(self, client_ref: str) -> JobReport | None:
        """The job that was created with this reference; None: no create with it was ever received."""


class Catalogue(Protocol):
    """The Router's index of operations and assets."""

    async def operations(self) -> Sequence[Operation]: ...

    async def assets(self, *, name: str | None, team: str | None, kind: str | None) -> Sequence[Asset]: ...

    async def asset(self, asset_id: UUID) -> Asset: ...

    async def register_table(self, name: str | None, *, temporary: bool) -> Asset:
        """Announce a table whose bytes will follow. The Router names a temporary one that has no name."""


class Requests(Protocol):
    """Who asks for which asset, and the owner's answer."""

    async def preflight(self, new: NewJob) -> Preflight:
        """What a create and submit would need; nothing is changed."""

    async def access_requests(
        self, *, state: str | None, job_id: UUID | None, asset_id: UUID | None, team: str | None
    ) -> Sequence[AccessRequest]: ...

    async def accept(self, asset_id: UUID, job_id: UUID, *, reason: str | None, client_ref: str) -> AccessRequest: ...

    async def deny(self, asset_id: UUID, job_id: UUID, *, reason: str | None, client_ref: str) -> AccessRequest: ...


class Standing(Protocol):
    """What owners have granted once and for all."""

    async def agreements(
        self, *, state: str | None, asset_id: UUID | None, to_team: str | None
    ) -> Sequence[Agreement]: ...

    async def agree(self, new: NewAgreement) -> Agreement: ...

    async def end_agreement(self, agreement_id: UUID) -> Agreement: ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which bytes of an asset: the form, the rows of a table (None: from the first, to the last), and `conditions`:
    a range and what the caller has already, each under its name in HTTP and as the caller wrote it.
    """

    media_type: str
    offset: int | None = None
    limit: int | None = None
    conditions: Mapping[str, str] = {}


class Extent(Enum):
    """How much of what was wanted there is in an answer."""

    WHOLE = auto()
    PART = auto()
    UNCHANGED = auto()  # nothing: the caller has it already


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes on their way through: read once, in pieces. `length` is None when the sender does not say.

    `said` is what the sender says of them, under the names of HTTP; `next_offset` the row after the last, if there is one.
    """

    media_type: str
    length: int | None
    pieces: AsyncIterator[bytes]
    extent: Extent = Extent.WHOLE
    said: Mapping[str, str] = {}
    next_offset: int | None = None


class AccessPoints(Protocol):
    """The Access Points that the Router names. Raises as the Router does."""

    def lines(
        self, job_id: UUID, address: StreamAddress, *, after: Mark | None
    ) -> AbstractAsyncContextManager[AsyncIterator[Sequence[StreamLine]]]:
        """The job's status stream from a mark on, as many lines at a time as came together; none is a sign of life.

        Ends by itself only after an EndLine.
        """

    def content(self, asset: Stored, wanted: Wanted) -> AbstractAsyncContextManager[Content]:
        """The bytes of an asset of our team.

        Raises NotAcceptable when the asset has no such form, RangeOutside when it is shorter than that.
        """

    async def upload(self, asset: Asset, *, media_type: str, pieces: AsyncIterator[bytes]) -> Uploaded:
        """Bring the bytes of a registered asset to the Access Point that keeps it."""


class JobFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which jobs; None does not narrow. `phases` is a union.

    `name_regex` is an RE2 pattern that is found anywhere in the name. Each of `words` stands somewhere in the job's name,
    operation, params or error; those in quotation marks together, and one with an asterisk begins a word. Each of `labels` must be there, with its value
    unless that is None. `created_after` includes the moment itself, `created_before` does not.
    """

    name: str | None = None
    name_regex: str | None = None
    words: str | None = None
    id: UUID | None = None
    phases: frozenset[Phase] | None = None
    operation: str | None = None
    owner: str | None = None
    labels: tuple[tuple[str, str | None], ...] = ()
    created_after: datetime | None = None
    created_before: datetime | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Things of jobs, newest job first, each as one line of JSON; `digest` changes with them, and with nothing else.

    `next` is None on the last page; `as_of` is the log position the page was read at. `partial`: the time for looking
    ran out, and `next` goes on from there.
    """

    items: tuple[bytes, ...]
    next: str | None
    as_of: int
    digest: int
    partial: bool = False


class Storage(Protocol):
    """Where all of it is kept."""

    def check(self) -> None:
        """Raises StoreAway once nothing is written any more until a restart, with what to do."""


class History(Protocol):
    """Our memory. Raises StoreAway when it is out of reach."""

    async def keep(self, *told: Told, position: Mark | None = None) -> None:
        """Write new states of jobs and their events down, in this order, then tell the listeners.

        `position` says how far the Router's changes have been heard; it is kept once all the news is, and alone where
        they brought none. Raises StoreAway where some of the news was not written, and then none that comes after it.
        """

    async def position(self) -> Mark | None:
        """How far the Router's changes have been heard. None: never."""

    async def job(self, job_id: UUID) -> Job | None:
        """What is known of a job. None: never heard of."""

    async def known(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        """What is known of these jobs; those that were never heard of are not amongst them."""

    async def unfinished(self) -> Sequence[UUID]:
        """The jobs that are not over."""

    async def page(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> Page:
        """Jobs, as they are `shown`.

        Raises Invalid for a cursor that this query did not give and for words without a word, RegexUnsupported for
        what RE2 does not know.
        """

    async def found(self, wanted: JobFilter, *, limit: int) -> Sequence[Job]:
        """Jobs, newest first. Raises as `page` does, and SearchTooCostly where the time for looking ran out."""

    async def latest_statuses(self, job_id: UUID | None, *, limit: int, cursor: str | None) -> Page:
        """The JobStatus of each job that has one, or of this job. Raises Invalid for another query's cursor."""

    async def events(
        self,
        job_id: UUID | None,
        *,
        after: int,
        until: int | None = None,
        limit: int,
        late_too: bool = False,
        wanted: JobFilter | None = None,
    ) -> Sequence[Event]:
        """Events in order after a position, up to another: of one job, or with None of all, or of those that are `wanted`.

        Of `wanted.phases` one must be the job's before the event or after it. Raises as `page` does; where some of them
        have been removed, JobPruned for a job and EventsMissing for more than one.
        """

    async def statuses(self, job_id: UUID) -> Sequence[JobStatus]:
        """Every JobStatus of a job, oldest first."""

    async def end_of(self, job_id: UUID) -> int | None:
        """The number of a job's `end`. None: it has not ended."""

    async def head(self) -> int:
        """The largest number that an event ever had; 0 before the first."""

    async def statistics(self, *, days: int) -> Statistics:
        """Of every job, and day by day of the last so many days."""

    async def missing_through(self) -> int:
        """Up to this number events have been removed; 0: none have."""

    async def is_pruned(self, job_id: UUID) -> bool:
        """Whether this job was removed."""


class Retention(Protocol):
    """The end of what is remembered. Raises StoreAway when it is out of reach."""

    async def removable(self, before: datetime) -> Removable:
        """What has been over since before this moment."""

    async def remove_some(self, before: datetime) -> int | None:
        """Remove a little of it; how many jobs. None: nothing is left of any."""


class Actions(Protocol):
    """The memory of who did what. Raises StoreAway when it is out of reach."""

    async def begin(self, action: NewAction) -> int:
        """Keep that it is about to be done; the number to end it by."""

    async def end(
        self,
        number: int,
        *,
        outcome: str,
        job_id: UUID | None,
        asset_id: UUID | None,
        answers: Sequence[StopAnswer] = (),
    ) -> None:
        """Keep what became of it; `job_id` and `asset_id` where only now there is one.

        `answers` are what the Access Points said to a cancel or kill that was refused.
        """

    async def of_job(self, job_id: UUID) -> Sequence[Action]:
        """Everything that was done about a job, oldest first."""

    async def made(self, client_ref: str, *, job_id: UUID) -> None:
        """Keep which job the Router made of a create, if that is not known yet."""

    async def creator(self, job_id: UUID) -> str | None:
        """Who asked for this job. None: nobody here."""


class Attempts(Protocol):
    """The memory of requests with an Idempotency-Key. Raises StoreAway when it is out of reach."""

    async def reserve(self, asked: Asked) -> Kept:
        """Remember it, durably, or tell what is remembered of it."""

    async def has_made(self, number: int, job_id: UUID) -> None:
        """Half of it is done."""

    async def answer(self, number: int, answer: Answer) -> None:
        """What is told to every repetition from now on."""

    async def release(self, number: int) -> None:
        """Nothing was done: forget it."""


class Keys(Protocol):
    """The memory of API keys. Raises StoreAway when it is out of reach."""

    async def keep(self, key: Key) -> None: ...

    async def key(self, key_id: str) -> Key | None:
        """None: there is no such key."""

    async def some(self, key_ids: Collection[str]) -> Sequence[Key]:
        """Those that there are."""

    async def all(self) -> Sequence[Key]:
        """Oldest first."""

    async def revoke(self, key_id: str) -> bool:
        """From now on it opens nothing. False: there is no such key."""

    async def note_use(self, used: Mapping[str, datetime]) -> None:
        """When each of these keys was used last."""


class Passes(Protocol):
    """The memory of what lets a browser's stream in: a ticket for the first time, a cookie from then on.

    Both are kept as fingerprints. A pass is good for one path. Raises StoreAway when it is out of reach.
    """

    async def keep(self, ticket: str, *, key_id: str | None, path: str, expires: datetime) -> bool:
        """A new pass that its ticket opens once. False: this key has too many."""

    async def exchange(self, ticket: str, *, cookie: str, path: str, expires: datetime) -> bool:
        """From now on the cookie opens it, and the ticket does not. False: the ticket opens nothing here any more."""

    async def key_of(self, cookie: str, *, path: str) -> str | None:
        """Whose key a cookie stands for. None: it opens nothing here any more."""

    async def prolong(self, cookies: Collection[str], *, expires: datetime) -> None:
        """Keep these passes good for longer."""
