"""Looking at a Router that tells of no changes."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from app.domain.errors import Unreachable
from app.domain.phases import Phase
from app.domain.reports import JobReport
from app.services.backoff import Backoff
from app.services.contact import Contact
from app.services.observe import Observer
from app.services.polling import Polling
from tests.support.fakes import FakeActions, FakeHistory, FakeRouter, until
from tests.support.news import FINAL, JOB, NOON, OTHER_JOB, report


class ListedRouter(FakeRouter):
    """Can be looked at; of `unreadable` ones it tells nothing. `looks` counts."""

    def __init__(self) -> None:
        super().__init__()
        self.unreadable: set[UUID] = set()
        self.looks = 0

    async def jobs_that_are(self, *, over: bool) -> Sequence[JobReport]:
        """Those that can be read."""
        self._in_reach()
        self.looks += 1
        found = [job for job in self.jobs.values() if over or job.market_status not in FINAL]
        return [job for job in found if job.id not in self.unreadable]

    async def job(self, job_id: UUID) -> JobReport:
        """As it is."""
        if job_id in self.unreadable:
            raise Unreachable("What it says makes no sense.")
        return await super().job(job_id)


@dataclass
class Listing:
    """What the polling looks at."""

    router: ListedRouter

    async def jobs(self, *, over: bool) -> Sequence[JobReport]:
        """Those of the Router."""
        return await self.router.jobs_that_are(over=over)


@dataclass
class Scene:
    """A Router and a history."""

    router: ListedRouter = field(default_factory=ListedRouter)
    history: FakeHistory = field(default_factory=FakeHistory)

    def __post_init__(self) -> None:
        self.contact = Contact(self.router, now=lambda: NOON)
        observer = Observer(self.history, actions=FakeActions(), contact=self.contact, now=lambda: NOON)
        self.polling = Polling(
            self.router,
            Listing(self.router),
            history=self.history,
            observer=observer,
            contact=self.contact,
            backoff=Backoff(first_s=0.001, slowest_s=0.001),
            every_s=0.001,
        )

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """For as long as the block lasts."""
        tasks = [asyncio.create_task(one) for one in (self.polling.run(), self.polling.meet_all())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def looks(self, more: int = 3) -> None:
        """Until it was looked so many times more."""
        wanted = self.router.looks + more
        await until(lambda: self.router.looks >= wanted)

    def phase(self) -> Phase | None:
        """Where the history has the job."""
        job = self.history.jobs.get(JOB)
        return None if job is None else job.phase


async def test_a_job_is_followed_to_its_end_and_past_it() -> None:
    """When it leaves the list it is looked at once more."""
    scene = Scene()
    async with scene.looking():
        for number, status in enumerate(("created", "cancelled"), start=1):
            scene.router.jobs[JOB] = report(number, status, submitted=None)
            await scene.looks()

        assert scene.phase() is Phase.CANCELLED
        assert not scene.contact.stale


async def test_what_was_over_before_is_met_once() -> None:
    """Though it stands in no list of those that are not."""
    scene = Scene()
    scene.router.jobs[JOB] = report(3, "cancelled", submitted=None)
    async with scene.looking():
        await until(lambda: scene.phase() is Phase.CANCELLED)


async def test_a_job_that_cannot_be_read_any_more_does_not_end_the_looking() -> None:
    """The others are seen, and the Router is in touch."""
    scene = Scene()
    scene.router.jobs[JOB] = report(1, "perm")
    async with scene.looking():
        await scene.looks()
        scene.router.unreadable.add(JOB)
        await scene.looks()
        scene.router.jobs[OTHER_JOB] = report(2, "perm", id=OTHER_JOB)
        await scene.looks()

        assert OTHER_JOB in scene.history.jobs
        assert scene.phase() is Phase.WAITING_ON_PERMISSION
        assert not scene.contact.stale


async def test_while_the_router_is_away_what_is_known_is_stale() -> None:
    """Until a look reaches it again."""
    scene = Scene()
    async with scene.looking():
        await until(lambda: not scene.contact.stale)
        scene.router.away = True
        await until(lambda: scene.contact.stale)
        scene.router.away = False
        await until(lambda: not scene.contact.stale)
