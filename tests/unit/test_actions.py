"""Who did what, on disk."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.domain.actions import DONE, Action, NewAction, Verb, asked_by
from app.domain.errors import JobFinished, Unanswered, Unreachable
from app.domain.jobs import StopAnswer
from app.domain.reports import Me, User
from app.store.actions import SqlActions
from app.store.engine import open_engine
from tests.support.news import JOB, NOON, report


@pytest.fixture
async def actions(tmp_path: Path) -> AsyncIterator[SqlActions]:
    async with open_engine(f"sqlite+aiosqlite:///{tmp_path / 'gateway.db'}") as engine:
        yield SqlActions(engine, now=lambda: NOON)


def a_create(client_ref: str) -> NewAction:
    return NewAction(verb=Verb.CREATE, user="sam", key_id="k", router_user=None, client_ref=client_ref)


async def test_a_job_is_its_creators_by_the_reference_that_was_kept(actions: SqlActions) -> None:
    """Also when the answer to the create never came."""
    job_id = uuid4()
    await actions.begin(a_create("a reference"))

    await actions.made("a reference", job_id=job_id)

    assert await actions.creator(job_id) == "sam"
    assert [(one.verb, one.outcome) for one in await actions.of_job(job_id)] == [(Verb.CREATE, None)]


async def test_a_second_job_with_the_same_reference_is_nobodys_and_takes_nothing(actions: SqlActions) -> None:
    """References are seen by the whole team; whoever says one again at the Router must not pass for its author."""
    first, second = uuid4(), uuid4()
    await actions.begin(a_create("a reference"))
    await actions.made("a reference", job_id=first)

    await actions.made("a reference", job_id=second)

    assert (await actions.creator(first), await actions.creator(second)) == ("sam", None)
    assert await actions.of_job(second) == []


async def test_what_was_done_to_a_job_makes_nobody_its_creator(actions: SqlActions) -> None:
    """An admin kills other people's jobs."""
    job_id = uuid4()
    await actions.begin(NewAction(verb=Verb.KILL, user="root", key_id="k", router_user=None, job_id=job_id))

    assert await actions.creator(job_id) is None


async def test_what_the_access_points_answered_to_a_refused_cancel_is_kept(actions: SqlActions) -> None:
    """The Router tells it once, in the refusal."""
    answers = (StopAnswer(team="mercy", answer="refused", when=NOON),)
    cancel = NewAction(verb=Verb.CANCEL, user="sam", key_id="k", router_user=None, job_id=JOB)
    number = await actions.begin(cancel)

    await actions.end(number, outcome="job-not-pending", job_id=None, asset_id=None, answers=answers)

    assert [one.answers for one in await actions.of_job(JOB)] == [answers]


# Who brought a job where it is


ME = Me(user="ann", team="globex", role="owner", epoch="router")
ANN = User(user="ann", team="globex")


def action(verb: Verb, user: str = "sam", *, outcome: str | None = DONE, router_user: str | None = None) -> Action:
    return Action(id=1, when=NOON, outcome=outcome, verb=verb, user=user, key_id=None, router_user=router_user)


@pytest.mark.parametrize(
    ("market_status", "verb"),
    [
        ("created", Verb.CREATE),
        ("perm", Verb.SUBMIT),
        ("queue", Verb.SUBMIT),
        ("queue", Verb.ACCEPT),
        ("stopping", Verb.KILL),
        ("killed", Verb.KILL),
        ("cancelled", Verb.CANCEL),
        ("denied", Verb.DENY),
    ],
)
def test_who_asked_for_it_here_is_found_by_what_leads_there(market_status: str, verb: Verb) -> None:
    """The Router knows the gateway's own user alone."""
    leads_there = {Verb.SUBMIT, Verb.ACCEPT} if market_status == "queue" else {verb}
    others = [action(other, "tom") for other in Verb if other not in leads_there]

    assert asked_by([*others, action(verb)], report(2, market_status, actor=ANN), ME) == "sam"
    assert asked_by(others, report(2, market_status, actor=ANN), ME) is None


@pytest.mark.parametrize("outcome", [None, DONE, Unanswered.code])
def test_what_may_have_been_done_counts(outcome: str | None) -> None:
    """The answer was lost, and the news says that it was done."""
    assert asked_by([action(Verb.KILL, outcome=outcome)], report(2, "killed", actor=ANN), ME) == "sam"


@pytest.mark.parametrize("outcome", [Unreachable.code, JobFinished.code])
def test_what_was_surely_not_done_does_not_count(outcome: str) -> None:
    """Somebody tried and somebody else did it."""
    assert asked_by([action(Verb.KILL, outcome=outcome)], report(2, "killed", actor=ANN), ME) is None


@pytest.mark.parametrize("actor", [User(user="bob", team="globex"), User(user="ann", team="mercy")])
def test_what_another_user_did_at_the_router_is_nobodys_here(actor: User) -> None:
    """Though somebody here tried the same."""
    assert asked_by([action(Verb.KILL)], report(2, "killed", actor=actor), ME) is None


def test_a_caller_with_a_token_of_their_own_is_known_by_it() -> None:
    """The Router names them, and so do we."""
    kills = [action(Verb.KILL, "tom"), action(Verb.KILL, "sam", router_user="bob")]

    assert asked_by(kills, report(2, "killed", actor=User(user="bob", team="globex")), ME) == "sam"


def test_of_two_who_killed_it_is_the_first_and_of_permissions_the_last() -> None:
    """A second kill has no effect; a job waits for all of its permissions."""
    kills = [action(Verb.KILL, "sam"), action(Verb.KILL, "tom")]
    accepts = [action(Verb.ACCEPT, "sam"), action(Verb.ACCEPT, "tom")]

    assert asked_by(kills, report(2, "killed", actor=ANN), ME) == "sam"
    assert asked_by(accepts, report(2, "queue", actor=ANN), ME) == "tom"
