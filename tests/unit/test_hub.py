"""Bells, listeners, and the log as a stream: replay and live without gap or repeat."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.course import first_heard, hear_router
from app.domain.events import Event
from app.domain.phases import Phase
from app.domain.stream import hear_line
from app.services.hub import Bell, Hub, Streams, Visit
from tests.support.fakes import FakeHistory
from tests.support.news import JOB, NOON, OTHER_JOB, end_line, job_in, report, told_messages

RUNNING = job_in(Phase.IN_PROGRESS)
OTHER = replace(RUNNING, id=OTHER_JOB)
LONG_S = 10.0
AT_ONCE_S = 0.001


async def keep_an_ended_job(history: FakeHistory, *, messages: int) -> None:
    """A job with so many messages, up to its end."""
    told = first_heard(report(2, "running"), streamed=True)
    await history.keep(told)
    for n in range(1, messages + 1):
        await history.keep(told_messages(told.job, n))
    held = hear_router(told.job, report(3, "complete"), now=NOON)
    assert held is not None
    ended = hear_line(held.job, end_line(messages + 1))
    assert ended is not None
    await history.keep(ended)


async def collected(
    streams: Streams, job_id: UUID | None, *, after: int = 0, pauses: Sequence[int] = ()
) -> list[Event]:
    """Everything that is streamed up to the end, by a reader that gives way so often after each slice."""
    seen: list[Event] = []
    turns = iter(pauses)
    async for some in streams.follow(job_id, after=after, quiet_s=LONG_S, visit=Visit()):
        seen += some
        for _ in range(next(turns, 0)):
            await asyncio.sleep(0)
    return seen


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


# Streams


@settings(max_examples=60)
@given(
    messages=st.integers(0, 25),
    after=st.integers(0, 3),
    at_a_time=st.integers(1, 7),
    writer=st.lists(st.integers(0, 5), max_size=25),
    reader=st.lists(st.integers(0, 5), max_size=25),
)
async def test_replay_and_live_have_no_gap_and_no_repeat(
    messages: int, after: int, at_a_time: int, writer: list[int], reader: list[int]
) -> None:
    """However writing and reading interleave, and wherever one begins."""
    hub = Hub()
    history = FakeHistory(hub.tell)
    history.largest_slice = at_a_time
    streams = Streams(history, hub)

    async def write() -> None:
        turns = iter(writer)
        told = first_heard(report(2, "running"), streamed=True)
        await history.keep(told)
        for n in range(1, messages + 1):
            for _ in range(next(turns, 0)):
                await asyncio.sleep(0)
            await history.keep(told_messages(told.job if n % 3 else OTHER, n))
        held = hear_router(told.job, report(3, "complete"), now=NOON)
        ended = hear_line(held.job, end_line(99)) if held else None
        assert ended is not None
        await history.keep(ended)

    writing = asyncio.create_task(write())
    async with asyncio.timeout(LONG_S):
        seen = await collected(streams, JOB, after=after, pauses=reader)
    await writing

    assert seen == [event for event in history.log if event.job_id == JOB and event.id > after]
    assert hub._bells == {}


async def test_a_jobs_stream_closes_after_its_end() -> None:
    """Nothing more comes; a client that waited on would wait for ever."""
    hub = Hub()
    history = FakeHistory(hub.tell)
    await keep_an_ended_job(history, messages=3)

    seen = await collected(Streams(history, hub), JOB)

    assert seen[-1].is_end


async def test_the_feed_stays_open_after_a_jobs_end() -> None:
    """Other jobs go on."""
    hub = Hub()
    history = FakeHistory(hub.tell)
    await keep_an_ended_job(history, messages=1)
    feed = Streams(history, hub).follow(None, after=0, quiet_s=LONG_S, visit=Visit())

    ended = await anext(feed)
    await history.keep(told_messages(OTHER, 1))
    more = await anext(feed)
    await feed.aclose()  # type: ignore[attr-defined]  # an async generator, as every implementation is

    assert ended[-1].is_end
    assert [event.job_id for event in more] == [OTHER_JOB]


async def test_quiet_gives_an_empty_slice() -> None:
    """From it a ping is made, so that a connection that is gone is noticed."""
    hub = Hub()
    stream = Streams(FakeHistory(hub.tell), hub).follow(None, after=0, quiet_s=AT_ONCE_S, visit=Visit())

    first, second = await anext(stream), await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator, as every implementation is

    assert (list(first), list(second)) == ([], [])


async def test_closing_sends_every_listener_home() -> None:
    """A stop must not wait for viewers who would stay for days."""
    hub = Hub()
    streams = Streams(FakeHistory(hub.tell), hub)
    watching = [asyncio.create_task(collected(streams, channel)) for channel in (JOB, OTHER_JOB, None)]
    await asyncio.wait(watching, timeout=AT_ONCE_S)

    hub.close()

    async with asyncio.timeout(LONG_S):
        assert await asyncio.gather(*watching) == [[], [], []]
    assert hub._bells == {}


async def test_a_viewer_who_leaves_takes_the_bell_along() -> None:
    """Also one who leaves in the middle of a wait."""
    hub = Hub()
    watching = asyncio.create_task(collected(Streams(FakeHistory(hub.tell), hub), JOB))
    await asyncio.wait([watching], timeout=AT_ONCE_S)
    assert hub._bells

    watching.cancel()
    await asyncio.wait([watching])

    assert hub._bells == {}


async def test_late_news_is_not_streamed() -> None:
    """After `end` nothing is added."""
    hub = Hub()
    history = FakeHistory(hub.tell)
    await keep_an_ended_job(history, messages=1)
    told = hear_line(history.jobs[JOB], end_line(50))
    assert told is not None
    late = hear_router(told.job, report(9, "error"), now=NOON)
    assert late is not None
    await history.keep(late)

    seen = await collected(Streams(history, hub), JOB)

    assert history.log[-1].late
    assert seen[-1].is_end
