"""What can be asked of the history."""

import base64
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sqlalchemy.event import listen

from app.domain.course import first_heard, hear_router
from app.domain.errors import Invalid, RegexUnsupported, SearchTooCostly
from app.domain.events import Told
from app.domain.jobs import Job, Owner
from app.domain.phases import BUCKETS, Bucket, Phase
from app.domain.ports import JobFilter
from app.domain.shown import Shown, shown
from app.domain.stream import hear_line
from app.store import lists
from app.store.cursors import cursor_after, place_of
from app.store.database import open_database
from app.store.heads import newest
from app.store.history import SqlHistory, open_history
from tests.support.news import (
    JOB,
    NOON,
    OTHER_JOB,
    data_of,
    end_line,
    job_in,
    kinds,
    message_event,
    message_line,
    report,
    status_line,
    told_messages,
)
from tests.support.pages import jobs_in, statuses_in

RUNNING = job_in(Phase.IN_PROGRESS)
OTHER = replace(RUNNING, id=OTHER_JOB, job_name="another job")


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[SqlHistory]:
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    async with open_database(url) as database, open_history(database, tell=lambda _: None, now=lambda: NOON) as opened:
        yield opened


async def keep_course(history: SqlHistory) -> Job:
    """A job from its first word to its end, and a straggler."""
    told: Told | None = first_heard(report(2, "running"), streamed=True)
    rest: list[Callable[[Job], Told | None]] = [
        lambda job: hear_line(job, status_line(1, 3)),
        lambda job: hear_line(job, message_line(2)),
        lambda job: hear_line(job, status_line(3, 4, communications=9)),
        lambda job: hear_router(job, report(3, "complete"), now=NOON),
        lambda job: hear_line(job, end_line(4)),
        lambda job: hear_line(job, message_line(5, '"too late"')),
    ]
    for hear in rest:
        assert told is not None
        await history.keep(told)
        told = hear(told.job)
    assert told is not None
    await history.keep(told)
    return told.job


async def test_a_job_is_read_as_it_was_kept_last(history: SqlHistory) -> None:
    """One row a job, however often it changed."""
    job = await keep_course(history)

    assert await history.job(job.id) == job
    assert (await history.page(JobFilter(), limit=10, cursor=None)).items == (shown(job),)
    assert await history.found(JobFilter(), limit=10) == [job]


async def test_a_job_never_heard_of_is_none(history: SqlHistory) -> None:
    """Not an error: the Router may know it."""
    assert await history.job(uuid4()) is None


async def test_events_come_in_order_after_a_position(history: SqlHistory) -> None:
    """Replay is this question, asked again and again."""
    job = await keep_course(history)
    whole = await history.events(job.id, after=0, limit=100)

    tail = await history.events(job.id, after=whole[1].id, limit=2)

    assert kinds(whole) == ["phase", "phase", "status", "message", "status", "phase", "end"]
    assert tail == whole[2:4]


async def test_late_events_are_for_the_history_alone(history: SqlHistory) -> None:
    """After `end` a stream adds nothing; what happened is still on record."""
    job = await keep_course(history)

    streamed = await history.events(job.id, after=0, limit=100)
    all_of_them = await history.events(job.id, after=0, limit=100, late_too=True)

    assert streamed[-1].is_end
    assert [event.data for event in all_of_them if event.late] == ['"too late"']


async def test_the_feed_mixes_jobs_in_one_order(history: SqlHistory) -> None:
    """One number over all jobs."""
    await history.keep(told_messages(RUNNING, 1))
    await history.keep(told_messages(OTHER, 1))
    await history.keep(told_messages(RUNNING, 2))

    feed = await history.events(None, after=0, limit=100)

    assert [event.job_id for event in feed] == [JOB, OTHER_JOB, JOB]
    assert [event.id for event in feed] == [1, 2, 3]


async def test_an_event_is_read_as_it_was_told(history: SqlHistory) -> None:
    """Replay and live show the same bytes."""
    await history.keep(Told(job=RUNNING, events=(message_event(7, late=True),)))

    (event,) = await history.events(JOB, after=0, limit=1, late_too=True)

    assert (event.when, event.received, event.data, event.late) == (NOON, NOON, "7", True)


async def test_statuses_are_all_of_them_oldest_first(history: SqlHistory) -> None:
    """The reference's `status_list`."""
    job = await keep_course(history)

    statuses = await history.statuses(job.id)

    assert [(status.code, status.communications) for status in statuses] == [(3, 0), (4, 9)]


async def keep_statuses(history: SqlHistory, *codes: int, **known: Any) -> Job:
    """A new job that was told these codes."""
    job = replace(RUNNING, id=uuid4(), **known)
    await history.keep(Told(job=job))
    for sequence, code in enumerate(codes, 1):
        told = hear_line(job, status_line(sequence, code, communications=sequence))
        assert told is not None
        await history.keep(told)
        job = told.job
    return job


async def test_of_each_job_the_latest_status_newest_job_first(history: SqlHistory) -> None:
    """Not the latest told: a job's place in the list does not depend on when it speaks."""
    older = await keep_statuses(history, 1, 3, 77, created=NOON)
    await keep_statuses(history, created=NOON + timedelta(seconds=1))
    newer = await keep_statuses(history, 3, created=NOON + timedelta(seconds=2))
    await history.keep(told_messages(older, 9))

    page = await history.latest_statuses(None, limit=10, cursor=None)

    assert [(one.job_id, one.code, one.communications) for one in statuses_in(page)] == [
        (newer.id, 3, 1),
        (older.id, 77, 3),
    ]
    assert (page.next, page.as_of) == (None, await history.head())


async def test_a_status_that_came_too_late_is_never_the_latest(history: SqlHistory) -> None:
    """It was never applied: the job has ended with the one before."""
    job = await keep_course(history)
    late = hear_line(job, status_line(6, 3, communications=99))
    assert late is not None
    await history.keep(late)

    page = await history.latest_statuses(job.id, limit=10, cursor=None)

    assert [(status.code, status.communications) for status in statuses_in(page)] == [(4, 9)]


@pytest.mark.parametrize(("codes", "fits"), [((), []), ((1, 3), [3])])
async def test_of_one_job_there_is_one_status_or_none(
    history: SqlHistory, codes: tuple[int, ...], fits: list[int]
) -> None:
    """Others are left out."""
    await keep_statuses(history, 10)
    job = await keep_statuses(history, *codes)

    page = await history.latest_statuses(job.id, limit=10, cursor=None)

    assert [status.code for status in statuses_in(page)] == fits


async def test_pages_of_statuses_hold_each_job_once_and_are_full(history: SqlHistory) -> None:
    """Jobs without one do not make a page shorter."""
    for code in (3, 4, 5, 6, 7):
        await keep_statuses(history, code)
        await keep_statuses(history)

    seen: list[list[int]] = []
    cursor: str | None = None
    while cursor is not None or not seen:
        page = await history.latest_statuses(None, limit=2, cursor=cursor)
        seen.append([status.code for status in statuses_in(page)])
        cursor = page.next

    assert seen == [[7, 6], [5, 4], [3]]


async def test_latest_statuses_are_found_without_reading_the_messages_after_them(history: SqlHistory) -> None:
    """A job may have streamed a million since, and everybody else waits for the database meanwhile."""
    plans: list[str] = []

    def explain(_: object, cursor: Any, statement: str, parameters: object, *_more: object) -> None:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(row[3] for row in cursor.fetchall() if " event " in row[3])

    listen(history._database._engine, "before_cursor_execute", explain)
    await history.latest_statuses(None, limit=10, cursor=None)
    await history.statuses(JOB)

    assert set(plans) == {"SEARCH event USING INDEX event_status (job_key=?)"}


async def test_a_cursor_belongs_to_its_list(history: SqlHistory) -> None:
    """Jobs and statuses look alike, and a cursor of one would skip some of the other."""
    for _ in range(2):
        await keep_statuses(history, 3)
    of_jobs = (await history.page(JobFilter(), limit=1, cursor=None)).next
    of_statuses = (await history.latest_statuses(None, limit=1, cursor=None)).next

    with pytest.raises(Invalid):
        await history.latest_statuses(None, limit=1, cursor=of_jobs)
    with pytest.raises(Invalid):
        await history.page(JobFilter(), limit=1, cursor=of_statuses)
    with pytest.raises(Invalid):
        await history.latest_statuses(JOB, limit=1, cursor=of_statuses)


async def test_the_end_has_a_number_once_it_is_there(history: SqlHistory) -> None:
    """A cursor at or behind it gets 204."""
    await history.keep(told_messages(OTHER, 1))
    job = await keep_course(history)

    assert await history.end_of(OTHER_JOB) is None
    end = await history.end_of(job.id)
    assert [data_of(event) for event in await history.events(job.id, after=(end or 0) - 1, limit=1)] == [
        {"job_id": str(job.id), "phase": "complete"}
    ]


async def test_the_head_is_the_newest_number(history: SqlHistory) -> None:
    """A feed without a cursor begins there."""
    empty = await history.head()
    await history.keep(told_messages(RUNNING, 1, 2, 3))

    assert (empty, await history.head()) == (0, 3)


async def test_unfinished_jobs_are_those_in_no_final_phase(history: SqlHistory) -> None:
    """They are taken up again at a start."""
    ids = {phase: uuid4() for phase in Phase}
    for phase, job_id in ids.items():
        await history.keep(Told(job=replace(RUNNING, id=job_id, phase=phase)))

    unfinished = await history.unfinished()

    assert set(unfinished) == {ids[phase] for phase in Phase if not phase.is_final}


@pytest.mark.parametrize(
    ("wanted", "fits"),
    [
        (JobFilter(name="another job"), {OTHER_JOB}),
        (JobFilter(id=JOB), {JOB}),
        (JobFilter(operation="REGRESSION"), {JOB, OTHER_JOB}),
        (JobFilter(operation="EXECUTE"), set()),
        (JobFilter(owner="ann"), {JOB, OTHER_JOB}),
        (JobFilter(owner="an"), set()),
        (JobFilter(phases=BUCKETS[Bucket.ACTIVE]), {JOB}),
        (JobFilter(phases=BUCKETS[Bucket.WAITING]), {OTHER_JOB}),
        (JobFilter(phases=frozenset()), set()),
        (JobFilter(name="a job", phases=BUCKETS[Bucket.WAITING]), set()),
    ],
)
async def test_a_filter_narrows(history: SqlHistory, wanted: JobFilter, fits: set[UUID]) -> None:
    """All that are given must hold."""
    await history.keep(Told(job=RUNNING))
    await history.keep(Told(job=replace(OTHER, phase=Phase.WAITING_ON_QUEUE)))

    page = await history.page(wanted, limit=10, cursor=None)

    assert {job.id for job in jobs_in(page)} == fits


A_MICROSECOND = timedelta(microseconds=1)
LABELLED = replace(RUNNING, labels={"study": "bc-7", "rows": "=", "blank": "", "é\0": "NULL"})


LABELS_WANTED: list[tuple[tuple[tuple[str, str | None], ...], bool]] = [
    ((("study", "bc-7"),), True),
    ((("study", None),), True),
    ((("study", "bc"),), False),
    ((("study", "BC-7"),), False),
    ((("stud", None),), False),
    ((("rows", "="),), True),
    ((("blank", ""),), True),
    ((("blank", None),), True),
    ((("study", ""),), False),
    ((("é\0", "NULL"),), True),
    ((("é", None),), False),
    ((("who", None),), False),
    ((("study", "bc-7"), ("rows", None)), True),
    ((("study", "bc-7"), ("rows", "x")), False),
    ((("study", "bc-7"), ("study", "bc-8")), False),
]


async def test_labels_narrow_by_name_or_by_name_and_value(history: SqlHistory) -> None:
    """Exactly, and all of them."""
    await history.keep(Told(job=LABELLED))
    await history.keep(Told(job=replace(OTHER, labels={"what": "study"})))

    for wanted, fits in LABELS_WANTED:
        page = await history.page(JobFilter(labels=wanted), limit=10, cursor=None)
        assert [job.id for job in jobs_in(page)] == ([JOB] if fits else []), wanted


async def test_a_job_that_goes_on_keeps_its_labels(history: SqlHistory) -> None:
    """They are written once, the job many times."""
    await history.keep(Told(job=LABELLED))
    await history.keep(Told(job=replace(LABELLED, phase=Phase.COMPLETE)))

    page = await history.page(JobFilter(labels=(("study", None), ("rows", None))), limit=10, cursor=None)

    assert [job.phase for job in jobs_in(page)] == [Phase.COMPLETE]


TIMES_WANTED = [
    (JobFilter(created_after=NOON), {JOB, OTHER_JOB}),
    (JobFilter(created_after=NOON + A_MICROSECOND), {OTHER_JOB}),
    (JobFilter(created_after=NOON + 2 * A_MICROSECOND), set()),
    (JobFilter(created_before=NOON), set()),
    (JobFilter(created_before=NOON + A_MICROSECOND), {JOB}),
    (JobFilter(created_after=NOON, created_before=NOON + A_MICROSECOND), {JOB}),
    (JobFilter(created_after=NOON, created_before=NOON), set()),
    (JobFilter(created_after=NOON.astimezone(timezone(timedelta(hours=-9)))), {JOB, OTHER_JOB}),
    (JobFilter(created_after=NOON, name_regex="^an"), {OTHER_JOB}),
    (JobFilter(name_regex="job"), {JOB, OTHER_JOB}),
    (JobFilter(name_regex="a job", phases=BUCKETS[Bucket.HISTORY]), set()),
]


async def test_times_and_patterns_narrow(history: SqlHistory) -> None:
    """The first moment belongs to a range, the last one does not: ranges one after the other hold a job once."""
    await history.keep(Told(job=RUNNING))
    await history.keep(Told(job=replace(OTHER, created=NOON + A_MICROSECOND)))

    for wanted, fits in TIMES_WANTED:
        page = await history.page(wanted, limit=10, cursor=None)
        assert {job.id for job in jobs_in(page)} == fits, wanted


async def test_a_pattern_that_re2_does_not_know_is_no_failure_of_the_database(history: SqlHistory) -> None:
    """A bad pattern must not say 503, also where there is nothing to look at yet."""
    with pytest.raises(RegexUnsupported):
        await history.page(JobFilter(name_regex="(?=a)"), limit=10, cursor=None)


@pytest.mark.parametrize(
    "wanted", [JobFilter(name_regex="an|job"), JobFilter(name_regex="job"), JobFilter(words="job")]
)
async def test_what_takes_too_long_is_answered_in_part(tmp_path: Path, wanted: JobFilter) -> None:
    """The page says so, and its cursor goes on looking: nothing is left out, and nothing comes twice."""
    url = f"sqlite:///{tmp_path / 'gateway.db'}"
    async with (
        open_database(url) as database,
        open_history(database, tell=lambda _: None, now=lambda: NOON, look_within_s=-1.0) as hurried,
    ):
        fitting = [uuid4() for _ in range(150)]
        for number, job_id in enumerate(fitting):
            created = NOON + timedelta(seconds=number)
            await hurried.keep(Told(job=replace(RUNNING, id=job_id, created=created)))
            await hurried.keep(Told(job=replace(RUNNING, id=uuid4(), created=created, job_name="other")))

        with pytest.raises(SearchTooCostly):
            await hurried.found(wanted, limit=200)
        pages = [await hurried.page(wanted, limit=200, cursor=None)]
        while pages[-1].next is not None:
            pages.append(await hurried.page(wanted, limit=200, cursor=pages[-1].next))

    assert [page.partial for page in pages] == [*[True] * (len(pages) - 1), False]
    assert [job.id for page in pages for job in jobs_in(page)] == fitting[::-1]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ages=st.lists(st.integers(0, 3), max_size=12), limit=st.integers(1, 5))
async def test_pages_show_every_job_once_newest_first(history: SqlHistory, ages: list[int], limit: int) -> None:
    """Also where several jobs were created in the same microsecond. One history serves all examples, each under an owner."""
    owner = str(uuid4())
    for age in ages:
        created = NOON - timedelta(microseconds=age)
        await history.keep(
            Told(job=replace(RUNNING, id=uuid4(), created=created, owner=Owner(user=owner, team="globex")))
        )

    seen: list[Shown] = []
    cursor: str | None = None
    while True:
        page = await history.page(JobFilter(owner=owner), limit=limit, cursor=cursor)
        seen += jobs_in(page)
        cursor = page.next
        if cursor is None:
            break
        assert len(jobs_in(page)) == limit

    assert len({job.id for job in seen}) == len(seen) == len(ages)
    assert [job.created for job in seen] == sorted((job.created for job in seen), reverse=True)


async def test_a_job_created_between_two_pages_disturbs_neither(history: SqlHistory) -> None:
    """Offsets would show a job twice."""
    jobs = [replace(RUNNING, id=uuid4(), created=NOON + timedelta(seconds=n)) for n in range(4)]
    for job in jobs[:3]:
        await history.keep(Told(job=job))

    first = await history.page(JobFilter(), limit=2, cursor=None)
    await history.keep(Told(job=jobs[3]))
    second = await history.page(JobFilter(), limit=2, cursor=first.next)

    assert [job.id for job in (*jobs_in(first), *jobs_in(second))] == [jobs[2].id, jobs[1].id, jobs[0].id]


async def test_a_page_says_at_which_position_it_was_read(history: SqlHistory) -> None:
    """From there the feed goes on without a gap."""
    await history.keep(told_messages(RUNNING, 1, 2))

    page = await history.page(JobFilter(), limit=2, cursor=None)

    assert page.as_of == 2


async def test_the_position_of_a_page_is_that_of_its_jobs(
    history: SqlHistory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read before, the feed would tell again what the page shows; read after, it would leave out what it does not."""
    await history.keep(told_messages(RUNNING, 1))

    def hurried(connection: sqlite3.Connection) -> int:
        number = newest(connection)
        with sqlite3.connect(tmp_path / "gateway.db") as another:
            another.execute("UPDATE job_state SET shown = replace(shown, 'a job', 'too new')")
        another.close()
        return number

    monkeypatch.setattr(lists, "newest", hurried)
    page = await history.page(JobFilter(), limit=2, cursor=None)

    assert [job.job_name for job in jobs_in(page)] == ["a job"]
    assert page.as_of == 1


async def test_an_empty_page_has_a_position_too(history: SqlHistory) -> None:
    """Who waits for the first job that fits must not begin at nought."""
    await history.keep(told_messages(RUNNING, 1, 2))

    page = await history.page(JobFilter(name="another"), limit=2, cursor=None)

    assert (jobs_in(page), page.as_of) == ((), 2)


# One for each way to narrow a list; a new one is missing below until it is written here.
NARROWED = {
    "name": "a job",
    "words": "job",
    "name_regex": "job",
    "id": JOB,
    "phases": frozenset({Phase.IN_PROGRESS}),
    "operation": "REGRESSION",
    "owner": "ann",
    "labels": (("who", "me"),),
    "created_after": NOON,
    "created_before": NOON + timedelta(days=1),
}


def test_every_way_to_narrow_is_in_the_table() -> None:
    """A cursor that is not bound to a filter skips jobs silently."""
    assert set(NARROWED) == set(JobFilter.__struct_fields__)


@pytest.mark.parametrize("name", NARROWED)
def test_a_cursor_is_bound_to_every_filter(name: str) -> None:
    """Whichever it is."""
    narrower = JobFilter(**{name: NARROWED[name]})  # type: ignore[arg-type]  # the table is checked above
    cursor = cursor_after(1, wanted=narrower, of="jobs")

    assert place_of(cursor, wanted=narrower, of="jobs").key == 1
    with pytest.raises(Invalid, match="other filters"):
        place_of(cursor, wanted=JobFilter(), of="jobs")


async def test_a_cursor_of_other_filters_is_refused(history: SqlHistory) -> None:
    """It would skip jobs silently."""
    for _ in range(2):
        await history.keep(Told(job=replace(RUNNING, id=uuid4())))
    page = await history.page(JobFilter(), limit=1, cursor=None)

    with pytest.raises(Invalid, match="other filters") as refused:
        await history.page(JobFilter(owner="ann"), limit=1, cursor=page.next)

    assert refused.value.facts == {"field": "cursor"}


def test_a_label_with_an_empty_value_is_not_one_with_any() -> None:
    """Two queries that look alike."""
    cursor = cursor_after(1, wanted=JobFilter(labels=(("a", ""),)), of="jobs")

    with pytest.raises(Invalid):
        place_of(cursor, wanted=JobFilter(labels=(("a", None),)), of="jobs")


def encoded(place: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        "nonsense",
        "ä",
        "=",
        "AAAA",
        "\0",
        encoded([]),
        encoded([1, 2]),
        encoded(["1", "2", "3"]),
        encoded([1.5, 2, 3]),
        encoded({"created_us": 1}),
        encoded([2**64, 1, 1]),
        "A" * 10_000,
    ],
)
def test_a_cursor_that_no_page_gave_is_refused(garbage: str) -> None:
    """It names the field and fails nothing else."""
    with pytest.raises(Invalid) as refused:
        place_of(garbage, wanted=JobFilter(), of="jobs")

    assert refused.value.facts == {"field": "cursor"}


@pytest.mark.parametrize("key", [2**63, -(2**63) - 1])
def test_a_forged_cursor_with_numbers_no_column_holds_is_refused(key: int) -> None:
    """The database would not take the question at all."""
    forged = cursor_after(key, wanted=JobFilter(), of="jobs")

    with pytest.raises(Invalid):
        place_of(forged, wanted=JobFilter(), of="jobs")


@given(st.text(max_size=40))
def test_no_text_as_a_cursor_breaks_the_list(cursor: str) -> None:
    """Only Invalid, whatever comes."""
    with pytest.raises(Invalid):
        place_of(cursor, wanted=JobFilter(), of="jobs")
