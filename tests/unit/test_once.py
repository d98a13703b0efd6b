"""A request with an Idempotency-Key is done once, however often it is sent."""

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from uuid import UUID

import pytest

from app.domain.access import LOCAL, Caller
from app.domain.attempts import Asked, asked_for
from app.domain.errors import (
    Garbled,
    GatewayError,
    Invalid,
    JobFinished,
    JobNotKnown,
    KeyInUse,
    KeyReused,
    NotNow,
    RouterTokenRefused,
    StoreAway,
    Unanswered,
    Unreachable,
)
from app.domain.jobs import Job
from app.domain.phases import Phase
from app.services.once import Attempt, Done, Once
from tests.support.fakes import FakeAttempts
from tests.support.news import OTHER_JOB, job_in

ASKED = asked_for("a-key", by=LOCAL, route="create", body={"a": 1, "b": 2})
CREATED = job_in(Phase.CREATED)
ADA = replace(LOCAL, user="ada")


class Deed:
    """Something that is done; each time it `fails` as told, and then not any more."""

    def __init__(self, *fails: GatewayError, makes: UUID | None = None) -> None:
        self._fails = list(fails)
        self._makes = makes
        self.attempts: list[Attempt] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, attempt: Attempt) -> Job:
        """Fail, or make a job."""
        self.attempts.append(attempt)
        if self._makes is not None and attempt.job_id is None:
            await attempt.has_made(self._makes)
        await self.may_end.wait()
        if self._fails:
            raise self._fails.pop(0)
        return CREATED

    @property
    def doubts(self) -> list[bool]:
        """Whether each time one had to look first."""
        return [attempt.in_doubt for attempt in self.attempts]


async def test_the_first_answer_is_told_again() -> None:
    """As it was then, whatever has become of the job."""
    once, deed = Once(FakeAttempts()), Deed()

    answers = [await once.do(ASKED, deed) for _ in range(3)]

    assert answers == [Done(job=CREATED, replayed=replayed) for replayed in (False, True, True)]
    assert len(deed.attempts) == 1


@pytest.mark.parametrize(
    "error", [JobFinished("It is complete.", phase="complete"), Invalid("Wrong.", field="params.a")]
)
async def test_a_refusal_is_told_again_too(error: GatewayError) -> None:
    """With its facts: the same request would meet the same refusal, or worse, another answer."""
    once, deed = Once(FakeAttempts()), Deed(error)

    told = [await failure(once.do(ASKED, deed)) for _ in range(2)]

    assert [(type(one), one.code, one.detail, one.facts) for one in told] == [
        (type(error), error.code, error.detail, error.facts)
    ] * 2
    assert len(deed.attempts) == 1


async def test_another_body_under_the_same_key_is_refused() -> None:
    """It would be answered with what it did not ask for."""
    once = Once(FakeAttempts())
    await once.do(ASKED, Deed())

    with pytest.raises(KeyReused):
        await once.do(asked_for("a-key", by=LOCAL, route="create", body={"a": 1, "b": 3}), Deed())


async def test_the_same_body_in_another_order_is_the_same_body() -> None:
    """Not every language keeps the order of fields."""
    once = Once(FakeAttempts())
    await once.do(ASKED, Deed())

    again = await once.do(asked_for("a-key", by=LOCAL, route="create", body={"b": 2, "a": 1}), Deed())

    assert again.replayed


@pytest.mark.parametrize(
    "other",
    [
        asked_for("a-key", by=ADA, route="create", body={"a": 1, "b": 2}),
        asked_for("a-key", by=LOCAL, route="kill 1", body={"a": 1, "b": 2}),
        asked_for("another", by=LOCAL, route="create", body={"a": 1, "b": 2}),
    ],
    ids=["caller", "route", "key"],
)
async def test_a_key_counts_for_one_caller_and_one_route(other: Asked) -> None:
    """Two people may well hit upon the same one."""
    once, deed = Once(FakeAttempts()), Deed()
    await once.do(ASKED, Deed())

    assert not (await once.do(other, deed)).replayed


def test_the_reference_of_a_create_is_the_same_for_its_key_body_and_caller_alone() -> None:
    """The Router knows a create again by it, all callers may share one token there, and our own record may be gone."""

    def reference(*, by: Caller = LOCAL, key: str = "a-key", body: object = None) -> str:
        asked = asked_for(key, by=by, route="create", body=body)
        assert asked is not None
        return asked.client_ref

    others = {reference(by=ADA), reference(by=replace(LOCAL, router_user="ann")), reference(key="b"), reference(body=1)}

    assert reference() == reference()
    assert len({reference(), *others}) == 5


async def test_while_the_first_is_under_way_the_second_is_sent_away() -> None:
    """It could only be done twice, or kept waiting."""
    once, deed = Once(FakeAttempts()), Deed()
    deed.may_end.clear()
    first = asyncio.create_task(once.do(ASKED, deed))
    await asyncio.sleep(0)

    with pytest.raises(KeyInUse):
        await once.do(ASKED, Deed())
    deed.may_end.set()

    assert await first == Done(job=CREATED, replayed=False)


@pytest.mark.parametrize("error", [Unreachable("Not there."), RouterTokenRefused("Not yours."), JobNotKnown("None.")])
async def test_what_surely_was_not_done_frees_the_key(error: GatewayError) -> None:
    """The next try is a first one, also with another body."""
    attempts, deed = FakeAttempts(), Deed(error)
    once = Once(attempts)

    await failure(once.do(ASKED, deed))
    assert attempts.kept == {}
    await once.do(ASKED, deed)

    assert deed.doubts == [False, False]


@pytest.mark.parametrize("error", [Unanswered("Who knows."), Garbled("What?"), StoreAway("Full.")])
async def test_what_may_have_been_done_is_looked_for_before_it_is_sent_again(error: GatewayError) -> None:
    """And stays in doubt for as long as the look fails."""
    once, deed = Once(FakeAttempts()), Deed(error, Unreachable("Not there."))

    for _ in range(2):
        await failure(once.do(ASKED, deed))
    answer = await once.do(ASKED, deed)

    assert deed.doubts == [False, True, True]
    assert not answer.replayed
    assert (await once.do(ASKED, deed)).replayed


async def test_a_try_that_the_process_did_not_survive_is_in_doubt() -> None:
    """Its key stands in the database, and nobody is at it."""
    attempts, deed = FakeAttempts(), Deed()
    deed.may_end.clear()
    lost = asyncio.create_task(Once(attempts).do(ASKED, deed))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    lost.cancel()
    await asyncio.wait([lost])
    deed.may_end.set()

    await Once(attempts).do(ASKED, deed)

    assert deed.doubts == [False, True]


async def test_what_was_half_done_goes_on_where_it_stopped() -> None:
    """A create whose submit failed has made its job."""
    once, deed = Once(FakeAttempts()), Deed(Unreachable("Not there."), makes=OTHER_JOB)

    await failure(once.do(ASKED, deed))
    await once.do(ASKED, deed)

    assert [(attempt.job_id, attempt.in_doubt) for attempt in deed.attempts][1] == (OTHER_JOB, True)


async def test_what_cannot_be_remembered_is_not_done() -> None:
    """Else a repetition would do it twice."""
    attempts, deed = FakeAttempts(), Deed()
    attempts.away = True

    with pytest.raises(StoreAway):
        await Once(attempts).do(ASKED, deed)

    assert deed.attempts == []


async def test_a_kill_is_done_whatever_is_remembered() -> None:
    """Killing twice does no harm, and not killing may."""
    attempts, deed = FakeAttempts(), Deed()
    attempts.away = True

    done = await Once(attempts).do(ASKED, deed, whatever_is_remembered=True)

    assert (done.job, len(deed.attempts)) == (CREATED, 1)


async def test_an_answer_that_cannot_be_kept_is_told_all_the_same() -> None:
    """It is done; a repetition looks first."""
    attempts, deed = FakeAttempts(), Deed(makes=OTHER_JOB)
    attempts.full = True
    once = Once(attempts)

    first = await once.do(ASKED, deed)
    attempts.full = False
    await once.do(ASKED, deed)

    assert first.job == CREATED
    assert deed.doubts == [False, True]


async def test_without_a_key_everything_is_done_as_often_as_it_is_asked_for() -> None:
    """Each with a reference of its own."""
    once, deed = Once(FakeAttempts()), Deed(NotNow("Not now."))

    await failure(once.do(None, deed))
    await once.do(None, deed)

    assert len({attempt.client_ref for attempt in deed.attempts}) == 2


async def failure(doing: Awaitable[Done]) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        await doing
    return raised.value
