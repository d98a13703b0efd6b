"""Bells, listeners, and the log as a stream: replay and live without gap or repeat."""

from collections.abc import Sequence

import pytest

from app.domain.events import Event
from app.domain.phases import Phase
from app.services.hub import Bell, Hub
from tests.support.fakes import FakeHistory
from tests.support.news import JOB, OTHER_JOB, job_in, told_messages

RUNNING = job_in(Phase.IN_PROGRESS)
LONG_S = 10.0
AT_ONCE_S = 0.001


# Bells


async def test_a_bell_rung_while_one_looks_is_not_lost() -> None:
    """Quieten, look, listen: what comes during the look must wake."""
    bell = Bell()
    bell.ring()
    bell.quieten()

    bell.ring()

    assert await bell.rings(within_s=LONG_S)


async def test_a_bell_that_does_not_ring_says_so() -> None:
    """That is when a ping is sent."""
    assert not await Bell().rings(within_s=AT_ONCE_S)


async def test_only_those_concerned_are_woken() -> None:
    """A thousand viewers of one job cost nothing when another job has news."""
    hub, history = Hub(), FakeHistory()
    await history.keep(told_messages(RUNNING, 1))

    with hub.listen(JOB) as mine, hub.listen(OTHER_JOB) as other, hub.listen(None) as feed:
        hub.tell(history.log)

        assert await mine.rings(within_s=LONG_S)
        assert await feed.rings(within_s=LONG_S)
        assert not await other.rings(within_s=AT_ONCE_S)


async def test_nothing_told_rings_nothing() -> None:
    """A write without events is no news."""
    hub = Hub()

    with hub.listen(None) as feed:
        hub.tell([])

        assert not await feed.rings(within_s=AT_ONCE_S)


async def test_no_listener_is_left_behind() -> None:
    """A gateway runs for months; what is forgotten here is forgotten for ever."""
    hub = Hub()

    with hub.listen(JOB), hub.listen(JOB), hub.listen(None):
        pass
    with pytest.raises(RuntimeError), hub.listen(JOB):
        raise RuntimeError("the viewer's connection broke")

    assert hub._bells == {}


async def test_a_listener_who_stays_is_still_told_after_another_left() -> None:
    """Leaving takes one's own bell along and no other."""
    hub, history = Hub(), FakeHistory()
    await history.keep(told_messages(RUNNING, 1))

    with hub.listen(JOB) as staying:
        with hub.listen(JOB):
            pass
        hub.tell(history.log)

        assert await staying.rings(within_s=LONG_S)


def _fails(_: Sequence[Event]) -> None:
    raise ValueError


async def test_a_listener_that_fails_keeps_the_news_from_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """What is told is in the log already: neither the others nor the log's writer may suffer from it."""
    hub, heard = Hub(), list[int]()
    history = FakeHistory(hub.tell)
    hub.also_tell(_fails)
    hub.also_tell(lambda events: heard.extend(event.id for event in events))

    await history.keep(told_messages(RUNNING, 1))

    assert heard == [1]
    assert "a listener failed" in caplog.text
