"""A look at the Router: shared, not too often, and never an error where something is known."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from app.domain.errors import Garbled, JobNotKnown, Rejected, Unreachable
from app.domain.phases import Phase
from app.domain.reports import JobReport
from app.services import refresh as module_under_test
from app.services.contact import Contact
from app.services.observe import Observer
from app.services.refresh import Refreshed, Refresher
from tests.support.fakes import FakeActions, FakeHistory, FakeRouter, until
from tests.support.news import JOB, NOON, OTHER_JOB, message_line, report

_ALMOST_S, _REST_S = 0.75, 0.25


class AskedRouter(FakeRouter):
    """Writes down who is asked for, and answers once it may."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[UUID] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.failure: Exception | None = None

    async def job(self, job_id: UUID) -> JobReport:
        """As it is."""
        self.asked.append(job_id)
        await self.may_answer.wait()
        if self.failure is not None:
            raise self.failure
        return await super().job(job_id)


@dataclass
class Desk:
    """The service, the world it looks at, and a clock that stands still until it is moved."""

    router: AskedRouter = field(default_factory=AskedRouter)
    history: FakeHistory = field(default_factory=FakeHistory)
    now_s: float = 1000.0

    def __post_init__(self) -> None:
        contact = Contact(self.router, now=lambda: NOON)
        self.observer = Observer(self.history, actions=FakeActions(), contact=contact, now=lambda: NOON)
        self.refresher = Refresher(
            self.router, history=self.history, observer=self.observer, now=lambda: NOON, now_s=lambda: self.now_s
        )

    async def knows(self, *market_statuses: str) -> None:
        """Both the Router and the history have heard these words of the job."""
        for word in market_statuses:
            self.says(word)
            await self.observer.hear_router(self.router.jobs[JOB])

    def says(self, market_status: str, job_id: UUID = JOB) -> None:
        """The Router alone has gone on."""
        was = self.router.jobs.get(job_id)
        self.router.jobs[job_id] = report(1 if was is None else was.sequence + 1, market_status, id=job_id)

    async def look(self, job_id: UUID = JOB) -> Refreshed:
        """As a caller."""
        return await self.refresher.job(job_id)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def told(refreshed: Refreshed) -> tuple[Phase, bool, bool]:
    return refreshed.job.phase, refreshed.changed, refreshed.observed_at is None


async def test_news_that_has_not_come_yet_is_fetched(desk: Desk) -> None:
    """And kept, so that everybody has it."""
    await desk.knows("created", "queue")
    desk.says("running")

    assert told(await desk.look()) == (Phase.IN_PROGRESS, True, False)
    assert desk.history.jobs[JOB].phase is Phase.IN_PROGRESS


async def test_where_nothing_is_new_nothing_has_changed(desk: Desk) -> None:
    """The Router's answer is compared with what was known, not taken for news."""
    await desk.knows("created", "queue")

    assert told(await desk.look()) == (Phase.WAITING_ON_QUEUE, False, False)
    assert desk.router.asked == [JOB]


async def test_a_job_never_heard_of_is_news(desk: Desk) -> None:
    """Asked for once, also when it is asked for again at once."""
    desk.says("running")

    assert [told(await desk.look()) for _ in range(2)] == [(Phase.IN_PROGRESS, True, False)] * 2
    assert desk.router.asked == [JOB]


async def test_a_job_that_nobody_knows_is_not_known(desk: Desk) -> None:
    """Or this team may not see it."""
    with pytest.raises(JobNotKnown):
        await desk.look()


async def test_of_a_job_never_heard_of_nothing_is_said_while_the_router_is_away(desk: Desk) -> None:
    """`No such job` would be a guess."""
    desk.router.away = True

    with pytest.raises(Unreachable):
        await desk.look()


async def test_within_a_second_the_router_is_asked_once(desk: Desk) -> None:
    """Who comes a moment later is told what the newest look brought."""
    await desk.knows("created", "queue")
    desk.says("starting")
    first = await desk.look()
    desk.now_s += _ALMOST_S
    desk.says("running")

    again = await desk.look()
    desk.now_s += _REST_S
    later = await desk.look()

    assert told(first) == told(again) == (Phase.STARTING, True, False)
    assert told(later) == (Phase.IN_PROGRESS, True, False)
    assert desk.router.asked == [JOB, JOB]


async def test_between_two_looks_what_is_heard_otherwise_is_told(desk: Desk) -> None:
    """A look is shared, the job is as it is now."""
    await desk.knows("created", "queue")
    await desk.look()
    desk.says("running")
    await desk.observer.hear_router(desk.router.jobs[JOB])

    assert told(await desk.look()) == (Phase.IN_PROGRESS, False, False)


@pytest.mark.parametrize("is_known", [True, False])
async def test_callers_at_the_same_time_share_one_look(desk: Desk, is_known: bool) -> None:
    """However long it takes, and whether the job was heard of or not."""
    if is_known:
        await desk.knows("created")
    desk.says("running")
    desk.router.may_answer.clear()

    looking = [asyncio.create_task(desk.look()) for _ in range(20)]
    await until(lambda: desk.router.asked != [])
    desk.now_s += 10
    desk.router.may_answer.set()

    assert {told(one) for one in await asyncio.gather(*looking)} == {(Phase.IN_PROGRESS, True, False)}
    assert desk.router.asked == [JOB]


async def test_callers_at_the_same_time_share_a_look_that_fails(desk: Desk) -> None:
    """Twenty callers of a Router that does not answer wait for one deadline, not for twenty."""
    await desk.knows("created")
    desk.router.may_answer.clear()

    looking = [asyncio.create_task(desk.look()) for _ in range(20)]
    await until(lambda: desk.router.asked != [])
    desk.now_s += 10
    desk.router.away = True
    desk.router.may_answer.set()

    assert {told(one) for one in await asyncio.gather(*looking)} == {(Phase.CREATED, False, True)}
    assert desk.router.asked == [JOB]


async def test_a_caller_who_leaves_leaves_the_turn_to_the_next(desk: Desk) -> None:
    """Cut off in the middle of the look."""
    await desk.knows("created")
    desk.router.may_answer.clear()
    first, second = (asyncio.create_task(desk.look()) for _ in range(2))
    await until(lambda: desk.router.asked != [])

    first.cancel()
    desk.router.may_answer.set()

    assert told(await second) == (Phase.CREATED, False, False)
    assert desk.router.asked == [JOB, JOB]


async def test_each_job_has_looks_of_its_own(desk: Desk) -> None:
    """One that nobody answers for holds up no other."""
    desk.says("running")
    desk.says("queue", OTHER_JOB)
    await desk.look()

    assert (await desk.look(OTHER_JOB)).job.phase is Phase.WAITING_ON_QUEUE
    assert desk.router.asked == [JOB, OTHER_JOB]


@pytest.mark.parametrize("failure", [Unreachable("Away."), Garbled("What?"), Rejected("Who?")])
async def test_a_look_that_comes_to_nothing_leaves_the_job_as_it_is_known(desk: Desk, failure: Exception) -> None:
    """And says that it may be old, also before the feed has noticed."""
    await desk.knows("created", "queue")
    desk.says("running")
    desk.router.failure = failure

    assert told(await desk.look()) == (Phase.WAITING_ON_QUEUE, False, True)


async def test_a_look_that_came_to_nothing_is_tried_again_a_second_later(desk: Desk) -> None:
    """A Router that is back is believed."""
    await desk.knows("created")
    desk.router.away = True
    await desk.look()
    desk.router.away = False

    at_once = await desk.look()
    desk.now_s += 1

    assert [told(one) for one in (at_once, await desk.look())] == [
        (Phase.CREATED, False, True),
        (Phase.CREATED, False, False),
    ]


async def test_what_the_stream_tells_during_a_look_that_fails_is_not_lost(desk: Desk) -> None:
    """The job is as it is known when the answer is given."""
    await desk.knows("created", "queue")
    desk.router.may_answer.clear()
    looking = asyncio.create_task(desk.look())
    await until(lambda: desk.router.asked != [])

    await desk.observer.hear_lines(JOB, [message_line(1, '"starting"')])
    desk.router.away = True
    desk.router.may_answer.set()

    assert told(await looking) == (Phase.STARTING, False, True)


async def test_a_job_that_the_router_has_forgotten_is_as_it_is_known(desk: Desk) -> None:
    """The history is longer than the Router's; that is no reason to call it old."""
    await desk.knows("created", "running")
    del desk.router.jobs[JOB]

    assert told(await desk.look()) == (Phase.IN_PROGRESS, False, False)


@pytest.fixture
def few_remembered(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module_under_test, "_REMEMBERED", 3)
    return 3


async def test_only_the_newest_looks_are_remembered(desk: Desk, few_remembered: int) -> None:
    """Jobs come and go for months, and thousands may be asked for within a second."""
    jobs = [UUID(int=number) for number in range(10 * few_remembered)]
    for job_id in jobs:
        desk.says("created", job_id)
        await desk.look(job_id)
        desk.now_s += 1
        await desk.look(jobs[0])

    assert list(desk.refresher._looks) == [*jobs[-few_remembered + 1 :], jobs[0]]
    assert len(desk.refresher._turns) == 0
