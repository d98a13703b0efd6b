"""When the file, the disk or the clock is not as it should be: nobody is told what is not kept, and what can be read is."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from app.domain.access import LOCAL
from app.domain.actions import NewAction, Verb
from app.domain.errors import StoreAway
from app.domain.events import Event
from app.domain.phases import Phase
from app.store.condition import files_of
from app.store.database import JOURNAL_BYTES, Synchronous, open_database
from app.store.history import SqlHistory
from app.store.memory import Memory
from app.store.schema import migrate
from app.store.upkeep import bring_home
from tests.support.databases import overwrite, overwrite_page, remembering, rows_in, url_of
from tests.support.news import JOB, NOON, job_in, told_messages

RUNNING = job_in(Phase.IN_PROGRESS)
LONG = "x" * 20_000
ACTION = NewAction(
    verb=Verb.KILL,
    user=LOCAL.user,
    key_id=None,
    router_user=None,
    job_id=JOB,
    asset_id=None,
    client_ref="a reference",
    reason=None,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "gateway.db"


async def refused(memory: Memory, sequence: int) -> str:
    """What is said to who wants something kept: news, and who did what."""
    with pytest.raises(StoreAway) as news:
        await memory.history.keep(told_messages(RUNNING, sequence))
    with pytest.raises(StoreAway) as action:
        await memory.actions.begin(ACTION)
    assert news.value.detail == action.value.detail
    return news.value.detail


async def pragma(history: SqlHistory, words: str) -> None:
    """Of the writer's own connection."""
    await history._writer._connection.do(lambda connection: connection.execute(f"PRAGMA {words}").fetchall())


def seen(events: object) -> list[str]:
    assert isinstance(events, list)
    return [event.data for event in events]


# The file


def remove(file: Path) -> None:
    file.unlink()


def replace_by_a_copy(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)


def move_away(file: Path) -> None:
    file.rename(file.with_name("moved"))


@pytest.mark.parametrize("which", [0, 1], ids=["database", "journal"])
@pytest.mark.parametrize("change", [remove, replace_by_a_copy, move_away])
async def test_nothing_is_written_into_a_file_that_is_no_more_in_its_place(
    path: Path, caplog: pytest.LogCaptureFixture, which: int, change: Callable[[Path], None]
) -> None:
    """SQLite would go on without a word, and all of it would be gone with the process."""
    told: list[Event] = []
    async with remembering(path, told=told) as memory:
        await memory.history.keep(told_messages(RUNNING, 1))
        change(files_of(path)[which])

        said = await refused(memory, 2)
        with pytest.raises(StoreAway):
            memory.storage.check()
        left = await asyncio.gather(*(memory.history.events(JOB, after=0, limit=10) for _ in range(20)))

    assert "deleted or replaced" in said
    assert "gateway restore FILE" in said
    assert [event.data for event in told] == ["1"]
    assert {tuple(seen(events)) for events in left} == {("1",)}
    stops = [record for record in caplog.records if record.message == "writing stopped"]
    assert [record.levelno for record in stops] == [logging.ERROR]


async def test_what_was_committed_while_the_file_went_away_is_told_to_nobody(path: Path) -> None:
    """It is in no file that anybody will find."""
    told: list[Event] = []
    async with remembering(path, told=told) as memory:
        await memory.history.keep(told_messages(RUNNING, 1))
        connection = memory.history._writer._connection

        def commit(database: sqlite3.Connection) -> None:
            path.unlink()
            database.execute("DELETE FROM position")

        with pytest.raises(StoreAway, match="deleted or replaced"):
            await connection.write(commit)

    assert [event.data for event in told] == ["1"]


async def test_damage_ends_the_writing_and_not_the_reading(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """To write on would spread it; what is whole is still of use."""
    async with remembering(path) as memory:
        await memory.history.keep(told_messages(RUNNING, *range(50)))
    overwrite_page(path, "event_of_job")
    told: list[Event] = []
    async with remembering(path, told=told) as memory:
        memory.storage.check()

        said = await refused(memory, 51)
        again = await refused(memory, 52)
        job = await memory.history.job(JOB)
        events = await memory.history.events(None, after=0, limit=3)
        with pytest.raises(StoreAway, match="gateway restore FILE"):
            memory.storage.check()

    assert "is damaged (database disk image is malformed)" in said
    assert again == said
    assert (job, seen(events), told) == (RUNNING, ["0", "1", "2"], [])
    assert len([record for record in caplog.records if record.message == "writing stopped"]) == 1


async def test_damage_that_a_reader_meets_ends_the_writing_too(path: Path) -> None:
    """Whoever meets it."""
    async with remembering(path) as memory:
        await memory.history.keep(told_messages(RUNNING, *range(50)))
    overwrite_page(path, "job_state")
    async with remembering(path) as memory:
        with pytest.raises(StoreAway, match="damaged"):
            await memory.history.job(JOB)

        assert "damaged" in await refused(memory, 51)


def header(path: Path) -> None:
    overwrite(path, at=0, length=16)


def newest_events(path: Path) -> None:
    overwrite_page(path, "event")


def end(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 8192)


@pytest.mark.parametrize("damage", [header, newest_events, end])
async def test_what_is_damaged_at_first_sight_is_not_opened(path: Path, damage: Callable[[Path], None]) -> None:
    """Better told before anybody comes."""
    async with remembering(path) as memory:
        await memory.history.keep(told_messages(RUNNING, *range(500)))
    damage(path)

    with pytest.raises(StoreAway, match=r"is damaged .* gateway restore FILE"):
        migrate(url_of(path))


def test_another_programs_database_is_left_alone(path: Path) -> None:
    """A slip in GATEWAY_DATABASE_URL must not put our tables between somebody else's."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE song (title)")

    with pytest.raises(StoreAway, match="another program's"):
        migrate(url_of(path))

    assert rows_in(path, "SELECT name FROM sqlite_master") == [("song",)]


# The disk


async def test_a_full_disk_is_told_as_such_and_writing_goes_on_once_there_is_room(path: Path) -> None:
    """Nobody has to do anything but make room."""
    told: list[Event] = []
    async with remembering(path, told=told) as memory:
        await memory.history.keep(told_messages(RUNNING, 1))
        await pragma(memory.history, "max_page_count = 1")

        with pytest.raises(StoreAway, match="the disk is full"):
            await memory.history.keep(told_messages(RUNNING, *range(1_000, 1_900)))
        memory.storage.check()
        await pragma(memory.history, "max_page_count = 1000000")
        await memory.history.keep(told_messages(RUNNING, 2))

    assert [event.data for event in told] == ["1", "2"]
    assert [event.id for event in told] == [1, 2]


async def test_a_database_that_another_holds_is_told_as_such_and_nothing_is_lost(path: Path) -> None:
    """A tool that somebody left open in a transaction."""
    told: list[Event] = []
    async with remembering(path, told=told) as memory:
        await memory.history.keep(told_messages(RUNNING, 1))
        await pragma(memory.history, "busy_timeout = 1")
        with held(path):
            with pytest.raises(StoreAway, match="another program has held the database"):
                await memory.history.keep(told_messages(RUNNING, 2))
            events = await memory.history.events(JOB, after=0, limit=10)
        await memory.history.keep(told_messages(RUNNING, 2))

    assert seen(events) == ["1"]
    assert [(event.id, event.data) for event in told] == [(1, "1"), (2, "2")]


def held(path: Path) -> "closing[sqlite3.Connection]":
    """By a program that writes, and does not come to an end."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    return closing(database)


@pytest.mark.parametrize(("setting", "pragma_is"), [("full", 2), ("normal", 1)])
async def test_how_often_the_disk_is_waited_for_is_a_setting(path: Path, setting: Synchronous, pragma_is: int) -> None:
    """Of every connection."""
    async with open_database(url_of(path), synchronous=setting) as database:
        found = await asyncio.gather(
            *(database.read(lambda one: one.execute("PRAGMA synchronous").fetchone()[0]) for _ in range(20))
        )

    assert set(found) == {pragma_is}


# The clock


async def test_numbers_rise_and_nothing_is_lost_where_the_clock_jumps_back(path: Path) -> None:
    """By an hour at a time, over a restart too; only `received` follows the clock."""
    told: list[Event] = []
    clock = iter([NOON, NOON - timedelta(hours=1), NOON - timedelta(days=400), NOON, NOON - timedelta(hours=2)])
    moments = [NOON, NOON - timedelta(hours=1), NOON - timedelta(days=400), NOON, NOON - timedelta(hours=2)]
    async with remembering(path, told=told, now=lambda: next(clock)) as memory:
        for n, phase in enumerate((Phase.STARTING, Phase.IN_PROGRESS, Phase.STOPPING)):
            await memory.history.keep(told_messages(replace(RUNNING, phase=phase), n))
    async with remembering(path, told=told, now=lambda: next(clock)) as memory:
        await memory.history.keep(told_messages(RUNNING, 3))
        await memory.history.keep(told_messages(replace(RUNNING, phase=Phase.COMPLETE), 4))
        kept = await memory.history.events(JOB, after=0, limit=10)

    assert seen(kept) == [event.data for event in told] == ["0", "1", "2", "3", "4"]
    assert all(was.id < after.id for was, after in pairwise(told))
    assert [event.received for event in kept] == moments


# The journal


async def test_a_journal_that_grew_behind_a_long_reader_shrinks_again(path: Path) -> None:
    """A backup reads for minutes; the disk must not stay full of what is over."""
    async with remembering(path) as memory:
        await memory.history.keep(told_messages(RUNNING, 0))
        async with reader(path):
            await grow(memory.history, 1)
            grown = memory.storage.journal_bytes()
        await memory.history._writer._connection.write(bring_home)
        await memory.history.keep(told_messages(RUNNING, 1_000_000))
        shrunk = memory.storage.journal_bytes()

    assert grown > JOURNAL_BYTES >= shrunk


async def test_the_journal_is_brought_home_beside_the_writing(path: Path) -> None:
    """Not in the middle of somebody's commit."""
    async with remembering(path) as memory:
        settings = [await value(memory.history, name) for name in ("wal_autocheckpoint", "journal_size_limit")]

    assert settings == [0, JOURNAL_BYTES]


async def value(history: SqlHistory, name: str) -> int:
    return int(
        await history._writer._connection.do(lambda connection: connection.execute(f"PRAGMA {name}").fetchone()[0])
    )


async def grow(history: SqlHistory, first: int) -> None:
    """Until the journal is larger than it is left."""
    for n in range(first, first + 400, 2):
        news = told_messages(RUNNING, n, n + 1)
        events = tuple(replace(event, data=f'"{LONG}"') for event in news.events)
        await history.keep(replace(news, events=events))


@asynccontextmanager
async def reader(path: Path) -> AsyncIterator[None]:
    """Somebody who looks at what was there when they began."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("BEGIN")
        database.execute("SELECT count(*) FROM event").fetchall()
        yield


@pytest.fixture(autouse=True)
def _logs(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.INFO, logger="app"):
        yield
