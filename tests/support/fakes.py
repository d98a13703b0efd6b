"""A Router, Access Points and a history that behave as their ports say, in memory; each can be told to misbehave."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from msgspec.structs import asdict, replace

from app.domain.actions import Action, NewAction, Verb
from app.domain.attempts import Answer, Asked, Kept
from app.domain.errors import (
    AgreementNotKnown,
    Garbled,
    JobNotKnown,
    RouterTokenRefused,
    StoreAway,
    Unanswered,
    Unreachable,
)
from app.domain.events import Event, Kind, NewEvent, Told
from app.domain.jobs import Job, Mark, NewJob, Owner, StopAnswer
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
from app.domain.ports import Content, JobFilter, Page, Wanted
from app.domain.reports import Act, Change, JobReport, Me, StreamAddress, StreamLine
from app.domain.shown import shown
from app.domain.statistics import Statistics
from app.domain.statuses import JobStatus
from tests.support.news import ADDRESS, ASSET, NOON, report

WITHIN_S = 10.0


class FakeHistory:
    """Numbers, keeps, tells, and gives way to others while it does. `away` makes it refuse; `looks` counts those for events."""

    def __init__(self, tell: Callable[[Sequence[Event]], None] = lambda _: None) -> None:
        self.jobs: dict[UUID, Job] = {}
        self.log: list[Event] = []
        self.heard_to: Mark | None = None
        self.away = False
        self.looks = 0
        self.pruned: set[UUID] = set()
        self._tell = tell

    async def keep(self, *told: Told, position: Mark | None = None) -> None:
        """In one breath, then tell."""
        self._in_reach()
        await asyncio.sleep(0)
        before = len(self.log)
        for one in told:
            self.jobs[one.job.id] = one.job
            self.log += [_numbered(one.job, new, number) for number, new in enumerate(one.events, len(self.log) + 1)]
        self.heard_to = position or self.heard_to
        self._tell(self.log[before:])

    async def position(self) -> Mark | None:
        """How far."""
        self._in_reach()
        return self.heard_to

    async def job(self, job_id: UUID) -> Job | None:
        """As kept last."""
        self._in_reach()
        await asyncio.sleep(0)
        return self.jobs.get(job_id)

    async def known(self, job_ids: Collection[UUID]) -> Mapping[UUID, Job]:
        """As kept last."""
        self._in_reach()
        await asyncio.sleep(0)
        return {job_id: self.jobs[job_id] for job_id in job_ids if job_id in self.jobs}

    async def unfinished(self) -> Sequence[UUID]:
        """Not over."""
        return [job.id for job in self.jobs.values() if not job.is_over]

    async def page(self, wanted: JobFilter, *, limit: int, cursor: str | None) -> Page:
        """By name alone, without cursors."""
        assert cursor is None
        jobs = await self.found(wanted, limit=limit + 1)
        more = "more" if len(jobs) > limit else None
        return Page(items=tuple(map(shown, jobs[:limit])), next=more, as_of=len(self.log), digest=0)

    async def found(self, wanted: JobFilter, *, limit: int) -> Sequence[Job]:
        """By name alone."""
        return [job for job in self.jobs.values() if wanted.name in (None, job.job_name)][:limit]

    async def latest_statuses(self, job_id: UUID | None, *, limit: int, cursor: str | None) -> Page:
        """None are told apart here."""
        del job_id, limit, cursor
        return Page(items=(), next=None, as_of=len(self.log), digest=0)

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
        """In order; others run before and after the look. Jobs are told apart by their owner alone."""
        self._in_reach()
        self.looks += 1
        await asyncio.sleep(0)
        fitting = [
            event
            for event in self.log
            if event.id > after and job_id in (None, event.job_id) and (late_too or not event.late)
            if until is None or event.id <= until
            if wanted is None or wanted.owner == self.jobs[event.job_id].owner.user
        ]
        await asyncio.sleep(0)
        return fitting[:limit]

    async def statuses(self, job_id: UUID) -> Sequence[JobStatus]:
        """None are told apart here."""
        del job_id
        return []

    async def end_of(self, job_id: UUID) -> int | None:
        """The number."""
        return next((event.id for event in self.log if event.job_id == job_id and event.kind is Kind.END), None)

    async def statistics(self, *, days: int) -> Statistics:
        """Nothing is counted here."""
        raise NotImplementedError(days)

    async def missing_through(self) -> int:
        """Nothing is removed here."""
        return 0

    async def is_pruned(self, job_id: UUID) -> bool:
        """Some are."""
        return job_id in self.pruned

    async def head(self) -> int:
        """The newest."""
        return len(self.log)

    def _in_reach(self) -> None:
        if self.away:
            raise StoreAway("The history is away.")


def _numbered(job: Job, new: NewEvent, number: int) -> Event:
    return Event(
        id=number,
        job_id=job.id,
        kind=new.kind,
        source=new.source,
        when=new.when,
        received=NOON,
        data=new.data,
        late=new.late,
    )


class FakeActions:
    """Keeps who did what. `away` makes it refuse."""

    def __init__(self) -> None:
        self.kept: dict[int, Action] = {}
        self.away = False

    async def begin(self, action: NewAction) -> int:
        """Numbered from 1."""
        self._in_reach()
        number = len(self.kept) + 1
        self.kept[number] = Action(**asdict(action), id=number, when=NOON, outcome=None)
        return number

    async def end(
        self,
        number: int,
        *,
        outcome: str,
        job_id: UUID | None,
        asset_id: UUID | None,
        answers: Sequence[StopAnswer] = (),
    ) -> None:
        """What became of it."""
        self._in_reach()
        was = self.kept[number]
        learnt = {"job_id": job_id or was.job_id, "asset_id": asset_id or was.asset_id}
        self.kept[number] = replace(was, outcome=outcome, answers=tuple(answers), **learnt)

    async def of_job(self, job_id: UUID) -> Sequence[Action]:
        """In order."""
        return [action for action in self.kept.values() if action.job_id == job_id]

    async def made(self, client_ref: str, *, job_id: UUID) -> None:
        """By reference."""
        for number, action in self.kept.items():
            if action.client_ref == client_ref and action.job_id is None:
                self.kept[number] = replace(action, job_id=job_id)

    async def creator(self, job_id: UUID) -> str | None:
        """By the job that was made."""
        made = (action for action in self.kept.values() if action.job_id == job_id and action.verb is Verb.CREATE)
        return next((action.user for action in made), None)

    def _in_reach(self) -> None:
        if self.away:
            raise StoreAway("The history is away.")


class FakeAttempts:
    """Keeps requests by their keys. `away` makes it refuse; `full`, to change what is there."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], Kept] = {}
        self.away = False
        self.full = False

    async def reserve(self, asked: Asked) -> Kept:
        """By caller, route and key; others run before the look."""
        if self.away:
            raise StoreAway("The history is away.")
        await asyncio.sleep(0)
        name = (asked.caller, asked.route, asked.key)
        if name in self.kept:
            return replace(self.kept[name], is_new=False)
        self.kept[name] = Kept(number=len(self.kept), digest=asked.digest, job_id=None, answer=None, is_new=True)
        return self.kept[name]

    async def has_made(self, number: int, job_id: UUID) -> None:
        """Half of it."""
        self._change(number, job_id=job_id)

    async def answer(self, number: int, answer: Answer) -> None:
        """All of it."""
        self._change(number, answer=answer)

    async def release(self, number: int) -> None:
        """Nothing of it."""
        self.kept = {name: kept for name, kept in self.kept.items() if kept.number != number}

    def _change(self, number: int, **learnt: object) -> None:
        if self.full:
            raise StoreAway("The disk is full.")
        self.kept = {
            name: replace(kept, **learnt) if kept.number == number else kept for name, kept in self.kept.items()
        }


class FakeKeys:
    """Keeps keys, and writes down every note of their use. `away` makes it refuse; `full`, to write. Reads wait for `read`."""

    def __init__(self) -> None:
        self.kept: dict[str, Key] = {}
        self.noted: list[Mapping[str, datetime]] = []
        self.away = False
        self.full = False
        self.read = asyncio.Event()
        self.read.set()

    async def keep(self, key: Key) -> None:
        """By id."""
        self._in_reach()
        self.kept[key.id] = key

    async def key(self, key_id: str) -> Key | None:
        """By id; others run before the look."""
        self._in_reach()
        await asyncio.sleep(0)
        return self.kept.get(key_id)

    async def some(self, key_ids: Collection[str]) -> Sequence[Key]:
        """Those that there are."""
        self._in_reach()
        await self.read.wait()
        return [self.kept[key_id] for key_id in key_ids if key_id in self.kept]

    async def all(self) -> Sequence[Key]:
        """In order."""
        return sorted(self.kept.values(), key=lambda key: key.created)

    async def revoke(self, key_id: str) -> bool:
        """At noon."""
        if key_id not in self.kept:
            return False
        self.kept[key_id] = replace(self.kept[key_id], revoked=NOON)
        return True

    async def note_use(self, used: Mapping[str, datetime]) -> None:
        """What there is to note, if there is anything."""
        self._in_reach()
        if self.full:
            raise StoreAway("The disk is full.")
        if used:
            self.noted.append(dict(used))

    def _in_reach(self) -> None:
        if self.away:
            raise StoreAway("The keys are away.")


@dataclass
class FakePass:
    """What a ticket or a cookie is good for."""

    ticket: str
    key_id: str | None
    path: str
    expires: datetime
    cookie: str | None = None


class FakePasses:
    """Keeps passes by the clock that it is given. No key can hold more than `most`."""

    def __init__(self, *, now: Callable[[], datetime]) -> None:
        self.kept: list[FakePass] = []
        self.most = 5
        self._now = now

    async def keep(self, ticket: str, *, key_id: str | None, path: str, expires: datetime) -> bool:
        """Unless this key has too many."""
        self.kept = [one for one in self.kept if one.expires > self._now()]
        if len([one for one in self.kept if one.key_id == key_id]) >= self.most:
            return False
        self.kept.append(FakePass(ticket=ticket, key_id=key_id, path=path, expires=expires))
        return True

    async def exchange(self, ticket: str, *, cookie: str, path: str, expires: datetime) -> bool:
        """Once."""
        for one in self._good_for(path):
            if one.ticket == ticket and one.cookie is None:
                one.cookie, one.expires = cookie, expires
                return True
        return False

    async def key_of(self, cookie: str, *, path: str) -> str | None:
        """Whose key."""
        return next((one.key_id for one in self._good_for(path) if one.cookie == cookie), None)

    async def prolong(self, cookies: Collection[str], *, expires: datetime) -> None:
        """For longer."""
        for one in self.kept:
            if one.cookie in cookies:
                one.expires = expires

    def _good_for(self, path: str) -> list[FakePass]:
        return [one for one in self.kept if one.path == path and one.expires > self._now()]


class FakeRouter:
    """Keeps jobs, and has all that a Router may lack. `away`: nothing reaches it; what it `loses` ends as Unanswered."""

    listing = None

    def __init__(self) -> None:
        self.jobs: dict[UUID, JobReport] = {}
        self.made: dict[str, UUID] = {}
        self.killed: list[UUID] = []
        self.listened_after: list[Mark | None] = []
        self.away = False
        self.loses_answers = False
        self.garbles_answers = False
        self.jobs_can_be_read = True
        self.takes_nothing = False
        self.loses_requests = False
        self.leaves_with_the_answer = False
        self.leaves_after_creating = False
        self.kills_at_once = True
        self._changes: list[Change] = []
        self._changed = asyncio.Condition()
        self._cut = False
        self.users: dict[str, Me] = {}
        self.agreed: dict[UUID, Agreement] = {}
        self._token: str | None = None

    @property
    def feed(self) -> "FakeRouter":
        """It tells of its changes."""
        return self

    lookup = catalogue = requests = standing = feed

    def acting_as(self, token: str | None) -> "FakeRouter":
        """The same jobs, under the name that `users` has for this token."""
        if token is None:
            return self
        other = copy(self)
        other._token = token
        return other

    async def me(self) -> Me:
        """A user of globex, or whose token it is."""
        self._in_reach()
        if self._token is not None:
            if self._token not in self.users:
                raise RouterTokenRefused("Not known.")
            return self.users[self._token]
        return Me(user="ann", team="globex", role="owner", epoch="router")

    async def create(self, new: NewJob, *, client_ref: str) -> JobReport:
        """Once for each reference."""
        self._in_reach()
        if self.loses_requests:
            raise Unanswered("Nobody knows.")
        assert client_ref not in self.made, "the same create was sent twice"
        me = await self.me()
        owner = Owner(user=me.user, team=me.team)
        job = report(len(self.jobs) + 1, id=uuid4(), job_name=new.job_name, client_ref=client_ref, owner=owner)
        self.made[client_ref] = job.id
        self.away = self.leaves_with_the_answer or self.leaves_after_creating
        return self._answered(job)

    async def made_with(self, client_ref: str) -> JobReport | None:
        """By reference."""
        self._in_reach()
        job_id = self.made.get(client_ref)
        return None if job_id is None else self.jobs[job_id]

    async def submit(self, job_id: UUID, *, client_ref: str) -> JobReport:
        """To the queue."""
        self._in_reach()
        return self._answered(await self._by(client_ref, self._now("queue", job_id)))

    async def cancel(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        """At once."""
        self._in_reach()
        return self._answered(await self._by(client_ref, replace(self._now("cancelled", job_id), reason=reason)))

    async def kill(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        """At once, or `stopping`."""
        self._in_reach()
        self.killed.append(job_id)
        word = "killed" if self.kills_at_once else "stopping"
        return self._answered(await self._by(client_ref, replace(self._now(word, job_id), reason=reason)))

    async def job(self, job_id: UUID) -> JobReport:
        """As it is."""
        self._in_reach()
        assert self.jobs_can_be_read, "somebody looked"
        if job_id not in self.jobs:
            raise JobNotKnown("No such job.")
        return self.jobs[job_id]

    @asynccontextmanager
    async def changes(self, after: Mark | None) -> AsyncIterator[AsyncIterator[Sequence[Change]]]:
        """What was told with `tell`, from a mark on."""
        self._in_reach()
        self.listened_after.append(after)
        self._cut = False
        yield self._from(after)

    async def tell(self, change: Change) -> None:
        """One line of the changes."""
        async with self._changed:
            self._changes.append(change)
            self._changed.notify_all()

    async def cut(self) -> None:
        """Break every open feed off."""
        async with self._changed:
            self._cut = True
            self._changed.notify_all()

    async def operations(self) -> Sequence[Operation]:
        """None."""
        return []

    async def assets(self, *, name: str | None, team: str | None, kind: str | None) -> Sequence[Asset]:
        """None."""
        del name, team, kind
        return []

    async def asset(self, asset_id: UUID) -> Asset:
        """None."""
        raise NotImplementedError

    async def stored(self, asset_id: UUID) -> Stored:
        """None."""
        raise NotImplementedError

    async def register_table(self, name: str | None, *, temporary: bool) -> Asset:
        """None."""
        raise NotImplementedError

    async def usage(self, *, algorithm: str | None, datasets: Sequence[str]) -> Usage:
        """Nobody's."""
        del algorithm, datasets
        return Usage(status=None)

    async def preflight(self, new: NewJob) -> Preflight:
        """Nothing."""
        del new
        return Preflight(status=None, approvals=())

    async def access_requests(
        self, *, state: str | None, job_id: UUID | None, asset_id: UUID | None, team: str | None
    ) -> Sequence[AccessRequest]:
        """None."""
        del state, job_id, asset_id, team
        return []

    async def agreements(self, *, state: str | None, asset_id: UUID | None, to_team: str | None) -> Sequence[Agreement]:
        """All of them."""
        del state, asset_id, to_team
        return list(self.agreed.values())

    async def agree(self, new: NewAgreement) -> Agreement:
        """About our one asset, or about all."""
        self._in_reach()
        me = await self.me()
        asset_id = None if new.asset_id is None else ASSET
        terms = {**asdict(new), "asset_id": asset_id, "asset": new.asset_id, "algorithm": None}
        agreement = Agreement(
            **terms,
            id=uuid4(),
            team=me.team,
            runs=0,
            created=NOON,
            created_by=me.user,
            ended=None,
            ended_by=None,
            state="active",
        )
        self.agreed[agreement.id] = agreement
        return agreement

    async def end_agreement(self, agreement_id: UUID) -> Agreement:
        """At noon."""
        self._in_reach()
        if agreement_id not in self.agreed:
            raise AgreementNotKnown("No such agreement.")
        me = await self.me()
        self.agreed[agreement_id] = replace(self.agreed[agreement_id], ended=NOON, ended_by=me.user, state="ended")
        return self.agreed[agreement_id]

    async def accept(self, asset_id: UUID, job_id: UUID, *, reason: str | None, client_ref: str) -> AccessRequest:
        """None."""
        raise NotImplementedError

    async def deny(self, asset_id: UUID, job_id: UUID, *, reason: str | None, client_ref: str) -> AccessRequest:
        """None."""
        raise NotImplementedError

    def _now(self, market_status: str, job_id: UUID) -> JobReport:
        was = self.jobs[job_id]
        after = report(was.sequence + 1, market_status, id=job_id)
        return replace(
            after,
            job_name=was.job_name,
            submitted=after.submitted if market_status == "queue" else was.submitted,
            owner=was.owner,
        )

    async def _by(self, client_ref: str, job: JobReport) -> JobReport:
        me = await self.me()
        return replace(job, actor=Act(user=me.user, team=me.team, client_ref=client_ref))

    def _answered(self, job: JobReport) -> JobReport:
        assert not self.takes_nothing, "something was sent again"
        self.jobs[job.id] = job
        if self.loses_answers or self.leaves_with_the_answer:
            raise Unanswered("Nobody knows.")
        if self.garbles_answers:
            raise Garbled("What?", upstream_status=200)
        return job

    def _in_reach(self) -> None:
        if self.away:
            raise Unreachable("The Router is away.")

    async def _from(self, after: Mark | None) -> AsyncIterator[Sequence[Change]]:
        last = after
        while True:
            async with self._changed:
                while not (self._cut or self._after(last)):
                    await self._changed.wait()
                if self._cut:
                    raise Unreachable("The feed broke off.")
                together = self._after(last)
            last = together[-1].mark
            yield together

    def _after(self, last: Mark | None) -> list[Change]:
        return [change for change in self._changes if last is None or last.precedes(change.mark)]


class FakeAccessPoints:
    """Streams one job's lines. `refusals` dials fail, all while it is `broken`, and none comes to an end while it `hangs`; a
    connection ends after `lines_each` lines.
    """

    def __init__(self, *lines: StreamLine) -> None:
        self.told = list(lines)
        self.dialled_after: list[Mark | None] = []
        self.addresses: list[StreamAddress] = []
        self.refusals = 0
        self.broken = False
        self.hangs = False
        self.lines_each: int | None = None
        self.failure: Callable[[], Exception] = lambda: Unreachable("The stream broke off.")

    @asynccontextmanager
    async def lines(
        self, job_id: UUID, address: StreamAddress, *, after: Mark | None
    ) -> AsyncIterator[AsyncIterator[Sequence[StreamLine]]]:
        """From a mark on; signs of life when there is nothing new."""
        del job_id
        self.dialled_after.append(after)
        self.addresses.append(address)
        if self.refusals > 0 or self.broken:
            self.refusals -= 1
            raise self.failure()
        if self.hangs:
            await asyncio.Event().wait()
        yield self._from(after)

    def content(self, asset: Stored, wanted: Wanted) -> AbstractAsyncContextManager[Content]:
        """None."""
        raise NotImplementedError

    async def upload(self, asset: Asset, *, media_type: str, pieces: AsyncIterator[bytes]) -> Uploaded:
        """None."""
        raise NotImplementedError

    async def _from(self, after: Mark | None) -> AsyncIterator[Sequence[StreamLine]]:
        sent = 0
        while not self.broken:
            for line in [line for line in self.told if after is None or after.precedes(line.mark)]:
                if sent == self.lines_each:
                    raise self.failure()
                sent += 1
                after = line.mark
                yield [line]
            await asyncio.sleep(0)
            yield []
        raise self.failure()


async def until(condition: Callable[[], bool]) -> None:
    """Give way to the others until it holds; no clock is asked but to give up."""
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110  (a fake rings no bell for what it has noticed)
            await asyncio.sleep(0)


def router_with(job: JobReport) -> FakeRouter:
    """A Router that knows this job, and names the fake Access Point's address for it."""
    router = FakeRouter()
    router.jobs[job.id] = replace(job, stream=ADDRESS)
    return router


def owned_by(team: str) -> Owner:
    """Somebody of that team."""
    return Owner(user="bob", team=team)
