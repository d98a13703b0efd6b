"""What has been over for long goes, all of it, a little at a time; nothing brings it back."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from app.domain.actions import NewAction, Verb
from app.domain.errors import EventsMissing, JobPruned
from app.domain.events import Told
from app.domain.jobs import Job, Mark
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.domain.retention import Removable
from app.services.prune import Pruner
from app.store.actions import SqlActions
from app.store.database import Database, open_database
from app.store.history import SqlHistory, open_history
from app.store.pruning import SqlRetention
from tests.support.fakes import until
from tests.support.news import JOB, NOON, OTHER_JOB, job_in, message_event, told_messages
from tests.support.pages import jobs_in

OLD = replace(job_in(Phase.COMPLETE), finished=NOON, labels={"study": "bc-7"}, error="odd")
NEW = replace(job_in(Phase.COMPLETE), id=OTHER_JOB, finished=NOON + timedelta(days=2), job_name="newer")
A_DAY_LATER = NOON + timedelta(days=1)


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with open_database(f"sqlite:///{tmp_path / 'gateway.db'}") as opened:
        yield opened


@pytest.fixture
async def history(database: Database) -> AsyncIterator[SqlHistory]:
    async with open_history(database, tell=lambda _: None, now=lambda: NOON) as opened:
        yield opened


@pytest.fixture
def retention(database: Database) -> SqlRetention:
    return SqlRetention(database, now=lambda: NOON)


async def removed(retention: SqlRetention, before: datetime = A_DAY_LATER) -> list[int]:
    """How many jobs each step took."""
    steps: list[int] = []
    while (some := await retention.remove_some(before)) is not None:
        steps.append(some)
    return steps


async def rows(database: Database) -> dict[str, int]:
    """How many there are in each table in which jobs leave something."""
    tables = ("job", "job_state", "job_label", "event", "action", "pruned")
    return await database.read(
        lambda db: {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}  # noqa: S608
    )


async def test_all_of_an_old_job_goes_and_nothing_of_a_newer_one(
    history: SqlHistory, retention: SqlRetention, database: Database
) -> None:
    """State, labels, words, events, and who did what."""
    actions = SqlActions(database, now=lambda: NOON)
    for job in (OLD, NEW):
        await history.keep(told_messages(job, 1, 2, 3))
        await actions.begin(NewAction(verb=Verb.KILL, user="ada", key_id=None, router_user=None, job_id=job.id))

    await removed(retention)

    left = await rows(database)
    assert left == {"job": 1, "job_state": 1, "job_label": 1, "event": 3, "action": 1, "pruned": 1}
    assert (await history.job(JOB), await history.is_pruned(JOB)) == (None, True)
    assert (await history.job(OTHER_JOB), await history.is_pruned(OTHER_JOB)) == (NEW, False)
    for wanted in (JobFilter(), JobFilter(words="job"), JobFilter(name_regex="job|newer"), JobFilter(words="odd")):
        assert JOB not in [job.id for job in jobs_in(await history.page(wanted, limit=9, cursor=None))], wanted
    assert await database.read(lambda db: db.execute("INSERT INTO job_words(job_words) VALUES('integrity-check')"))


async def test_what_is_not_over_stays_however_old(history: SqlHistory, retention: SqlRetention) -> None:
    """A job may wait for permission for a year."""
    phases = [phase for phase in Phase if not phase.is_final]
    jobs = [replace(job_in(phase), id=uuid4(), created=NOON - timedelta(days=999)) for phase in phases]
    for job in jobs:
        await history.keep(Told(job=job))

    assert await removed(retention) == []
    assert len(await history.unfinished()) == len(jobs)


async def test_many_jobs_and_many_events_go_a_little_at_a_time(
    history: SqlHistory, retention: SqlRetention, database: Database
) -> None:
    """Who writes meanwhile waits for one step, and not for all."""
    for _ in range(50):
        await history.keep(Told(job=replace(OLD, id=uuid4())))
    await history.keep(Told(job=OLD, events=tuple(message_event(n) for n in range(2_500))))

    steps = await removed(retention)

    assert [some for some in steps if some] == [20, 20, 11]
    assert len(steps) == 3 + 50 + 3  # each job's events apart; the many in three steps
    assert (await rows(database))["event"] == 0


async def test_a_job_that_is_gone_shows_none_of_the_events_that_are_left(
    history: SqlHistory, retention: SqlRetention
) -> None:
    """Also between two steps, and after a crash there."""
    await history.keep(Told(job=OLD, events=tuple(message_event(n) for n in range(1_500))))
    await retention.remove_some(A_DAY_LATER)
    await retention.remove_some(A_DAY_LATER)

    with pytest.raises(JobPruned):
        await history.events(JOB, after=0, limit=10)
    assert await history.events(None, after=1_500, limit=10) == []


async def test_another_job_of_the_same_moment_gets_none_of_them(history: SqlHistory, retention: SqlRetention) -> None:
    """Rows are numbered by the moment of creation, and events know their job by it."""
    await history.keep(Told(job=OLD, events=tuple(message_event(n) for n in range(1_500))))
    await retention.remove_some(A_DAY_LATER)
    same_moment = replace(NEW, created=OLD.created)
    await history.keep(told_messages(same_moment, 7))

    events = await history.events(OTHER_JOB, after=0, limit=10)

    assert [event.data for event in events] == ["7"]


async def test_numbers_of_events_that_are_gone_are_not_given_again(
    history: SqlHistory, retention: SqlRetention
) -> None:
    """A viewer's last id must never be that of another event."""
    await history.keep(told_messages(OLD, 1, 2, 3))
    await removed(retention)
    await history.keep(told_messages(NEW, 1))

    assert await history.head() == 4
    assert [event.id for event in await history.events(OTHER_JOB, after=0, limit=10)] == [4]


async def test_who_reads_on_from_before_is_not_given_half(history: SqlHistory, retention: SqlRetention) -> None:
    """The feed is told that there is a gap; from there on it is whole."""
    await history.keep(told_messages(NEW, 1))
    await history.keep(Told(job=OLD, events=(message_event(1), message_event(2), message_event(3, late=True))))
    await history.keep(told_messages(NEW, 2))
    assert await history.missing_through() == 0
    await removed(retention)

    assert await history.missing_through() == 3  # news that came too late was never told
    with pytest.raises(EventsMissing):
        await history.events(None, after=2, limit=10)
    assert [event.id for event in await history.events(None, after=3, limit=10)] == [5]


async def test_what_would_go_is_told_and_stays(
    history: SqlHistory, retention: SqlRetention, database: Database
) -> None:
    """Before it is too late to change one's mind."""
    await history.keep(told_messages(OLD, 1, 2))
    await history.keep(told_messages(NEW, 1))
    before = await rows(database)

    found = await retention.removable(A_DAY_LATER)

    assert found == Removable(jobs=1, events=2, oldest=NOON, newest=NOON)
    assert await retention.removable(NOON) == Removable(jobs=0, events=0, oldest=None, newest=None)
    assert await rows(database) == before


async def test_jobs_are_kept_for_as_long_as_is_wanted(history: SqlHistory, retention: SqlRetention) -> None:
    """Counted from their end, as far as it is known; else from when that was heard."""
    without_end = replace(OLD, id=UUID(int=3), finished=None)
    for job in (OLD, without_end, NEW):
        await history.keep(Told(job=job))
    later = NOON + timedelta(days=30)

    def pruner(days: float) -> Pruner:
        return Pruner(retention, keep=timedelta(days=days), now=lambda: later)

    assert await pruner(30).prune() == 0
    assert await pruner(29.9).prune() == 2
    assert await pruner(27).prune() == 1


async def test_a_job_that_is_over_again_under_another_name_is_no_other_job(
    history: SqlHistory, retention: SqlRetention
) -> None:
    """The id alone says which it is."""
    await history.keep(Told(job=OLD))
    await removed(retention)
    twin: Job = replace(OLD, id=uuid4())
    await history.keep(Told(job=twin))

    assert await history.job(twin.id) == twin


async def test_news_that_was_under_way_while_a_job_was_removed_does_not_bring_it_back(
    history: SqlHistory, retention: SqlRetention
) -> None:
    """It had been applied to what was known before; with it came other news, which is kept."""
    await history.keep(Told(job=OLD))
    await removed(retention)
    head = await history.head()

    await history.keep(told_messages(OLD, 9), position=Mark(epoch="router", sequence=7))
    await history.keep(told_messages(NEW, 1))

    assert (await history.job(JOB), await history.is_pruned(JOB)) == (None, True)
    assert await history.position() == Mark(epoch="router", sequence=7)
    assert [event.job_id for event in await history.events(None, after=head, limit=10)] == [OTHER_JOB]
    assert await removed(retention) == []


async def test_pruning_goes_on_whatever_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """A task that ended would keep for ever what was to be removed, and say nothing."""

    class Failing:
        async def removable(self, before: datetime) -> Removable:
            raise NotImplementedError(before)

        async def remove_some(self, before: datetime) -> int | None:
            raise sqlite3.IntegrityError(str(before))

    running = asyncio.create_task(Pruner(Failing(), keep=timedelta(days=1), now=lambda: NOON).run())
    await until(lambda: "pruning failed" in caplog.text)

    assert not running.done()
    running.cancel()
    await asyncio.wait([running])
