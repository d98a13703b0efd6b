"""A Router and its Access Points as their documents say, in memory, whose answers can be lost, held back or late."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID, uuid4

from msgspec.structs import replace

from app.domain.errors import JobFinished, JobNotKnown, JobSubmitted, NotNow, Unanswered, Unreachable
from app.domain.jobs import Mark, NewJob, Owner, Result
from app.domain.phases import BUCKETS, OF_MARKET_STATUS, Bucket
from app.domain.reports import Act, Change, EndLine, JobReport, Me, MessageLine, Status, StatusLine, StreamLine
from tests.support.news import NOON, PERMISSION, report

WAITING = ("created", "perm", "queue")
US = Act(user="ann", team="globex")
_OWNER = Act(user="owner@mercy", team="mercy")


class Fate(StrEnum):
    """What becomes of a call that changes something."""

    ANSWERED = "answered"
    NOT_SENT = "not sent"
    REQUEST_LOST = "request lost"
    ARRIVES_LATE = "arrives late"
    ANSWER_LOST = "answer lost"
    ANSWER_HELD = "answer held"
    DIES = "does it and dies"


@dataclass
class Held:
    """An answer on its way: it comes, or is lost after all."""

    may_come: "asyncio.Future[bool]"


@dataclass
class Stream:
    """What an Access Point says of a job: its lines, in the storage that it has now."""

    epoch: str = "point 1"
    lines: list[StreamLine] = field(default_factory=list)
    number: int = 0

    def mark(self) -> Mark:
        """The place of the next line."""
        self.number += 1
        return Mark(epoch=self.epoch, sequence=self.number)

    def replaced(self) -> None:
        """The storage was replaced: what was said is gone, and the next line is the first."""
        self.epoch, self.lines, self.number = f"{self.epoch}'", [], 0


def is_final(market_status: str) -> bool:
    """Whether nothing follows it."""
    return OF_MARKET_STATUS[market_status] in BUCKETS[Bucket.HISTORY]


class RouterModel:
    """Fulfils what the services need of the port Router. Each of its own moves is a compare-and-set.

    `effects` counts what calls have changed, by verb and job (a create by its reference), and `sent` what has set out to
    it since somebody last looked. `brought` has who, of the gateway's callers, brought each job to where it was.
    """

    def __init__(self) -> None:
        self.epoch = "router 1"
        self.jobs: dict[UUID, JobReport] = {}
        self.forgotten: dict[UUID, JobReport] = {}
        self.changes: list[Change] = []
        self.streams: dict[UUID, Stream] = {}
        self.made: dict[str, UUID] = {}
        self.effects: Counter[tuple[str, str]] = Counter()
        self.lied_about: set[UUID] = set()
        self.spoke_too_late: set[UUID] = set()
        self.was_put_back: set[UUID] = set()
        self.put_back_unseen: set[UUID] = set()
        self.away = False
        self.fate = Fate.ANSWERED
        self.asker = ""
        self.sent = 0
        self.brought: dict[tuple[UUID, str], str] = {}
        self.held: list[Held] = []
        self.holds = asyncio.Event()
        self.late: list[Callable[[], JobReport]] = []
        self._arrives_late = False

    # What the gateway asks

    @property
    def lookup(self) -> "RouterModel":
        """It knows what was made under which name."""
        return self

    def acting_as(self, token: str | None) -> "RouterModel":
        """There is one user."""
        assert token is None
        return self

    async def me(self) -> Me:
        """Ann of globex."""
        return Me(user=US.user, team=US.team, role="owner", epoch=self.epoch)

    async def job(self, job_id: UUID) -> JobReport:
        """As it is."""
        self._in_reach()
        if job_id not in self.jobs:
            raise JobNotKnown("No such job.")
        return self.jobs[job_id]

    async def made_with(self, client_ref: str) -> JobReport | None:
        """By reference."""
        self._in_reach()
        return self.jobs.get(self.made[client_ref]) if client_ref in self.made else None

    async def create(self, new: NewJob, *, client_ref: str) -> JobReport:
        """Once for each reference."""
        return await self._call(lambda: self._create(new, client_ref))

    async def submit(self, job_id: UUID, *, client_ref: str) -> JobReport:
        """Those of which mercy's table is a part wait for its owner."""
        return await self._call(lambda: self._submit(job_id, replace(US, client_ref=client_ref)))

    async def cancel(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        """What waits."""
        return await self._call(lambda: self._cancel(job_id, reason, replace(US, client_ref=client_ref)))

    async def kill(self, job_id: UUID, *, reason: str | None, client_ref: str) -> JobReport:
        """What waits or calculates."""
        return await self._call(lambda: self._kill(job_id, reason, replace(US, client_ref=client_ref)))

    # What happens there

    def accept(self, job_id: UUID) -> None:
        """The owner says yes."""
        if self.jobs[job_id].market_status == "perm":
            self._move(job_id, "queue", actor=_OWNER)

    def deny(self, job_id: UUID) -> None:
        """The owner says no."""
        if self.jobs[job_id].market_status == "perm":
            self._move(job_id, "denied", actor=_OWNER, reason="owner@mercy denied it")

    def start(self, job_id: UUID) -> None:
        """From the queue to the Access Points, or on from there."""
        goes_to = {"queue": "starting", "starting": "running"}
        if (now := self.jobs[job_id].market_status) in goes_to:
            self._move(job_id, goes_to[now])
            self._say(job_id, '"starting"') if now == "queue" else self._tell(job_id, 3)

    def put_back(self, job_id: UUID) -> None:
        """Into the queue again."""
        if self.jobs[job_id].market_status in ("starting", "running"):
            self._move(job_id, "queue")
            self.was_put_back.add(job_id)

    def calculate(self, job_id: UUID) -> None:
        """A message comes."""
        if self.jobs[job_id].market_status in ("running", "stopping"):
            self._say(job_id, f'{{"__type":"EpochMetrics","epoch":{self.streams[job_id].number}}}')

    def end(self, job_id: UUID, outcome: str) -> None:
        """It comes to an end by itself, or confirms that it was stopped."""
        may = {
            "complete": ("running", "stopping"),
            "error": ("starting", "running", "stopping"),
            "killed": ("stopping",),
        }
        if self.jobs[job_id].market_status in may[outcome]:
            was, is_killed = self.jobs[job_id], outcome == "killed"
            if outcome == "complete":
                self._tell(job_id, 4)
            self._move(
                job_id,
                outcome,
                actor=was.actor if is_killed else None,
                reason=was.reason if is_killed else None,
                error="it failed" if outcome == "error" else "",
            )

    def lie(self, job_id: UUID, market_status: str) -> None:
        """News against every rule."""
        self.lied_about.add(job_id)
        self._move(job_id, market_status, actor=US)

    def speak_after_the_end(self, job_id: UUID) -> None:
        """An Access Point that does not know when to stop."""
        if self.jobs[job_id].submitted is not None and is_final(self.jobs[job_id].market_status):
            self.spoke_too_late.add(job_id)
            self._say(job_id, '"and another thing"')
            self._tell(job_id, 3)

    def forget(self, job_id: UUID) -> None:
        """Without a word."""
        self.forgotten[job_id] = self.jobs.pop(job_id)

    def remember(self, job_id: UUID) -> None:
        """It is there again, as it was."""
        self.jobs[job_id] = self.forgotten.pop(job_id)

    def restart(self) -> None:
        """Answers that were on their way are lost; storage stays."""
        for held in self.held:
            if not held.may_come.done():
                held.may_come.set_result(False)
        self.held.clear()

    def replaced(self) -> None:
        """Another storage, into which the jobs were taken over: every number begins at 1 again."""
        self.restart()
        self.late.clear()
        self.epoch, self.changes = f"{self.epoch}'", []
        # The changes that told of a job's way back are gone.
        self.put_back_unseen |= self.was_put_back
        for job in list(self.jobs.values()):
            self._note(job)

    def arrive(self) -> None:
        """A request that was long under way arrives."""
        effect, self._arrives_late = self.late.pop(0), True
        try:
            effect()
        except (JobNotKnown, NotNow):
            return
        finally:
            self._arrives_late = False

    def stand(self) -> Iterable[tuple[UUID, str]]:
        """Each job, and where it stands."""
        return [(job.id, job.market_status) for job in self.jobs.values()]

    async def _call(self, act: Callable[[], JobReport]) -> JobReport:
        self._in_reach()
        asker, fate = self.asker, self.fate
        self.fate = Fate.ANSWERED

        def effect() -> JobReport:
            self.asker = asker
            return act()

        self.sent += fate is not Fate.NOT_SENT
        if fate is Fate.NOT_SENT:
            raise Unreachable("The connection was refused.")
        if fate is Fate.ARRIVES_LATE:
            self.late.append(effect)
        if fate in (Fate.ARRIVES_LATE, Fate.REQUEST_LOST):
            raise Unanswered("Nobody knows.")
        answer = effect()
        if fate is Fate.ANSWER_HELD:
            held = Held(asyncio.get_running_loop().create_future())
            self.held.append(held)
            self.holds.set()
            fate = Fate.ANSWERED if await held.may_come else Fate.ANSWER_LOST
        self.away = fate is Fate.DIES
        if fate in (Fate.ANSWER_LOST, Fate.DIES):
            raise Unanswered("Nobody knows.")
        return answer

    def _in_reach(self) -> None:
        if self.away:
            raise Unreachable("The Router is away.")

    def _create(self, new: NewJob, client_ref: str) -> JobReport:
        if client_ref in self.made:
            # What the Router has forgotten cannot be found by looking.
            is_there = self.made[client_ref] in self.jobs
            assert self._arrives_late or not is_there, "a create was sent that had been received, without a look"
            return self._known(self.made[client_ref])
        self.effects["create", client_ref] += 1
        job_id = self.made[client_ref] = uuid4()
        owner = Owner(user=US.user, team=US.team)
        by = replace(US, client_ref=client_ref)
        made = report(id=job_id, job_name=new.job_name, client_ref=client_ref, owner=owner, actor=by)
        self.brought[job_id, "created"] = self.asker
        self.streams[job_id] = Stream()
        return self._note(made)

    def _submit(self, job_id: UUID, by: Act) -> JobReport:
        job = self._known(job_id)
        if job.submitted is not None or job.market_status != "created":
            raise (JobFinished if is_final(job.market_status) else JobSubmitted)("It was submitted before.")
        self.effects["submit", str(job_id)] += 1
        asks = job.job_name == "asks"
        moved = self._move(job_id, "perm" if asks else "queue", actor=by)
        if asks:
            self._say(job_id, '"waiting on permission"')
        return moved

    def _cancel(self, job_id: UUID, reason: str | None, by: Act) -> JobReport:
        job = self._known(job_id)
        if job.market_status == "cancelled":
            return job
        if job.market_status not in WAITING:
            raise (JobFinished if is_final(job.market_status) else NotNow)("It does not wait any more.")
        self.effects["cancel", str(job_id)] += 1
        return self._move(job_id, "cancelled", actor=by, reason=f"ann: {reason}")

    def _kill(self, job_id: UUID, reason: str | None, by: Act) -> JobReport:
        job = self._known(job_id)
        if job.market_status in ("stopping", "killed"):
            return job
        if is_final(job.market_status):
            raise JobFinished("It is over.")
        self.effects["kill", str(job_id)] += 1
        waits = job.market_status in WAITING
        return self._move(job_id, "killed" if waits else "stopping", actor=by, reason=f"ann: {reason}")

    def _known(self, job_id: UUID) -> JobReport:
        if job_id not in self.jobs:
            raise JobNotKnown("No such job.")
        return self.jobs[job_id]

    def _move(self, job_id: UUID, to: str, *, actor: Act | None = None, **said: object) -> JobReport:
        was = self.jobs[job_id]
        if actor is not None and actor.client_ref is not None:
            is_its_end = to == "killed" and was.market_status == "stopping"
            self.brought[job_id, to] = self.brought[job_id, "stopping"] if is_its_end else self.asker
        submitted = was.submitted or (None if to in ("created", "cancelled", "killed") else NOON)
        waiting_on = (PERMISSION,) if to == "perm" else ()
        reason = said.pop("reason", None)
        now = replace(
            was, market_status=to, actor=actor, submitted=submitted, waiting_on=waiting_on, reason=reason, **said
        )
        if is_final(to):
            now = replace(now, finished=NOON)
            if submitted is not None:
                self.streams[job_id].lines.append(EndLine(mark=self.streams[job_id].mark(), when=NOON))
        return self._note(now)

    def _note(self, job: JobReport) -> JobReport:
        mark = Mark(epoch=self.epoch, sequence=len(self.changes) + 1)
        noted = replace(job, epoch=mark.epoch, sequence=mark.sequence, changed=NOON)
        self.jobs[job.id] = noted
        self.changes.append(Change(mark=mark, report=noted))
        return noted

    def _say(self, job_id: UUID, text: str) -> None:
        stream = self.streams[job_id]
        stream.lines.append(MessageLine(mark=stream.mark(), when=NOON, text=text))

    def _tell(self, job_id: UUID, code: int) -> None:
        stream = self.streams[job_id]
        result = Result(raw_status="done", asset_id=None) if code == 4 else None
        status = Status(
            id=uuid4(), code=code, status="", when=NOON, communications=0, error="", error_code=None, result=result
        )
        stream.lines.append(StatusLine(mark=stream.mark(), when=NOON, status=status))
