"""A past to look back on: what three years of jobs leave behind in an organisation, the same at every making.

Few owners have most of the jobs, each has operations and projects that others never touch, and names are of all sorts:
what is wanted may be everywhere, rare, or nowhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate, count
from random import Random
from typing import NamedTuple
from uuid import UUID

import msgspec
from msgspec.structs import replace

from app.domain.codes import JobCode
from app.domain.events import Kind, NewEvent, Source
from app.domain.jobs import Job, Mark, Owner, Permission, Place, Result
from app.domain.metrics import with_metrics
from app.domain.phases import Phase
from app.domain.statuses import JobStatus
from app.domain.telling import end_told, phase_told
from benchmarks._cast import (
    ERRORS,
    NIGHTLY,
    OPERATIONS,
    OWNERS,
    PROJECTS,
    RARE_ERROR,
    RARE_NAMES,
    RARE_OPERATION,
    TEAMS,
    VISITORS,
    WORDS,
)

# The storage of the Router that told all of it, and a change that is after every one of them.
EPOCH, TOLD = "an-epoch", 1_000_000_000
BEGAN = datetime(2023, 6, 1, tzinfo=UTC)
LONG = timedelta(days=3 * 365)

_POINT = "a3f09c5e11d84b7f"
_UNFINISHED = {
    Phase.CREATED: 10,
    Phase.WAITING_ON_PERMISSION: 25,
    Phase.WAITING_ON_QUEUE: 30,
    Phase.STARTING: 5,
    Phase.IN_PROGRESS: 28,
    Phase.STOPPING: 1,
    Phase.LOST: 1,
}
_FINAL = {Phase.COMPLETE: 85, Phase.ERROR: 8, Phase.CANCELLED: 4, Phase.KILLED: 2, Phase.DENIED: 1}
_RUNNING = (Phase.CREATED, Phase.WAITING_ON_QUEUE, Phase.STARTING, Phase.IN_PROGRESS)
_BEFORE: Mapping[Phase, Sequence[Phase]] = {
    Phase.CREATED: (),
    Phase.WAITING_ON_PERMISSION: _RUNNING[:1],
    Phase.WAITING_ON_QUEUE: _RUNNING[:1],
    Phase.STARTING: _RUNNING[:2],
    Phase.IN_PROGRESS: _RUNNING[:3],
    Phase.CANCELLED: _RUNNING[:2],
    Phase.DENIED: (Phase.CREATED, Phase.WAITING_ON_PERMISSION),
}
_MEAN_S = {
    Phase.CREATED: 5.0,
    Phase.WAITING_ON_PERMISSION: 40_000.0,
    Phase.WAITING_ON_QUEUE: 90.0,
    Phase.STARTING: 4.0,
    Phase.IN_PROGRESS: 600.0,
}
_MESSAGES_AT_MOST = 6
_TRIES, _BY_NIGHT, _RARELY = 0.6, 0.85, 0.0001
_DAY = range(7, 19)


class Life(NamedTuple):
    """A job as it is now, the phases it went through with their moments, and what was told of it."""

    job: Job
    steps: Sequence[tuple[Phase, datetime]]
    events: Sequence[NewEvent]


def lives(jobs: int) -> Iterator[Life]:
    """So many, oldest first, no two of one moment."""
    past = _Past(jobs)
    return (past.life(number, created) for number, created in enumerate(past.moments()))


class _Skewed:
    """Values of which each is drawn less often than the one before it."""

    def __init__(self, values: Sequence[str], power: float) -> None:
        self._values = values
        self._weights = [*accumulate(1 / (place**power) for place in range(1, len(values) + 1))]

    def one(self, random: Random) -> str:
        return random.choices(self._values, cum_weights=self._weights)[0]


class _Past:
    """What the jobs have in common; each is drawn from it."""

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._random = random = Random(20260601)  # noqa: S311  (the same at every making)
        self._owners = _Skewed(OWNERS, 1.2)
        self._operations = {owner: _Skewed(random.sample(OPERATIONS, 5), 1.0) for owner in OWNERS}
        self._projects = {owner: _Skewed(random.sample(PROJECTS, 4), 1.0) for owner in OWNERS}
        self._assets = [_uuid(random) for _ in range(60)]
        self._models = [with_metrics(msgspec.Raw(b"null"), _metrics(random, 20)) for _ in range(200)]
        recent = range(jobs - jobs // 50, jobs)
        forgotten = random.sample(range(jobs), jobs // 10_000)
        self._unfinished = {*random.sample(recent, min(500, len(recent) // 2)), *forgotten}
        self._names = {self._at(number): RARE_NAMES[number % len(RARE_NAMES)] for number in range(11)}
        self._visits = {self._at(number) + 1: VISITORS[number % len(VISITORS)] for number in range(13)}
        self._errors = {self._at(number) + 2 for number in range(3)}
        self._counter = count(1)

    def moments(self) -> Iterator[datetime]:
        """When each was created."""
        created, random = BEGAN, self._random
        mean_us = LONG / timedelta(microseconds=1) / self._jobs
        for _ in range(self._jobs):
            # By day more begin than by night.
            share = 1.6 if created.hour in _DAY else 0.4
            created += timedelta(microseconds=1 + int(random.expovariate(share) * mean_us))
            yield created

    def life(self, number: int, created: datetime) -> Life:
        """One of them."""
        random = self._random
        owner = self._visits.get(number) or self._owners.one(random)
        like = owner if owner in self._operations else OWNERS[0]
        operation, project = self._operations[like].one(random), self._projects[like].one(random)
        job = Job(
            id=_uuid(random),
            job_name=self._names.get(number) or self._name(owner, project),
            operation=RARE_OPERATION if random.random() < _RARELY else operation,
            dataset=(random.choice(self._assets), random.choice(self._assets)),
            preprocessor=msgspec.Raw(b"null"),
            params=_params(random),
            labels={"project": project, "run": f"{random.getrandbits(64):016x}"},
            owner=Owner(user=owner, team="globex"),
            created_by=owner.partition("@")[0],
            created=created,
            submitted=None,
            started=None,
            finished=None,
            phase=Phase.CREATED,
            market_status="created",
            router=Mark(epoch=EPOCH, sequence=TOLD),
            listed=Mark(epoch=EPOCH, sequence=TOLD),
            streamed=True,
        )
        return self._lived(job, self._last(number), is_rare=number in self._errors)

    def _at(self, number: int) -> int:
        return (number * 2 + 1) * self._jobs // 27

    def _name(self, owner: str, project: str) -> str:
        random = self._random
        sort = random.random()
        if sort < _TRIES:
            return f"trial-{random.choice(WORDS)}-{next(self._counter)}"
        if sort < _BY_NIGHT:
            return f"nightly {project} {random.choice(NIGHTLY)}"
        return f"{owner.partition('@')[0]} {random.choice(WORDS)} {random.choice(WORDS)}"

    def _last(self, number: int) -> Phase:
        if number in self._errors:
            return Phase.ERROR
        among = _UNFINISHED if number in self._unfinished else _FINAL
        return self._random.choices([*among], [*among.values()])[0]

    def _lived(self, job: Job, last: Phase, *, is_rare: bool) -> Life:
        """The same job at its last phase, and what was told on the way."""
        steps = self._steps(job.created, last)
        events: list[NewEvent] = []
        previous = None
        for phase, when in steps:
            job = self._at_phase(job, phase, when, is_rare=is_rare)
            events.append(phase_told(job, previous=previous, when=when, source=Source.ROUTER))
            if phase is Phase.IN_PROGRESS:
                events += self._told(job, when)
            previous = phase
        if job.is_over:
            events.append(end_told(job, when=steps[-1][1]))
        elif last is not Phase.CREATED:
            job = replace(job, submitted=job.submitted or steps[-1][1])
        return Life(job=job, steps=steps, events=events)

    def _steps(self, created: datetime, last: Phase) -> list[tuple[Phase, datetime]]:
        random = self._random
        phases = (*_BEFORE.get(last, _RUNNING), last)
        when, steps = created, []
        for phase in phases:
            steps.append((phase, when))
            when += timedelta(seconds=random.expovariate(1 / _MEAN_S.get(phase, 1.0)))
        return steps

    def _at_phase(self, job: Job, phase: Phase, when: datetime, *, is_rare: bool) -> Job:
        """The job as it comes to a phase."""
        there = replace(job, phase=phase)
        if phase.is_final:
            return self._over(replace(there, market_status=str(phase), finished=when, waiting_on=(), queue=()), is_rare)
        match phase:
            case Phase.WAITING_ON_PERMISSION:
                asset, team = self._random.choice(self._assets), TEAMS[1]
                missing = Permission(asset_id=asset, asset=f"{team}/patients", team=team, since=when)
                return replace(there, market_status="perm", submitted=when, waiting_on=(missing,))
            case Phase.WAITING_ON_QUEUE:
                place = Place(team=TEAMS[1], place=self._random.randint(1, 9), of=9, since=when, away_since=None)
                return replace(there, market_status="queue", submitted=when, queue=(place,))
            case Phase.STARTING:
                return replace(there, market_status="starting", queue=())
            case Phase.IN_PROGRESS:
                heard = replace(there, code=JobCode.IN_PROGRESS, stream=Mark(epoch=_POINT, sequence=1))
                return replace(heard, market_status="running", started=when)
        return there

    def _over(self, job: Job, is_rare: bool) -> Job:
        random = self._random
        match job.phase:
            case Phase.COMPLETE:
                text = f'{{"accuracy": {random.random():.6f}}}'
                result = Result(raw_status=text, asset_id=random.choice(self._assets))
                heard = replace(job, code=JobCode.COMPLETE, stream_ended=True)
                return replace(heard, result=result, model_status=random.choice(self._models))
            case Phase.ERROR:
                said = RARE_ERROR if is_rare else random.choice(ERRORS).format(random.randint(1, 5000))
                heard = replace(job, code=JobCode.ERROR, stream_ended=True)
                return replace(heard, error=said, error_code=random.randint(1, 9))
        return replace(job, reason=random.choice(("not needed any more", "started by mistake", "takes too long")))

    def _told(self, job: Job, when: datetime) -> Iterator[NewEvent]:
        """What the Access Point says while it calculates: a status, messages, and sometimes a status more."""
        random = self._random
        yield _status(job, when, 1)
        messages = random.randint(0, _MESSAGES_AT_MOST)
        for number in range(messages):
            when += timedelta(milliseconds=random.randint(1, 900))
            mark = Mark(epoch=_POINT, sequence=2 + number)
            text = _metrics(random, number)
            yield NewEvent(kind=Kind.MESSAGE, source=Source.ACCESS_POINT, when=when, data=text, mark=mark)
        yield _status(job, when, 2 + messages)


def _status(job: Job, when: datetime, number: int) -> NewEvent:
    status = JobStatus(
        id=job.dataset[0],
        job_id=job.id,
        code=JobCode.IN_PROGRESS,
        status="in_progress",
        when=when,
        communications=number,
        error="",
        error_code=None,
        result=None,
    )
    return NewEvent(
        kind=Kind.STATUS,
        source=Source.ACCESS_POINT,
        when=when,
        data=msgspec.json.encode(status).decode(),
        mark=Mark(epoch=_POINT, sequence=number),
    )


def _metrics(random: Random, epoch: int) -> str:
    """A message of about 150 bytes."""
    loss, accuracy = random.random(), random.random()
    return (
        f'{{"__type":"EpochMetrics","party":"{random.choice(TEAMS)}","epoch":{epoch},"epoch_count":20,'
        f'"loss":{loss:.8f},"accuracy":{accuracy:.8f},"auc":{1 - loss / 2:.8f},"examples":1250}}'
    )


def _params(random: Random) -> msgspec.Raw:
    kind, rate = random.choice(("LINEAR", "LOGISTIC", "LASSO", "RIDGE")), random.randint(1, 99)
    return msgspec.Raw(
        f'{{"regression_type":"{kind}","target":"outcome","test_size":0.2,'
        f'"model_params":{{"max_iter":{random.randint(10, 400)},"alpha":0.{rate:02}}}}}'.encode()
    )


def _uuid(random: Random) -> UUID:
    return UUID(int=random.getrandbits(128), version=4)
