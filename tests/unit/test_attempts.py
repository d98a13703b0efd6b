"""Requests with an Idempotency-Key, on disk."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.domain.access import LOCAL
from app.domain.attempts import KEPT_DAYS, Answer, Asked, Kept, asked_for
from app.domain.errors import JobFinished
from app.store.attempts import SqlAttempts
from app.store.database import open_database
from tests.support.news import JOB, NOON, full_job


def asked(key: str = "a-key", *, body: object = None) -> Asked:
    request = asked_for(key, by=LOCAL, route="create", body=body)
    assert request is not None
    return request


@asynccontextmanager
async def opened(folder: Path, *, now: Callable[[], datetime] = lambda: NOON) -> AsyncIterator[SqlAttempts]:
    async with open_database(f"sqlite:///{folder / 'gateway.db'}") as database:
        yield SqlAttempts(database, now=now)


@pytest.fixture
async def attempts(tmp_path: Path) -> AsyncIterator[SqlAttempts]:
    async with opened(tmp_path) as memory:
        yield memory


def known(kept: Kept) -> tuple[object, ...]:
    return kept.is_new, kept.job_id, kept.answer


async def test_the_first_is_new_and_the_second_is_told_what_is_known(attempts: SqlAttempts) -> None:
    """Which is nothing yet."""
    first = await attempts.reserve(asked())
    second = await attempts.reserve(asked(body="another"))

    assert (known(first), known(second)) == ((True, None, None), (False, None, None))
    assert first.number == second.number
    assert second.digest == asked().digest


@pytest.mark.parametrize(
    "answer",
    [Answer(job=full_job()), Answer.of(JobFinished("It is complete.", phase="complete"))],
    ids=["job", "error"],
)
async def test_an_answer_is_kept_over_a_restart(tmp_path: Path, answer: Answer) -> None:
    """With the job that it made, whole."""
    async with opened(tmp_path) as before:
        number = (await before.reserve(asked())).number
        await before.has_made(number, JOB)
        await before.answer(number, answer)

    async with opened(tmp_path) as after:
        kept = await after.reserve(asked())

    assert known(kept) == (False, JOB, answer)


async def test_what_was_released_is_forgotten(attempts: SqlAttempts) -> None:
    """And nothing else is."""
    other = await attempts.reserve(asked("other"))
    await attempts.release((await attempts.reserve(asked())).number)

    assert (await attempts.reserve(asked(body="another"))).is_new
    assert (await attempts.reserve(asked("other"))).number == other.number


async def test_a_key_is_kept_for_a_week(tmp_path: Path) -> None:
    """Then the same one may stand for something else."""
    clock = [NOON]
    async with opened(tmp_path, now=lambda: clock[0]) as attempts:
        await attempts.reserve(asked())
        clock[0] += timedelta(days=KEPT_DAYS)
        at_its_end = await attempts.reserve(asked())
        clock[0] += timedelta(microseconds=1)
        after_it = await attempts.reserve(asked())

    assert (at_its_end.is_new, after_it.is_new) == (False, True)
