"""Every job with a stream to read has one follower."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from app.domain.course import first_heard
from app.domain.events import Event
from app.domain.jobs import Job
from app.domain.phases import Phase
from app.services.followers import Followers, open_followers
from tests.support.fakes import WITHIN_S, FakeHistory, until
from tests.support.news import JOB, OTHER_JOB, report


class FakeFollowers:
    """Makes followers that read until they are told to stop, and counts them."""

    def __init__(self) -> None:
        self.begun: Counter[UUID] = Counter()
        self.at_work: Counter[UUID] = Counter()
        self.most_at_once: Counter[UUID] = Counter()
        self.crashing: set[UUID] = set()
        self.may_end = asyncio.Event()

    def __call__(self, job_id: UUID) -> "FakeFollower":
        """A follower of this job."""
        return FakeFollower(job_id, self)


class FakeFollower:
    """Stands in for Follower."""

    def __init__(self, job_id: UUID, all_of_them: FakeFollowers) -> None:
        self._job_id = job_id
        self._all = all_of_them

    async def run(self, job: Job) -> None:
        """Until told to stop."""
        del job
        self._all.begun[self._job_id] += 1
        self._all.at_work[self._job_id] += 1
        self._all.most_at_once[self._job_id] = max(
            self._all.most_at_once[self._job_id], self._all.at_work[self._job_id]
        )
        try:
            if self._job_id in self._all.crashing:
                raise ZeroDivisionError("a rule broke")
            await self._all.may_end.wait()
        finally:
            self._all.at_work[self._job_id] -= 1


class Scene:
    """Followers over a history; whatever the history tells, they notice."""

    def __init__(self) -> None:
        self.made = FakeFollowers()
        self.followers: Followers
        self.history = FakeHistory(self._notice)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Followers at work."""
        async with open_followers(self.history, follower=self.made) as self.followers:  # type: ignore[arg-type]
            yield

    def _notice(self, events: Sequence[Event]) -> None:
        self.followers.notice(events)

    async def keep(self, job_id: UUID = JOB, market_status: str = "running", *, streamed: bool = True) -> None:
        """A job becomes known; that tells its phases."""
        await self.history.keep(first_heard(report(2, market_status, id=job_id), streamed=streamed))

    async def idle(self) -> None:
        """Every follower that was to begin has begun and left."""
        await until(lambda: not self.followers._running)


async def test_a_job_has_one_follower_however_often_its_phase_changes() -> None:
    """One upstream subscription per job: the second promise."""
    scene = Scene()

    async with scene.open():
        for _ in range(5):
            await scene.keep()
        await until(lambda: scene.made.at_work[JOB] == 1)
        for _ in range(5):
            await scene.keep()

    assert scene.made.most_at_once == {JOB: 1}


async def test_a_change_during_the_last_breath_of_a_follower_is_not_lost() -> None:
    """It looks again before it leaves."""
    scene = Scene()

    async with scene.open():
        await scene.keep()
        await until(lambda: scene.made.at_work[JOB] == 1)
        await scene.keep()
        scene.made.may_end.set()
        await scene.idle()

    assert scene.made.begun[JOB] == 2
    assert scene.made.most_at_once[JOB] == 1


async def test_jobs_without_a_stream_of_ours_have_no_follower() -> None:
    """Never submitted, or another team's."""
    scene = Scene()

    async with scene.open():
        await scene.keep(JOB, "created")
        await scene.keep(OTHER_JOB, "running", streamed=False)
        await scene.idle()

    assert scene.made.begun == {}


async def test_jobs_that_are_not_over_are_taken_up_at_a_start() -> None:
    """A restart of the gateway is no end of a job."""
    scene = Scene()
    running, over = uuid4(), uuid4()
    job = first_heard(report(2, "running"), streamed=True).job
    scene.history.jobs = {running: replace(job, id=running), over: replace(job, id=over, phase=Phase.COMPLETE)}

    async with scene.open():
        await scene.followers.resume()
        await until(lambda: scene.made.at_work[running] == 1)

    assert set(scene.made.begun) == {running}


async def test_a_crash_of_one_ends_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Jobs have nothing to do with each other."""
    scene = Scene()
    scene.made.crashing = {JOB}

    async with scene.open():
        await scene.keep(OTHER_JOB)
        await until(lambda: scene.made.at_work[OTHER_JOB] == 1)
        await scene.keep(JOB)
        await until(lambda: JOB not in scene.followers._running)

        assert scene.made.at_work[OTHER_JOB] == 1

    assert "follower failed" in caplog.text


async def test_a_crashed_follower_is_begun_again_at_the_next_change_of_phase() -> None:
    """One bad moment is not for ever."""
    scene = Scene()
    scene.made.crashing = {JOB}

    async with scene.open():
        await scene.keep()
        await scene.idle()
        scene.made.crashing.clear()
        await scene.keep()
        await until(lambda: scene.made.at_work[JOB] == 1)

    assert scene.made.begun[JOB] == 2


async def test_all_end_with_the_block() -> None:
    """A stop waits for nobody's job."""
    scene = Scene()

    async with asyncio.timeout(WITHIN_S), scene.open():
        await scene.keep()
        await until(lambda: scene.made.at_work[JOB] == 1)

    assert scene.made.at_work[JOB] == 0


async def test_news_that_is_written_during_the_stop_begins_no_follower() -> None:
    """It would have nobody to end it, and the stop would wait for its job."""
    scene = Scene()

    async with asyncio.timeout(WITHIN_S), scene.open():
        await scene.keep()
        await until(lambda: scene.made.at_work[JOB] == 1)
        scene.followers.close()
        await scene.keep(OTHER_JOB)
    await scene.keep(JOB)

    assert scene.made.begun == {JOB: 1}
