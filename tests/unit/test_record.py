"""Who did what is kept before it is done; what became of it, after."""

import asyncio
from uuid import uuid4

import pytest

from app.domain.access import LOCAL, Caller, Role
from app.domain.actions import DONE, Action, Verb
from app.domain.errors import GatewayError, JobFinished, StoreAway, Unanswered
from app.services.record import Record
from tests.support.fakes import FakeActions
from tests.support.news import ASSET, JOB, NOON

SAM = Caller(user="sam", role=Role.SUBMITTER, key_id="0a1b", router_user="member@globex", router_token="s3cret")  # noqa: S106
NOT_KILLED = [verb for verb in Verb if verb is not Verb.KILL]


@pytest.fixture
def actions() -> FakeActions:
    return FakeActions()


@pytest.fixture
def record(actions: FakeActions) -> Record:
    return Record(actions)


async def test_an_action_is_kept_before_it_is_done_and_its_outcome_after(record: Record, actions: FakeActions) -> None:
    """Whenever the gateway dies, what it may have done is on record."""
    async with record.of(Verb.CANCEL, SAM, job_id=JOB, reason="no need") as entry:
        before = actions.kept[1]

    assert before == Action(
        id=1,
        when=NOON,
        verb=Verb.CANCEL,
        user="sam",
        key_id="0a1b",
        router_user="member@globex",
        job_id=JOB,
        client_ref=entry.client_ref,
        reason="no need",
        outcome=None,
    )
    assert actions.kept[1].outcome == DONE


async def test_a_callers_own_token_is_not_kept(record: Record, actions: FakeActions) -> None:
    """Whose it is, is; the token opens the Router."""
    async with record.of(Verb.KILL, SAM, job_id=JOB):
        pass

    assert "s3cret" not in repr(actions.kept)


async def test_what_is_learnt_on_the_way_is_kept_with_the_outcome(record: Record, actions: FakeActions) -> None:
    """A create knows its job only afterwards; its reference it knows before."""
    job_id = uuid4()

    async with record.of(Verb.CREATE, LOCAL, client_ref="a reference") as entry:
        before = actions.kept[1]
        entry.job_id, entry.asset_id = job_id, ASSET

    assert (before.job_id, before.asset_id, before.client_ref) == (None, None, "a reference")
    assert (actions.kept[1].job_id, actions.kept[1].asset_id) == (job_id, ASSET)


async def test_the_outcome_of_a_refusal_is_its_code(record: Record, actions: FakeActions) -> None:
    """And the caller is told of it as before."""
    with pytest.raises(JobFinished):
        async with record.of(Verb.CANCEL, SAM, job_id=JOB):
            raise JobFinished("It is over.")

    assert actions.kept[1].outcome == "job-finished"


async def test_the_outcome_of_what_nobody_foresaw_is_internal(record: Record, actions: FakeActions) -> None:
    """The code that the caller is told."""
    with pytest.raises(RuntimeError):
        async with record.of(Verb.CANCEL, SAM, job_id=JOB):
            raise RuntimeError

    assert actions.kept[1].outcome == GatewayError.code == "internal"


async def test_what_was_learnt_before_a_refusal_is_kept(record: Record, actions: FakeActions) -> None:
    """An upload that broke off half-way left an asset at the Router."""

    async def upload() -> None:
        async with record.of(Verb.UPLOAD, SAM) as entry:
            entry.asset_id = ASSET
            raise Unanswered("Nobody knows.")

    with pytest.raises(Unanswered):
        await upload()

    assert actions.kept[1].asset_id == ASSET


async def test_an_outcome_that_nobody_waited_for_stays_unknown(record: Record, actions: FakeActions) -> None:
    """As if the gateway had died over it."""
    with pytest.raises(asyncio.CancelledError):
        async with record.of(Verb.SUBMIT, SAM, job_id=JOB):
            raise asyncio.CancelledError

    assert actions.kept[1].outcome is None


@pytest.mark.parametrize("verb", NOT_KILLED)
async def test_what_cannot_be_recorded_is_not_done(record: Record, actions: FakeActions, verb: Verb) -> None:
    """No deed without a name by it."""
    actions.away = True
    done = []

    with pytest.raises(StoreAway):
        async with record.of(verb, SAM, job_id=JOB):
            done.append(verb)

    assert done == []


async def test_a_kill_that_cannot_be_recorded_is_done_and_the_log_tells_whose_it_was(
    record: Record, actions: FakeActions, caplog: pytest.LogCaptureFixture
) -> None:
    """A computation that must stop does not wait for our disk."""
    actions.away = True
    done = []

    async with record.of(Verb.KILL, SAM, job_id=JOB):
        actions.away = False
        done.append("killed")

    assert done == ["killed"]
    assert actions.kept == {}
    (line,) = caplog.records
    assert (line.__dict__["user"], line.__dict__["job"]) == ("sam", str(JOB))


@pytest.mark.parametrize("verb", list(Verb))
async def test_a_success_is_a_success_when_its_outcome_cannot_be_written(
    record: Record, actions: FakeActions, caplog: pytest.LogCaptureFixture, verb: Verb
) -> None:
    """It is done; `try again` would do it twice."""
    async with record.of(verb, SAM, job_id=JOB):
        actions.away = True

    assert actions.kept[1].outcome is None
    assert [line.__dict__["outcome"] for line in caplog.records] == [DONE]


async def test_a_refusal_is_told_when_its_outcome_cannot_be_written(record: Record, actions: FakeActions) -> None:
    """Why the Router refused is what the caller asked."""

    async def cancel() -> None:
        async with record.of(Verb.CANCEL, SAM, job_id=JOB):
            actions.away = True
            raise JobFinished("It is over.")

    with pytest.raises(JobFinished):
        await cancel()
