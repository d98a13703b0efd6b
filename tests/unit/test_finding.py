"""Whatever is wanted together, by whichever way it is found: the same jobs as by a look at each of them."""

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from itertools import count, cycle
from pathlib import Path
from unicodedata import combining, normalize
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.events import Told
from app.domain.jobs import Job, Owner
from app.domain.phases import Phase
from app.domain.ports import JobFilter
from app.store.database import open_database
from app.store.history import SqlHistory, open_history
from app.store.regexes import compiled
from app.store.searching import search
from tests.support.news import NOON, job_in
from tests.support.pages import jobs_in

MINUTE = timedelta(minutes=1)
JOBS = 600
OWNERS = ("ann@globex", "ann@globex", "ann@globex", "bob@globex", "guest@globex")
OPERATIONS = ("REGRESSION", "REGRESSION", "BLIND_JOIN")
PHASES = (Phase.COMPLETE, Phase.COMPLETE, Phase.COMPLETE, Phase.ERROR, Phase.IN_PROGRESS, Phase.DENIED)
NAMES = (
    "trial-amber-{}",
    "trial-cedar-{}",
    "nightly scores",
    "Audit {}",
    "two\nlines {}",
    "nul \0 {}",
    "\U0001f9ec {}",
)
ERRORS = (
    "out of memory after {} batches",
    "column age is missing",
    "Mémoire épuisée après {} lots",
    "caf\u00e9\0age \\u0061ge",
)
LABELS = (("project", "a"), ("project", "b"), ("urgent", "yes"), ("run", "7"))
WORDS = (
    "trial",
    "nightly scores",
    '"nightly scores"',
    '"scores nightly"',
    "mem*",
    "memory 12",
    "ridge",
    "nosuch",
    "trial ridge",
    "memoire",
    "ÉPUISÉE",
    "cafe u0061ge",
    "age",
)
PATTERNS = (
    "two.lines",
    "^lines",
    "\U0001f9ec [0-9]5$",
    r"\x00",
    "trial",
    "amber-1",
    "-4[0-9]*7$",
    "^Audit",
    "(?i)AUDIT",
    "nothing",
    "r-[12]",
    ".",
    "(amber|cedar)-9",
)

FILTERS = st.builds(
    JobFilter,
    name=st.none() | st.none() | st.sampled_from(["nightly scores", "trial-amber-7", "no such name"]),
    name_regex=st.none() | st.sampled_from(PATTERNS),
    words=st.none() | st.sampled_from(WORDS),
    phases=st.none() | st.frozensets(st.sampled_from([*PHASES, Phase.LOST])),
    operation=st.none() | st.sampled_from([*OPERATIONS, "NONE_SUCH"]),
    owner=st.none() | st.sampled_from([*OWNERS, "nobody@globex"]),
    labels=st.lists(
        st.sampled_from([*LABELS, ("project", None), ("urgent", None), ("nothing", None), ("run", "8")]),
        max_size=2,
        unique_by=lambda label: label[0],
    ).map(tuple),
    created_after=st.none() | st.none() | st.integers(0, JOBS).map(lambda minutes: NOON + minutes * MINUTE),
    created_before=st.none() | st.none() | st.integers(0, JOBS).map(lambda minutes: NOON + minutes * MINUTE),
)


class Shelf:
    """A history of many jobs, and what it is of."""

    def __init__(self, loop: asyncio.Runner, history: SqlHistory, jobs: Sequence[Job], *, path: Path) -> None:
        self.jobs = jobs
        self.path = path
        self._loop = loop
        self._history = history

    def pages(self, wanted: JobFilter, *, limit: int) -> list[UUID]:
        """All of the list, page after page."""
        return self._loop.run(self._pages(wanted, limit=limit))

    async def _pages(self, wanted: JobFilter, *, limit: int) -> list[UUID]:
        found: list[UUID] = []
        cursor = None
        while True:
            page = await self._history.page(wanted, limit=limit, cursor=cursor)
            assert len(page.items) == limit or page.next is None
            found += [job.id for job in jobs_in(page)]
            cursor = page.next
            if cursor is None:
                return found


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    path: Path = tmp_path_factory.mktemp("shelf") / "gateway.db"
    jobs = some_jobs(random.Random(7))  # noqa: S311  (the same in every run)
    with asyncio.Runner() as loop:
        database = open_database(f"sqlite:///{path}")
        opened = open_history(loop.run(database.__aenter__()), tell=lambda _: None, now=lambda: NOON, look_within_s=60)
        history = loop.run(opened.__aenter__())
        loop.run(history.keep(*(Told(job=job) for job in jobs)))
        yield Shelf(loop, history, jobs, path=path)
        loop.run(opened.__aexit__(None, None, None))
        loop.run(database.__aexit__(None, None, None))


@settings(max_examples=600)
@given(wanted=FILTERS, limit=st.sampled_from([1, 7, 50, 700]))
def test_a_list_has_what_is_wanted_newest_first(shelf: Shelf, wanted: JobFilter, limit: int) -> None:
    """Neither more nor less, over all of its pages."""
    fitting = [job.id for job in reversed(shelf.jobs) if fits(job, wanted)]
    limit = max(limit, len(fitting) // 8)

    assert shelf.pages(wanted, limit=limit) == fitting


@settings(max_examples=300)
@given(wanted=FILTERS, limit=st.sampled_from([1, 2, 7, 50]), steps=st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_a_search_whose_time_is_over_goes_on_where_it_was(
    shelf: Shelf, wanted: JobFilter, limit: int, steps: list[int]
) -> None:
    """However short the times are: all of what is wanted, once each, newest first."""
    fitting = [job.id for job in reversed(shelf.jobs) if fits(job, wanted)]
    limit, times = max(limit, len(fitting) // 8), cycle(steps)
    keys: list[int] = []
    below: int | None = 2**63 - 1
    with closing(sqlite3.connect(shelf.path, isolation_level=None)) as connection:
        while below is not None:
            found = search(connection, wanted, below=below, limit=limit, is_over=after(next(times)))
            assert found.until is None or found.until < below
            keys += found.keys
            below = found.until
        told = dict(connection.execute("SELECT key, job_id FROM job"))

    assert [UUID(told[key]) for key in keys] == fitting


@given(wanted=FILTERS)
def test_no_way_is_gone_to_its_end_before_its_first_job_is_told(shelf: Shelf, wanted: JobFilter) -> None:
    """SQLite sorts nothing and keeps nothing of it: each way is in the order of lists."""
    asked: list[str] = []
    with closing(sqlite3.connect(shelf.path, isolation_level=None)) as connection:
        connection.set_trace_callback(asked.append)
        search(connection, wanted, below=2**63 - 1, limit=7, is_over=lambda: False)
        connection.set_trace_callback(None)
        ways = [one for one in asked if " AS way" in one]
        plans = [row[3] for one in ways for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]

    assert bool(plans) == bool(ways)
    assert [plan for plan in plans if "TEMP B-TREE" in plan or "MATERIALIZE" in plan] == []


def after(steps: int) -> Callable[[], bool]:
    """A time that is over after so many steps."""
    left = count(-steps)
    return lambda: next(left) >= 0


def some_jobs(rng: random.Random) -> Sequence[Job]:
    """A minute between each and the next."""
    return [some_job(rng, number) for number in range(JOBS)]


def some_job(rng: random.Random, number: int) -> Job:
    phase = rng.choice(PHASES)
    return job_in(
        phase,
        id=UUID(int=rng.getrandbits(128), version=4),
        job_name=rng.choice(NAMES).format(number),
        operation=rng.choice(OPERATIONS),
        owner=Owner(user=rng.choice(OWNERS), team="globex"),
        labels=dict(rng.sample(LABELS, rng.randint(0, 2))),
        params=msgspec.Raw(rng.choice((b'{"kind":"RIDGE"}', b"{}"))),
        error=rng.choice(ERRORS).format(number) if phase is Phase.ERROR else "",
        created=NOON + number * MINUTE,
    )


def fits(job: Job, wanted: JobFilter) -> bool:
    """By a look at the job."""
    return (
        wanted.name in (None, job.job_name)
        and (wanted.name_regex is None or compiled(wanted.name_regex).search(job.job_name) is not None)
        and (wanted.words is None or has_words(job, wanted.words))
        and (wanted.phases is None or job.phase in wanted.phases)
        and wanted.operation in (None, job.operation)
        and wanted.owner in (None, job.owner.user)
        and all(name in job.labels and value in (None, job.labels[name]) for name, value in wanted.labels)
        and (wanted.created_after is None or job.created >= wanted.created_after)
        and (wanted.created_before is None or job.created < wanted.created_before)
    )


def has_words(job: Job, words: str) -> bool:
    """Each of them, or what is in quotation marks side by side."""
    texts = (job.job_name, job.operation, bytes(job.params).decode(), job.error)
    there = [" ".join("".join(sign if sign.isalnum() else " " for sign in plain(text)).split()) for text in texts]
    asked = [words.strip('"')] if words.startswith('"') else plain(words).split()
    return all(any(is_in(one, text) for text in there) for one in asked)


def plain(text: str) -> str:
    """As words are compared: without case and accents."""
    return "".join(sign for sign in normalize("NFD", text.lower()) if not combining(sign))


def is_in(asked: str, text: str) -> bool:
    """As a word, or as the beginning of one."""
    return f" {asked[:-1]}" in f" {text}" if asked.endswith("*") else f" {asked} " in f" {text} "
