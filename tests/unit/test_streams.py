"""One log to many viewers: replay and live without gap or repeat, and nobody waits for somebody else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.domain.course import first_heard, hear_router
from app.domain.errors import TooManyStreams
from app.domain.events import Event
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.domain.stream import hear_line
from app.services.channels import Render, Watched
from app.services.hub import Hub
from app.services.rings import Ring
from app.services.streams import Streams
from app.services.viewers import Viewer
from tests.support.fakes import FakeHistory
from tests.support.news import JOB, NOON, OTHER_JOB, end_line, job_in, report, told_messages

OTHER = replace(job_in(Phase.IN_PROGRESS), id=OTHER_JOB)
LONG_S = 10.0
AT_ONCE_S = 0.001
FIRST = b"first"
HERE = b"at last"


async def numbers(events: Sequence[Event]) -> list[bytes]:
    """The shortest frames that tell one from another."""
    return [b"%d " % event.id for event in events]


class Connection:
    """What a viewer is reached by: it takes so many chunks, and then nothing until it is read from."""

    def __init__(self, *, room: int = 1_000_000) -> None:
        self.told: list[int] = []
        self.signs: list[int | None] = []
        self.ended = False
        self.is_cut = False
        self._room = room
        self._taken = asyncio.Event()

    def write(self, chunk: bytes) -> bool:
        """One chunk takes one place, whatever is in it."""
        if not self._has_taken():
            return False
        assert not self.ended, "something came after the end"
        if chunk.startswith(b"at "):
            self.signs.append(None if chunk == HERE else int(chunk[3:]))
        elif chunk != FIRST:
            self.told += map(int, chunk.split())
        return True

    @property
    def is_gone(self) -> bool:
        """As soon as it is cut."""
        return self.is_cut

    def give_up_after(self, seconds: float) -> None:
        """The system's affair."""

    def end(self) -> bool:
        """That takes a place, too."""
        self.ended = self._has_taken()
        return self.ended

    async def room(self) -> None:
        """Until it is read from, or cut off."""
        self._taken.clear()
        await self._taken.wait()

    def cut(self) -> None:
        """What is sent from now on goes nowhere."""
        self.is_cut = True
        self._taken.set()

    def read(self, chunks: int) -> None:
        """There is room again."""
        self._room += chunks
        self._taken.set()

    def _has_taken(self) -> bool:
        if self._room <= 0 and not self.is_cut:
            return False
        self._room -= 1
        return True


def still_here(position: int | None) -> bytes:
    """A sign of life."""
    return HERE if position is None else b"at %d" % position


@asynccontextmanager
async def network(
    *, ping_s: float = LONG_S, stall_s: float = LONG_S, at_a_time: int = 500
) -> AsyncIterator[tuple[FakeHistory, Streams]]:
    """A log, and streams that are told of whatever is kept in it."""
    hub = Hub()
    history = FakeHistory(hub.tell)
    streams = Streams(history, newest=0, ping_s=ping_s, stall_s=stall_s, at_most=100, each=100, at_a_time=at_a_time)
    hub.also_tell(streams.notice)
    pinging = asyncio.create_task(streams.ping())
    try:
        yield history, streams
    finally:
        pinging.cancel()


@asynccontextmanager
async def watching(
    streams: Streams,
    connection: Connection,
    *,
    job_id: UUID | None = JOB,
    after: int = 0,
    render: Render = numbers,
    wanted: JobFilter | None = None,
) -> AsyncIterator[Viewer]:
    """For as long as the block lasts."""
    viewer = Viewer(connection, cursor=after, first=FIRST, still_here=still_here)
    watched = Watched(render=render, job_id=job_id, wanted=wanted)
    showing = asyncio.create_task(streams.show(watched, viewer, left=asyncio.Event().wait))
    try:
        yield viewer
    finally:
        showing.cancel()
        with suppress(asyncio.CancelledError):
            await showing


async def until(holds: Callable[[], bool]) -> None:
    """Give way until it does."""
    async with asyncio.timeout(LONG_S):
        while not holds():  # noqa: ASYNC110  (what is watched rings no bell)
            await asyncio.sleep(AT_ONCE_S)


async def keep_a_job(history: FakeHistory, *, messages: int, ends: bool = True) -> None:
    """With so many messages, up to its end."""
    told = first_heard(report(2, "running"), streamed=True)
    await history.keep(told)
    for n in range(1, messages + 1):
        await history.keep(told_messages(told.job, n))
    if ends:
        await end(history)


async def end(history: FakeHistory) -> None:
    """The job is over."""
    held = hear_router(history.jobs[JOB], report(3, "complete"), now=NOON)
    ended = hear_line(held.job, end_line(99)) if held else None
    assert ended is not None
    await history.keep(ended)


def ids(history: FakeHistory, job_id: UUID | None = JOB, *, after: int = 0) -> list[int]:
    """What a viewer is to be told."""
    return [event.id for event in history.log if not event.late and event.id > after and job_id in (None, event.job_id)]


@settings(max_examples=80, deadline=None)
@given(
    messages=st.integers(0, 25),
    at_a_time=st.integers(1, 7),
    writer=st.lists(st.integers(0, 5), max_size=25),
    viewers=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 40)), min_size=1, max_size=6),
    drops=st.integers(0, 3),
)
async def test_replay_and_live_have_no_gap_and_no_repeat(
    messages: int, at_a_time: int, writer: list[int], viewers: list[tuple[int, int, int]], drops: int
) -> None:
    """However writing and reading interleave, wherever one begins, and however long one takes nothing."""
    async with network(at_a_time=at_a_time) as (history, streams), AsyncExitStack() as open_:
        connections: list[tuple[int, Connection]] = []

        async def come(after: int, room: int) -> None:
            connection = Connection(room=room)
            connections.append((after, connection))
            await open_.enter_async_context(watching(streams, connection, after=after))

        async def write() -> None:
            turns = iter(writer)
            told = first_heard(report(2, "running"), streamed=True)
            await history.keep(told)
            for n in range(1, messages + 1):
                for _ in range(next(turns, 0)):
                    await asyncio.sleep(0)
                await history.keep(told_messages(told.job if n % 3 else OTHER, n))
                for channel in tuple(streams._channels.values())[:drops]:
                    if n % 5 == 0 and channel.ring.size:
                        channel.ring.drop_older_half()
            await end(history)

        writing = asyncio.create_task(write())
        for after, room, turns in viewers:
            for _ in range(turns):
                await asyncio.sleep(0)
            await come(after, room)
        await writing
        for _, connection in connections:
            connection.read(1_000)
        await until(lambda: all(connection.ended for _, connection in connections))

    assert [connection.told for _, connection in connections] == [ids(history, after=after) for after, _ in connections]


async def test_the_feed_stays_open_after_a_jobs_end() -> None:
    """Other jobs go on."""
    feed = Connection()
    async with network() as (history, streams), watching(streams, feed, job_id=None):
        await keep_a_job(history, messages=1)
        await history.keep(told_messages(OTHER, 1))
        await until(lambda: feed.told == ids(history, None))

    assert not feed.ended


async def test_late_news_is_not_streamed() -> None:
    """Neither live nor in a replay: after `end` nothing is added."""
    live, replayed = Connection(), Connection()
    async with network() as (history, streams), watching(streams, live, job_id=None):
        await keep_a_job(history, messages=1)
        late = hear_router(history.jobs[JOB], report(9, "error"), now=NOON)
        assert late is not None
        await history.keep(late)
        await history.keep(told_messages(OTHER, 1))
        async with watching(streams, replayed, job_id=None):
            await until(lambda: live.told == replayed.told == ids(history, None))

    assert [event.late for event in history.log].count(True) == 1


async def test_who_takes_nothing_holds_nobody_up() -> None:
    """And has everything once it reads again."""
    stuck, free = Connection(room=1), Connection()
    async with network() as (history, streams), watching(streams, stuck), watching(streams, free):
        await keep_a_job(history, messages=50)
        await until(lambda: free.ended)
        behind = len(stuck.told)
        stuck.read(1_000)
        await until(lambda: stuck.ended)

    assert behind < len(free.told)
    assert stuck.told == free.told == ids(history)


async def test_who_takes_nothing_for_long_is_cut_off() -> None:
    """A connection whose other side is gone without a word would stay for ever."""
    stuck = Connection(room=0)
    async with network(stall_s=AT_ONCE_S) as (history, streams), watching(streams, stuck):
        await keep_a_job(history, messages=1, ends=False)
        await until(lambda: stuck.is_cut)


async def test_what_the_ring_has_let_go_comes_from_the_log() -> None:
    """Everything has a bound."""
    stuck = Connection(room=1)
    free = Connection()
    async with network() as (history, streams), watching(streams, stuck), watching(streams, free):
        await keep_a_job(history, messages=40, ends=False)
        await until(lambda: free.told == ids(history))
        (channel,) = streams._channels.values()
        for _ in range(4):
            channel.ring.drop_older_half()
        stuck.read(1_000)
        await end(history)
        await until(lambda: stuck.ended)

    assert stuck.told == ids(history)


async def test_when_somebody_else_writes_viewers_go_to_the_log() -> None:
    """What another process has written was told to nobody here."""
    viewer = Connection()
    async with network() as (history, streams), watching(streams, viewer):
        await keep_a_job(history, messages=3, ends=False)
        await until(lambda: viewer.told == ids(history))
        elsewhere = FakeHistory()
        elsewhere.jobs, elsewhere.log = history.jobs, history.log
        await elsewhere.keep(told_messages(history.jobs[JOB], 7))
        await end(history)
        await until(lambda: viewer.ended)

    assert viewer.told == ids(history)


async def test_what_cannot_be_shown_ends_its_viewers_and_nobody_elses() -> None:
    """They come back by themselves; a stream that stood still would say that nothing happens."""
    bad, good = Connection(), Connection()

    async def breaks(events: Sequence[Event]) -> list[bytes]:
        if len(events) and events[-1].id > 2:
            raise ValueError("no words for this")
        return await numbers(events)

    async with (
        network() as (history, streams),
        watching(streams, bad, render=breaks),
        watching(streams, good),
    ):
        await keep_a_job(history, messages=3)
        await until(lambda: bad.is_cut and good.ended)

    assert good.told == ids(history)


async def test_silence_is_pinged() -> None:
    """So that who is gone is noticed on both sides."""
    quiet = Connection()
    async with network(ping_s=AT_ONCE_S) as (_, streams), watching(streams, quiet):
        await until(lambda: len(quiet.signs) >= 2)

    assert (quiet.told, set(quiet.signs)) == ([], {None})


async def test_a_sign_of_life_has_no_end_where_nobody_takes_it() -> None:
    """Somebody who has gone without a word is noticed, whether or not anything happens."""
    stuck = Connection(room=1)
    async with network(ping_s=AT_ONCE_S, stall_s=AT_ONCE_S) as (_, streams), watching(streams, stuck):
        await until(lambda: stuck.is_cut)


async def test_a_quiet_filter_is_told_how_far_it_has_come() -> None:
    """Whoever comes back would otherwise look through everything again that was of no interest."""
    quiet, same = Connection(), Connection()
    nobody = JobFilter(owner="nobody")
    async with (
        network(ping_s=AT_ONCE_S) as (history, streams),
        watching(streams, quiet, job_id=None, wanted=nobody),
        watching(streams, same, job_id=None, wanted=nobody),
    ):
        await keep_a_job(history, messages=5)
        last = history.log[-1].id
        await until(lambda: last in quiet.signs and last in same.signs)
        assert len(streams._channels) == 1

    assert (quiet.told, same.told) == ([], [])


async def test_a_filter_outlasts_a_log_that_is_out_of_reach(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever were sent away would be refused when coming back, and an EventSource that is refused gives up."""
    monkeypatch.setattr("app.services.channels._LOOK_AGAIN_S", AT_ONCE_S)
    viewer = Connection()
    async with network() as (history, streams):
        await keep_a_job(history, messages=1, ends=False)
        wanted = JobFilter(owner=history.jobs[JOB].owner.user)
        async with watching(streams, viewer, job_id=None, wanted=wanted):
            await until(lambda: viewer.told == ids(history))
            await history.keep(told_messages(history.jobs[JOB], 2))
            history.away = True
            await until(lambda: "out of reach" in caplog.text)
            history.away = False
            await until(lambda: viewer.told == ids(history))

    assert not viewer.is_cut


async def test_a_filter_is_asked_once_for_all_who_ask_for_the_same() -> None:
    """A thousand viewers of one filter are one question to the log for each thing that happens."""
    connections = [Connection() for _ in range(20)]
    async with network() as (history, streams), AsyncExitStack() as open_:
        await keep_a_job(history, messages=0, ends=False)
        wanted = JobFilter(owner=history.jobs[JOB].owner.user)
        for one in connections:
            await open_.enter_async_context(watching(streams, one, job_id=None, wanted=wanted, after=1))
        await until(lambda: all(one._room < 1_000_000 for one in connections))
        before = history.looks
        for n in range(1, 6):
            await history.keep(told_messages(history.jobs[JOB], n))
            await until(lambda: all(one.told == ids(history, after=1) for one in connections))

    assert history.looks - before <= 5 * 2


async def test_what_many_replay_is_read_once() -> None:
    """After a restart everybody comes back at once, and wants the same."""
    connections = [Connection() for _ in range(20)]
    async with network(at_a_time=5) as (history, streams), AsyncExitStack() as open_:
        await keep_a_job(history, messages=24)
        before = history.looks
        for one in connections:
            await open_.enter_async_context(watching(streams, one))
        await until(lambda: all(one.ended for one in connections))

    assert [one.told for one in connections] == [ids(history)] * 20
    assert history.looks - before <= 7


async def test_who_leaves_during_a_replay_is_not_served_to_its_end() -> None:
    """A log of years would be read out to nobody, and the place would stay taken."""
    leaver = Connection(room=1)
    async with network(at_a_time=1) as (history, streams):
        await keep_a_job(history, messages=200)
        async with watching(streams, leaver):
            await until(lambda: leaver._room == 0)
            leaver.cut()
            before = history.looks
            for _ in range(2_000):
                await asyncio.sleep(0)

    assert history.looks - before < 20


async def test_a_ring_that_gives_way_while_it_is_handed_round_leaves_no_gap() -> None:
    """The budget is kept whenever something is told, and that may be in the middle of a turn."""

    async def wide(events: Sequence[Event]) -> list[bytes]:
        return [b"%d " % event.id + b" " * 40_000 for event in events]

    class GivesWay(Connection):
        def write(self, chunk: bytes) -> bool:
            for channel in streams._channels.values():
                for _ in range(2):
                    if channel.ring.size:
                        channel.ring.drop_older_half()
            return super().write(chunk)

    one, two = GivesWay(), GivesWay()
    async with (
        network() as (history, streams),
        watching(streams, one, render=wide),
        watching(streams, two, render=wide),
    ):
        await keep_a_job(history, messages=1, ends=False)
        await until(lambda: one.told == two.told == ids(history))
        await asyncio.gather(*(history.keep(told_messages(history.jobs[JOB], n)) for n in range(2, 60)))
        await end(history)
        await until(lambda: one.ended and two.ended)

    assert one.told == two.told == ids(history)


async def test_what_is_replayed_stays_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while nothing is told: whoever reads years of history must not fill the memory with it."""
    monkeypatch.setattr("app.services.streams._BUDGET_BYTES", 10_000)
    reader, sizes = Connection(), list[int]()

    async def wide(events: Sequence[Event]) -> list[bytes]:
        sizes.append(sum(channel.size for channel in streams._channels.values()))
        return [b"%d " % event.id + b" " * 500 for event in events]

    async with network(at_a_time=5) as (history, streams):
        await keep_a_job(history, messages=200)
        async with watching(streams, reader, render=wide):
            await until(lambda: reader.ended)

    assert reader.told == ids(history)
    assert max(sizes) <= 10_000


async def test_a_jobs_quiet_stream_is_pinged_whatever_others_do() -> None:
    """The snapshot that tells a position is the feed's."""
    quiet = Connection()
    async with network(ping_s=AT_ONCE_S) as (history, streams):
        await keep_a_job(history, messages=1, ends=False)
        for n in range(5):
            await history.keep(told_messages(OTHER, n))
        async with watching(streams, quiet):
            await until(lambda: len(quiet.signs) >= 3)

    assert set(quiet.signs) == {None}


async def test_there_is_a_limit_to_the_streams_of_one_and_of_all() -> None:
    """Each costs memory, and whoever forgets to close them must not shut the others out."""
    streams = Streams(FakeHistory(), newest=0, ping_s=LONG_S, stall_s=LONG_S, at_most=3, each=2)
    with streams.place("ada"), streams.place("ada"):
        with pytest.raises(TooManyStreams, match="2 streams"), streams.place("ada"):
            pass
        with streams.place("bob"), pytest.raises(TooManyStreams, match="3 streams"), streams.place("cyd"):
            pass
        with streams.place("bob"):
            pass
    with streams.place("ada"):
        pass


async def test_closing_sends_everybody_home() -> None:
    """A stop must not wait for viewers who would stay for days; who cannot be told is cut off."""
    here, stuck, late = Connection(), Connection(room=0), Connection()
    async with network() as (_, streams), watching(streams, here), watching(streams, stuck, job_id=None):
        await until(lambda: here._room < 1_000_000)
        streams.close()
        async with watching(streams, late):
            await until(lambda: here.ended and stuck.is_cut and late.ended)


async def test_nobody_is_left_behind() -> None:
    """A gateway runs for months; what is forgotten here is forgotten for ever."""
    stuck = Connection(room=0)
    async with network() as (history, streams):
        async with (
            watching(streams, Connection()),
            watching(streams, stuck),
            watching(streams, Connection(), job_id=None),
        ):
            await keep_a_job(history, messages=3, ends=False)
            tasks = [*streams._runs.values()]
        await asyncio.wait(tasks, timeout=LONG_S)

        assert all(task.done() for task in tasks)
        assert (streams._channels, streams._runs) == ({}, {})
    assert {task.get_name() for task in asyncio.all_tasks()}.isdisjoint({"stream", "catching up", "replay"})


def test_a_ring_gives_chunks_of_a_bounded_size() -> None:
    """A viewer who begins far behind is not given all at once."""
    ring = Ring(since=10)
    for number in range(11, 31):
        ring.append(number, b"x" * 10_000)

    chunk, cursor = ring.after(10)
    rest = [cursor]
    while cursor < ring.upto:
        _, cursor = ring.after(cursor)
        rest.append(cursor)

    assert (len(chunk), rest) == (70_000, [17, 24, 30])
    assert ring.after(30) == (b"", 30)
