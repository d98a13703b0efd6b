"""The reader of the Router's changes resumes where it stopped, and knows whether the Router is in touch."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from app.domain.jobs import Mark
from app.domain.reports import Change, JobReport
from app.services.backoff import Backoff
from app.services.changes import Changes
from app.services.contact import Contact
from app.services.observe import Observer
from tests.support.fakes import FakeActions, FakeHistory, FakeRouter, until
from tests.support.news import JOB, NOON, OTHER_JOB, data_of, report


def mark(sequence: int, epoch: str = "router") -> Mark:
    return Mark(epoch=epoch, sequence=sequence)


def change(job: JobReport) -> Change:
    return Change(mark=job.mark, report=job)


def sign_of_life(sequence: int, *, head: int | None = None) -> Change:
    return Change(mark=mark(sequence), report=None, head=head)


@dataclass
class Scene:
    """A Router, a history, and the reader between them."""

    router: FakeRouter = field(default_factory=FakeRouter)
    history: FakeHistory = field(default_factory=FakeHistory)

    def __post_init__(self) -> None:
        self.contact = Contact(self.router, now=lambda: NOON)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """The reader at work."""
        observer = Observer(self.history, actions=FakeActions(), contact=self.contact, now=lambda: NOON)
        backoff = Backoff(first_s=0.001, factor=1)
        changes = Changes(self.router, history=self.history, observer=observer, contact=self.contact, backoff=backoff)
        reading = asyncio.create_task(changes.run())
        try:
            yield
        finally:
            reading.cancel()
            await asyncio.wait([reading])


async def test_a_change_is_kept_with_its_position() -> None:
    """Jobs that others started are known here, too."""
    scene = Scene()

    async with scene.listening():
        await scene.router.tell(change(report(7, "queue")))
        await until(lambda: JOB in scene.history.jobs)

    assert scene.history.heard_to == mark(7)


async def test_it_resumes_after_the_last_change_it_heard() -> None:
    """Nothing that happened during a break is missed."""
    scene = Scene()

    async with scene.listening():
        await scene.router.tell(change(report(7, "queue")))
        await until(lambda: scene.history.heard_to == mark(7))
        await scene.router.cut()
        await until(lambda: len(scene.router.listened_after) == 2)

    assert scene.router.listened_after == [None, mark(7)]


async def test_a_sign_of_life_moves_the_position_on() -> None:
    """Changes this team may not see have numbers, too."""
    scene = Scene()

    async with scene.listening():
        await scene.router.tell(sign_of_life(3))
        await scene.router.tell(sign_of_life(9))
        await until(lambda: scene.history.heard_to == mark(9))

    assert scene.history.log == []


async def test_a_change_that_is_known_already_still_moves_the_position() -> None:
    """The answer to a call was faster than the feed."""
    scene = Scene()

    async with scene.listening():
        await scene.router.tell(change(report(7, "queue")))
        await until(lambda: scene.history.heard_to == mark(7))
        await scene.router.tell(Change(mark=mark(8), report=report(7, "queue")))
        await until(lambda: scene.history.heard_to == mark(8))

    assert len(scene.history.log) == 2


async def test_it_says_whether_the_router_is_in_touch() -> None:
    """`stale` in every answer comes from here."""
    scene = Scene()
    assert scene.contact.stale
    assert scene.contact.observed_at is None

    async with scene.listening():
        await scene.router.tell(sign_of_life(1, head=1))
        await until(lambda: not scene.contact.stale)
        scene.router.away = True
        await scene.router.cut()
        await until(lambda: scene.contact.stale)

    assert scene.contact.observed_at == NOON


@pytest.mark.parametrize(
    ("head", "last"),
    [
        pytest.param(3, "a change", id="by how far the changes went when the reading began"),
        pytest.param(None, "a sign of life", id="by the silence after them, where the Router does not say that"),
    ],
)
async def test_what_is_known_is_stale_until_the_changes_have_been_read_up_to_the_newest(
    head: int | None, last: str
) -> None:
    """After an hour without the Router its feed opens at once, and the news of that hour is still to come."""
    scene = Scene()

    async with scene.listening():
        await scene.router.tell(sign_of_life(1, head=head))
        await scene.router.tell(change(report(2, "queue")))
        await until(lambda: scene.history.heard_to == mark(2))
        still_behind = scene.contact.stale, scene.contact.observed_at
        await scene.router.tell(change(report(3, "starting")) if last == "a change" else sign_of_life(3))
        await until(lambda: not scene.contact.stale)

    assert still_behind == (True, None)


async def test_it_goes_on_when_the_history_was_away() -> None:
    """The change is heard again, because its position was not kept."""
    scene = Scene()

    async with scene.listening():
        await scene.router.tell(sign_of_life(1, head=1))
        await until(lambda: not scene.contact.stale)
        scene.history.away = True
        await scene.router.tell(change(report(7, "queue")))
        await until(lambda: scene.contact.stale)
        scene.history.away = False
        await until(lambda: scene.history.heard_to == mark(7))

    assert JOB in scene.history.jobs


async def test_whose_token_it_is_is_asked_once() -> None:
    """It does not change while the gateway runs."""
    scene = Scene()

    first = await scene.contact.me()
    scene.router.away = True

    assert await scene.contact.me() == first


async def test_changes_that_wait_are_heard_in_their_order() -> None:
    """After an hour's absence there are thousands; none is left out."""
    scene = Scene()
    words = ("created", "perm", "queue", "running")
    jobs = [UUID(int=number) for number in range(1, 31)]
    told = [(job_id, word) for word in words for job_id in jobs]
    for sequence, (job_id, word) in enumerate(told, start=1):
        await scene.router.tell(change(report(sequence, word, id=job_id)))

    async with scene.listening():
        await until(lambda: scene.history.heard_to == mark(len(told)))

    assert set(scene.history.jobs) == set(jobs)
    phases = ["created", "waiting_on_permission", "waiting_on_queue", "in_progress"]
    heard = [(event.job_id, data_of(event)["phase"]) for event in scene.history.log]
    assert heard == [(job_id, phase) for phase in phases for job_id in jobs]
    assert not any(event.late for event in scene.history.log)


async def test_a_removed_job_holds_up_no_change() -> None:
    """Alone, or amongst others."""
    scene = Scene()
    scene.history.pruned.add(JOB)

    async with scene.listening():
        await scene.router.tell(change(report(1, "queue")))
        await until(lambda: scene.history.heard_to == mark(1))
        await scene.router.tell(change(report(2, "running")))
        await scene.router.tell(change(report(3, "queue", id=OTHER_JOB)))
        await until(lambda: scene.history.heard_to == mark(3))

    assert set(scene.history.jobs) == {OTHER_JOB}
