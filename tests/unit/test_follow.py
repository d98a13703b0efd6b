"""A follower reads one job's status stream to its end, whatever happens on the way."""

import asyncio
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace

from app.domain.errors import Garbled, Unreachable
from app.domain.events import Kind
from app.domain.jobs import Job, Mark
from app.domain.phases import Phase
from app.domain.reports import StreamLine
from app.services.backoff import Backoff
from app.services.contact import Contact
from app.services.follow import Follower
from app.services.observe import Observer
from tests.support.fakes import WITHIN_S, FakeAccessPoints, FakeActions, FakeHistory, router_with, until
from tests.support.news import ADDRESS, JOB, NOON, data_of, end_line, kinds, message_line, report, status_line

STORY: tuple[StreamLine, ...] = (
    status_line(1, 3),
    message_line(2),
    message_line(3),
    status_line(4, 4),
    end_line(5),
)
QUICK = Backoff(tries=3, first_s=0.001, factor=1.0)


@dataclass
class Scene:
    """One job, its stream, and somebody who follows it."""

    access_points: FakeAccessPoints = field(default_factory=lambda: FakeAccessPoints(*STORY))
    history: FakeHistory = field(default_factory=FakeHistory)
    end_within_s: float = 60.0

    def __post_init__(self) -> None:
        self.router = router_with(report(2, "running"))
        contact = Contact(self.router, now=lambda: NOON)
        self.observer = Observer(self.history, actions=FakeActions(), contact=contact, now=lambda: NOON)

    def follower(self, asking: asyncio.Semaphore | None = None) -> Follower:
        """One that has read nothing yet."""
        return Follower(
            JOB,
            observer=self.observer,
            router=self.router,
            access_points=self.access_points,
            backoff=QUICK,
            end_within_s=self.end_within_s,
            asking=asking,
        )

    async def begin(self) -> Job:
        """The job, submitted."""
        return await self.observer.hear_router(self.router.jobs[JOB])

    async def run(self) -> None:
        """Follow to the end."""
        job = await self.begin()
        async with asyncio.timeout(WITHIN_S):
            await self.follower().run(job)

    def over(self, market_status: str = "complete") -> None:
        """From now on the Router says that it is over."""
        self.router.jobs[JOB] = replace(report(9, market_status), stream=ADDRESS)

    @property
    def upstream(self) -> list[str]:
        """The states told."""
        return [data_of(event)["state"] for event in self.history.log if event.kind is Kind.UPSTREAM]

    @property
    def lines_told(self) -> list[str]:
        """What came from the Access Point, the end marker apart."""
        return [event.data for event in self.history.log if event.kind in (Kind.STATUS, Kind.MESSAGE)]


async def test_it_reads_to_the_end_marker() -> None:
    """Then nothing more is to be read, and it leaves."""
    scene = Scene()

    await scene.run()

    assert len(scene.lines_told) == 4
    assert scene.history.jobs[JOB].stream_ended
    assert scene.access_points.dialled_after == [None]


async def test_an_access_point_that_hangs_holds_up_no_other_stream() -> None:
    """Those who follow take turns at the Router, and at nobody else."""
    asking = asyncio.Semaphore(1)
    hanging, other = Scene(), Scene()
    hanging.access_points.hangs = True
    waiting = asyncio.create_task(hanging.follower(asking).run(await hanging.begin()))
    await until(lambda: bool(hanging.access_points.dialled_after))

    async with asyncio.timeout(WITHIN_S):
        await other.follower(asking).run(await other.begin())
    waiting.cancel()
    await asyncio.wait([waiting])

    assert other.history.jobs[JOB].stream_ended


async def test_a_job_whose_stream_was_read_is_not_followed() -> None:
    """The Router's word is all that is missing."""
    scene = Scene()
    job = await scene.begin()

    await scene.follower().run(replace(job, stream_ended=True))

    assert scene.access_points.dialled_after == []


@pytest.mark.parametrize("lines_each", [1, 2, 3])
async def test_it_dials_again_after_the_last_line_it_heard(lines_each: int) -> None:
    """Nothing is read twice, nothing is left out."""
    scene = Scene()
    scene.access_points.lines_each = lines_each

    await scene.run()

    marks = [mark.sequence if mark else 0 for mark in scene.access_points.dialled_after]
    assert marks == list(range(0, 5, lines_each))
    assert len(scene.lines_told) == 4


async def test_it_goes_on_where_the_last_run_of_the_gateway_stopped() -> None:
    """The mark is in the history, not in a process."""
    scene = Scene()
    job = await scene.begin()
    for line in STORY[:2]:
        job = await scene.observer.hear_lines(JOB, [line])

    await scene.follower().run(job)

    assert scene.access_points.dialled_after == [Mark(epoch="point", sequence=2)]


@pytest.mark.parametrize(("refusals", "told"), [(2, []), (3, ["lost", "back"]), (6, ["lost", "back"])])
async def test_a_stream_is_called_lost_only_after_all_quick_tries(refusals: int, told: list[str]) -> None:
    """A hiccup is no news; and one loss is told once, however long it lasts."""
    scene = Scene()
    scene.access_points.refusals = refusals

    await scene.run()

    assert scene.upstream == told
    assert len(scene.lines_told) == 4


async def test_a_stream_that_opens_and_breaks_off_is_not_back() -> None:
    """It would be lost and back with every try."""
    scene = Scene(FakeAccessPoints())
    scene.access_points.lines_each = 0
    scene.access_points.told = [message_line(1)]
    following = asyncio.create_task(scene.run())
    await until(lambda: len(scene.access_points.dialled_after) > 3 * QUICK.tries)

    following.cancel()
    await asyncio.wait([following])

    assert scene.upstream == ["lost"]


async def test_any_break_is_survived_also_one_nobody_foresaw() -> None:
    """A job whose follower died would never end."""
    scene = Scene()
    scene.access_points.lines_each = 2
    failures: list[Exception] = [Garbled("nonsense"), ZeroDivisionError("a rule broke")]
    scene.access_points.failure = lambda: failures.pop() if failures else Unreachable("away")

    await scene.run()

    assert len(scene.lines_told) == 4


async def test_the_last_address_serves_while_the_router_is_away() -> None:
    """The Access Point may be in touch when the Router is not."""
    scene = Scene(FakeAccessPoints(*STORY[:2]))
    following = asyncio.create_task(scene.run())
    await until(lambda: len(scene.lines_told) == 2)

    scene.router.away = True
    scene.access_points.broken = True
    await until(lambda: len(scene.access_points.dialled_after) > 2)
    scene.access_points.broken = False
    scene.access_points.told += STORY[2:]
    await following

    assert set(map(repr, scene.access_points.addresses)) == {repr(ADDRESS)}
    assert len(scene.lines_told) == 4


async def test_the_router_names_the_address_anew_at_each_dial() -> None:
    """Tokens of streams live for a limited time."""
    scene = Scene()
    scene.access_points.refusals = 1
    addresses = [replace(ADDRESS, token="first"), replace(ADDRESS, token="second")]  # noqa: S106  (they open nothing)
    scene.router.jobs[JOB] = replace(scene.router.jobs[JOB], stream=addresses[0])
    scene.access_points.failure = lambda: renamed(scene)

    await scene.run()

    assert [address.token for address in scene.access_points.addresses] == ["first", "second"]


async def test_the_end_is_let_go_when_the_marker_stays_away() -> None:
    """Once the Router has called it over, a silent Access Point has a deadline."""
    scene = Scene(FakeAccessPoints(*STORY[:-1]), end_within_s=0.02)
    scene.over()

    await scene.run()

    assert scene.history.jobs[JOB].phase is Phase.COMPLETE
    assert kinds(scene.history.log[-2:]) == ["phase", "end"]
    assert len(scene.lines_told) == 4


async def test_the_deadline_holds_where_the_access_point_cannot_be_reached_at_all() -> None:
    """An Access Point that went away for good must not keep a job alive."""
    scene = Scene(end_within_s=0.02)
    scene.over("killed")
    scene.access_points.refusals = 1_000_000

    await scene.run()

    assert scene.history.jobs[JOB].phase is Phase.KILLED


async def test_a_running_job_is_waited_for_without_a_deadline() -> None:
    """Jobs take days."""
    scene = Scene(FakeAccessPoints(*STORY[:1]), end_within_s=0.001)
    following = asyncio.create_task(scene.run())
    await until(lambda: len(scene.lines_told) == 1)
    done, _ = await asyncio.wait([following], timeout=0.03)

    scene.access_points.told += STORY[1:]
    await following

    assert not done
    assert len(scene.lines_told) == 4


async def test_a_history_that_is_away_for_a_while_costs_no_line() -> None:
    """What could not be written is read again."""
    scene = Scene(FakeAccessPoints(*STORY[:2]))
    following = asyncio.create_task(scene.run())
    await until(lambda: len(scene.lines_told) == 2)

    scene.history.away = True
    scene.access_points.told += STORY[2:]
    await until(lambda: scene.access_points.dialled_after.count(None) == 1)
    await asyncio.wait([following], timeout=0.02)
    scene.history.away = False
    await following

    assert len(scene.lines_told) == 4


def renamed(scene: Scene) -> Exception:
    scene.router.jobs[JOB] = replace(
        scene.router.jobs[JOB],
        stream=replace(ADDRESS, token="second"),  # noqa: S106  (opens nothing)
    )
    return Unreachable("The stream broke off.")
