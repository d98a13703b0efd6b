"""Every job that is not over is compared with the Router."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from app.domain.errors import Garbled, Invalid, Unreachable
from app.domain.phases import Phase
from app.domain.reports import JobReport
from app.services.contact import Contact
from app.services.observe import Observer
from app.services.reconcile import Reconciler
from tests.support.fakes import FakeActions, FakeHistory, FakeRouter, until
from tests.support.news import JOB, NOON, OTHER_JOB, phases, report


class PickyRouter(FakeRouter):
    """Refuses to tell of one job."""

    refused: UUID | None = None
    error: Exception = Invalid("Not this one.")

    async def job(self, job_id: UUID) -> JobReport:
        """As it is."""
        if job_id == self.refused:
            raise self.error
        return await super().job(job_id)


@dataclass
class Scene:
    """A Router, a history, and a clock that is moved by hand."""

    router: PickyRouter = field(default_factory=PickyRouter)
    history: FakeHistory = field(default_factory=FakeHistory)
    now: datetime = NOON

    def __post_init__(self) -> None:
        self.contact = Contact(self.router, now=lambda: self.now)
        self.observer = Observer(
            self.history,
            actions=FakeActions(),
            contact=self.contact,
            now=lambda: self.now,
            lost_after=timedelta(minutes=1),
        )
        self.reconciler = Reconciler(
            self.router, history=self.history, observer=self.observer, contact=self.contact, every_s=3600
        )

    async def knows(self, job_id: UUID, market_status: str) -> None:
        """Both sides have heard of the job."""
        self.router.jobs[job_id] = report(1, market_status, id=job_id)
        await self.observer.hear_router(self.router.jobs[job_id])

    def phase(self, job_id: UUID = JOB) -> Phase:
        """Where the history has it."""
        return self.history.jobs[job_id].phase


@pytest.fixture
def scene() -> Scene:
    return Scene()


@asynccontextmanager
async def running(reconciler: Reconciler) -> AsyncIterator[None]:
    task = asyncio.create_task(reconciler.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_what_happened_elsewhere_without_a_word_is_noticed(scene: Scene) -> None:
    """A stop whose news was lost, say."""
    await scene.knows(JOB, "queue")
    scene.router.jobs[JOB] = report(2, "stopping")

    await scene.reconciler.compare()

    assert scene.phase() is Phase.STOPPING


async def test_a_job_that_the_router_forgot_is_lost_after_a_grace_and_comes_back(scene: Scene) -> None:
    """A Router that restarts from a backup knows it again a minute later."""
    await scene.knows(JOB, "queue")
    kept = scene.router.jobs.pop(JOB)

    await scene.reconciler.compare()
    at_first = scene.phase()
    scene.now += timedelta(minutes=1)
    await scene.reconciler.compare()
    then = scene.phase()
    scene.router.jobs[JOB] = report(2, "queue")
    await scene.reconciler.compare()

    assert (at_first, then, scene.phase()) == (Phase.WAITING_ON_QUEUE, Phase.LOST, Phase.WAITING_ON_QUEUE)
    assert kept.id == JOB


async def test_jobs_that_are_over_are_not_asked_for_and_stay_as_they_are(scene: Scene) -> None:
    """What the Router has cleared away is not lost, and nothing brings it back to life."""
    await scene.knows(JOB, "cancelled")
    await scene.observer.stop_waiting(JOB)
    scene.router.jobs.clear()

    await scene.reconciler.compare()
    scene.now += timedelta(minutes=2)
    await scene.reconciler.compare()

    assert phases(scene.history.log)[-1] == "cancelled"


async def test_while_the_router_is_away_nothing_is_taken_for_forgotten(scene: Scene) -> None:
    """Silence says nothing about a job."""
    await scene.knows(JOB, "queue")
    scene.router.away = True

    with pytest.raises(Unreachable):
        await scene.reconciler.compare()

    assert scene.history.jobs[JOB].forgotten_since is None


@pytest.mark.parametrize("error", [Invalid("Not this one."), Garbled("What?"), ValueError("Nobody thought of it.")])
async def test_one_job_that_cannot_be_read_does_not_keep_the_others_from_it(scene: Scene, error: Exception) -> None:
    """What is wrong is logged; the next round begins with the same job."""
    scene.router.error = error
    await scene.knows(JOB, "queue")
    await scene.knows(OTHER_JOB, "queue")
    scene.router.refused = JOB
    scene.router.jobs[OTHER_JOB] = report(2, "stopping", id=OTHER_JOB)

    await scene.reconciler.compare()

    assert scene.phase(OTHER_JOB) is Phase.STOPPING


async def test_it_begins_as_soon_as_the_router_is_in_touch(scene: Scene) -> None:
    """Jobs may have been forgotten while the gateway was down."""
    await scene.knows(JOB, "queue")
    del scene.router.jobs[JOB]

    async with running(scene.reconciler):
        before = scene.history.jobs[JOB].forgotten_since
        scene.contact.heard()
        await until(lambda: scene.history.jobs[JOB].forgotten_since is not None)

    assert before is None
