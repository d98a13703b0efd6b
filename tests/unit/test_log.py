"""The log: written, then told; numbered once and for good."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pytest
from msgspec.structs import replace

from app.domain.errors import StoreAway
from app.domain.events import Event, Told
from app.domain.jobs import Mark
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.store.database import open_database
from app.store.history import SqlHistory, open_history
from tests.support.news import JOB, NOON, OTHER_JOB, job_in, message_event, told_messages
from tests.support.pages import jobs_in

RUNNING = job_in(Phase.IN_PROGRESS)
OTHER = replace(RUNNING, id=OTHER_JOB)


class Log:
    """A history in a file, what it told, and a second way to look into the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: list[Event] = []
        self.in_file_when_told: list[list[int]] = []

    def hear(self, events: Sequence[Event]) -> None:
        """The listener: it looks into the file at the moment it is told."""
        self.told += events
        self.in_file_when_told.append(self.ids_in_file())

    def ids_in_file(self) -> list[int]:
        """What another program reads."""
        connection = sqlite3.connect(self.path)
        try:
            return [row[0] for row in connection.execute("SELECT id FROM event ORDER BY id")]
        finally:
            connection.close()

    def change(self, sql: str) -> None:
        """What another program does to the file."""
        connection = sqlite3.connect(self.path)
        try:
            connection.execute(sql)
            connection.commit()
        finally:
            connection.close()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[SqlHistory]:
        """The history in this file."""
        url = f"sqlite:///{self.path}"
        async with open_database(url) as database, open_history(database, tell=self.hear, now=lambda: NOON) as history:
            yield history


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "gateway.db")


async def outcomes(history: SqlHistory, *all_news: Told) -> list[BaseException | None]:
    """What became of each, handed in at the same moment."""
    return await asyncio.gather(*(history.keep(told) for told in all_news), return_exceptions=True)


async def test_numbers_rise_over_concurrent_keeps(log: Log) -> None:
    """One increasing number is what every cursor relies on."""
    news = [told_messages(RUNNING if n % 2 else OTHER, 3 * n, 3 * n + 1, 3 * n + 2) for n in range(100)]

    async with log.open() as history:
        await outcomes(history, *news)

    assert len(log.told) == 300
    assert all(was.id < after.id for was, after in pairwise(log.told))
    assert log.ids_in_file() == [event.id for event in log.told]


async def test_the_events_of_one_piece_of_news_stay_together_and_in_order(log: Log) -> None:
    """A phase stands right behind the message that brought it."""
    async with log.open() as history:
        await outcomes(history, *(told_messages(RUNNING, n, n + 1, n + 2) for n in range(0, 90, 3)))

    assert [event.data for event in log.told] == [str(n) for n in range(90)]


async def test_numbers_rise_over_a_restart(log: Log) -> None:
    """A viewer that comes back with an old number must miss nothing."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1, 2))
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 3))

    assert [event.id for event in log.told] == sorted({event.id for event in log.told})
    assert len(log.told) == 3


async def test_numbers_are_taken_from_the_file_not_from_memory(log: Log) -> None:
    """Or what another program wrote there would make every write fail from then on."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))
        log.change("UPDATE sqlite_sequence SET seq = 40 WHERE name = 'event'")
        await history.keep(told_messages(RUNNING, 2))

    assert [event.id for event in log.told] == [1, 41]


async def test_what_is_told_is_in_the_file_already(log: Log) -> None:
    """Told first and written later, a crash would give the same number to another event."""
    async with log.open() as history:
        for n in range(5):
            await history.keep(told_messages(RUNNING, n))

    assert log.in_file_when_told == [[1], [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5]]


async def test_keep_returns_after_the_telling(log: Log) -> None:
    """Who asked for a change finds its events in every stream."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))

        assert len(log.told) == 1


async def test_what_was_handed_in_is_written_before_the_history_closes(log: Log) -> None:
    """A stop loses nothing."""
    async with log.open() as history:
        keeping = asyncio.gather(*(history.keep(told_messages(RUNNING, n)) for n in range(20)))
        await asyncio.wait([keeping], timeout=0)

    await keeping
    assert len(log.ids_in_file()) == 20


async def test_a_line_written_before_is_refused_and_told_to_nobody(log: Log) -> None:
    """The last defence against a replayed line: the table itself."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))

        with pytest.raises(StoreAway):
            await history.keep(told_messages(RUNNING, 1))

    assert len(log.told) == len(log.ids_in_file()) == 1


async def test_one_bad_entry_fails_alone(log: Log) -> None:
    """Entries of a batch come from callers who know nothing of each other."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))

        good, bad, also_good = await outcomes(
            history, told_messages(RUNNING, 2), told_messages(RUNNING, 1), told_messages(OTHER, 1)
        )

    assert (good, also_good) == (None, None)
    assert isinstance(bad, StoreAway)
    assert [event.data for event in log.told] == ["1", "2", "1"]
    assert [event.id for event in log.told] == log.ids_in_file()


async def test_a_value_the_database_cannot_hold_does_not_end_the_writing(log: Log) -> None:
    """One writer serves everybody: it must survive what nobody foresaw."""
    too_large = message_event(2**63)

    async with log.open() as history:
        good, bad = await outcomes(history, told_messages(RUNNING, 1), Told(job=RUNNING, events=(too_large,)))
        await history.keep(told_messages(RUNNING, 2))

    assert good is None
    assert isinstance(bad, StoreAway)
    assert [event.data for event in log.told] == ["1", "2"]


async def test_the_job_of_a_failed_entry_stays_as_it_was(log: Log) -> None:
    """State and events are one."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))

        with pytest.raises(StoreAway):
            await history.keep(told_messages(replace(RUNNING, phase=Phase.STOPPING), 1))

        assert await history.job(JOB) == RUNNING


async def test_labels_of_a_job_that_was_not_written_are_not_left_behind(log: Log) -> None:
    """The next job may get its key in the table."""
    labelled = replace(RUNNING, labels={"study": "bc-7"})
    by_label = JobFilter(labels=(("study", None),))

    async with log.open() as history:
        (bad,) = await outcomes(history, told_messages(labelled, 1, 1))
        await history.keep(told_messages(replace(OTHER, labels={}), 1))
        left = await history.page(by_label, limit=2, cursor=None)
        await history.keep(told_messages(labelled, 1))
        found = await history.page(by_label, limit=2, cursor=None)

    assert isinstance(bad, StoreAway)
    assert [[job.id for job in jobs_in(page)] for page in (left, found)] == [[], [JOB]]


async def test_a_full_disk_fails_everybody_and_writing_goes_on_afterwards(log: Log) -> None:
    """Nobody is shown what is not durable; no number that was shown is given again."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))
        await fill_up(history)

        failed = await outcomes(history, *(told_messages(RUNNING, n, *large(n)) for n in (2, 3)))
        told_meanwhile = len(log.told)
        await make_room(history)
        await history.keep(told_messages(RUNNING, 4))

    assert all(isinstance(one, StoreAway) for one in failed)
    assert told_meanwhile == 1
    assert [event.id for event in log.told] == log.ids_in_file()
    assert [event.data for event in log.told] == ["1", "4"]


async def test_a_database_that_can_only_be_read_is_still_read(log: Log) -> None:
    """Reads keep answering; writes say that the history is out of reach."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1))
        await pragma(history, "query_only = 1")

        with pytest.raises(StoreAway):
            await history.keep(told_messages(RUNNING, 2))
        seen = await history.events(JOB, after=0, limit=10)
        await pragma(history, "query_only = 0")
        await history.keep(told_messages(RUNNING, 3))

    assert [event.data for event in seen] == ["1"]
    assert [event.data for event in log.told] == ["1", "3"]


async def test_a_broken_table_is_told_as_the_history_being_away(log: Log) -> None:
    """Whatever SQL says, callers hear one word."""
    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 0))
        log.change("DROP TABLE event")

        with pytest.raises(StoreAway):
            await history.keep(told_messages(RUNNING, 1))
        with pytest.raises(StoreAway):
            await history.events(JOB, after=0, limit=1)


async def test_the_position_is_kept_with_the_news_it_came_with(log: Log) -> None:
    """Kept apart, a crash between the two would skip or repeat a change."""
    async with log.open() as history:
        assert await history.position() is None
        await history.keep(told_messages(RUNNING, 1), position=Mark(epoch="router", sequence=5))

        with pytest.raises(StoreAway):
            await history.keep(told_messages(RUNNING, 1), position=Mark(epoch="router", sequence=6))

        assert await history.position() == Mark(epoch="router", sequence=5)


async def test_the_position_is_kept_once_all_the_news_before_it_is(log: Log) -> None:
    """Kept before, what could not be written would never be heard again."""
    to_here, further = (Mark(epoch="router", sequence=sequence) for sequence in (5, 9))

    async with log.open() as history:
        await history.keep(told_messages(RUNNING, 1), told_messages(OTHER, 1), position=to_here)
        news = (told_messages(RUNNING, 2), told_messages(OTHER, 1), told_messages(RUNNING, 3))

        with pytest.raises(StoreAway):
            await history.keep(*news, position=further)

        assert await history.position() == to_here
        assert [(event.job_id, event.data) for event in log.told] == [
            (JOB, "1"),
            (OTHER_JOB, "1"),
            (JOB, "2"),
        ]


async def test_nothing_is_written_behind_what_could_not_be(log: Log) -> None:
    """However much else waits: told again, what came before it would be taken for known."""
    async with log.open() as history:
        others = asyncio.gather(*(history.keep(told_messages(OTHER, n)) for n in range(700)))
        await asyncio.wait([others], timeout=0)
        await fill_up(history)
        news = [told_messages(RUNNING, n, *large(n)) for n in (1, 2)]

        with pytest.raises(StoreAway):
            await history.keep(*news, told_messages(RUNNING, 3), position=Mark(epoch="router", sequence=3))
        await asyncio.wait([others])
        await make_room(history)
        kept = await history.events(JOB, after=0, limit=5)
        position = await history.position()
        others.exception()

    assert (kept, position) == ([], None)


async def test_who_stops_waiting_for_much_news_leaves_it_all(log: Log) -> None:
    """What comes next for its jobs is applied to that."""
    news = [told_messages(RUNNING, n) for n in range(20)]

    async with log.open() as history:
        leaving = asyncio.ensure_future(history.keep(*news))
        await asyncio.wait([leaving], timeout=0)
        leaving.cancel()
        await asyncio.wait([leaving])
        told_by_then = len(log.told)

    assert told_by_then == 20


async def test_any_number_of_jobs_may_be_of_one_moment(log: Log) -> None:
    """An import has them by the thousand; each has its own place, in the order told, also beside those of a restart."""
    jobs = [replace(RUNNING, id=UUID(int=number)) for number in range(2_500)]

    async with log.open() as history:
        await outcomes(history, *(Told(job=job) for job in jobs[:1_000]))
    async with log.open() as history:
        await outcomes(history, *(Told(job=job) for job in jobs[1_000:]))
        listed = await history.found(JobFilter(), limit=3_000)

    assert [job.id for job in listed] == [job.id for job in reversed(jobs)]


async def test_a_position_without_news_is_kept(log: Log) -> None:
    """A quiet Router's feed moves on, too."""
    async with log.open() as history:
        await history.keep(position=Mark(epoch="router", sequence=5))
        await history.keep(position=Mark(epoch="replaced", sequence=1))
    async with log.open() as history:
        position = await history.position()

    assert position == Mark(epoch="replaced", sequence=1)
    assert log.told == []


async def test_who_stops_waiting_stops_nobody_else(log: Log) -> None:
    """A caller that goes away leaves its news behind, as if it had waited."""
    async with log.open() as history:
        leaving = asyncio.ensure_future(history.keep(told_messages(RUNNING, 1)))
        staying = asyncio.ensure_future(history.keep(told_messages(RUNNING, 2)))
        await asyncio.wait([leaving], timeout=0)
        leaving.cancel()
        await staying

    assert [event.data for event in log.told] == ["1", "2"]


def large(sequence: int) -> Sequence[int]:
    """More numbers for one piece of news, so that it needs new pages."""
    return range(1_000 * sequence, 1_000 * sequence + 900)


async def fill_up(history: SqlHistory) -> None:
    """The file may not grow any more."""
    await pragma(history, "max_page_count = 1")


async def make_room(history: SqlHistory) -> None:
    """It may grow again."""
    await pragma(history, "max_page_count = 1000000")


async def pragma(history: SqlHistory, words: str) -> None:
    """Pragmas hold for a connection: here for the writer's own."""
    await history._writer._connection.do(lambda connection: connection.execute(f"PRAGMA {words}").fetchall())
