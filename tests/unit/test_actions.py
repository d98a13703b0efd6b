"""Who did what, on disk."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.domain.actions import DONE, Action, NewAction, Verb, asked_by, has_stopped
from app.domain.errors import Unanswered
from app.domain.jobs import Stop, StopAnswer
from app.domain.reports import Act
from app.store.actions import SqlActions
from app.store.database import open_database
from tests.support.news import JOB, NOON


@pytest.fixture
async def actions(tmp_path: Path) -> AsyncIterator[SqlActions]:
    async with open_database(f"sqlite:///{tmp_path / 'gateway.db'}") as database:
        yield SqlActions(database, now=lambda: NOON)


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


def action(user: str, client_ref: str, *, outcome: str | None = DONE) -> Action:
    return Action(
        id=1,
        when=NOON,
        outcome=outcome,
        verb=Verb.KILL,
        user=user,
        key_id=None,
        router_user=None,
        client_ref=client_ref,
    )


def act(client_ref: str | None) -> Act:
    return Act(user="ann", team="globex", client_ref=client_ref)


@pytest.mark.parametrize("outcome", [None, DONE, Unanswered.code])
def test_who_did_it_is_known_by_the_name_that_the_router_was_given(outcome: str | None) -> None:
    """Whatever became of the answer."""
    assert asked_by([action("sam", "1"), action("tom", "2", outcome=outcome)], act("2")) == "tom"


def test_who_tried_in_vain_is_not_taken_for_who_did_it() -> None:
    """Sam's kill was lost on its way and Tom's was done; both asked as the same user of the Router."""
    kills = [action("sam", "1", outcome=Unanswered.code), action("tom", "2")]

    assert asked_by(kills, act("2")) == "tom"


@pytest.mark.parametrize("done", [None, act(None), act("3")], ids=["by itself", "unnamed", "another's"])
def test_what_was_not_done_from_here_is_nobodys(done: Act | None) -> None:
    """Though somebody here asked for the same."""
    assert asked_by([action("sam", "1"), action("tom", "2", outcome=None)], done) is None


def test_answers_to_a_kill_are_not_shown_with_one_of_which_nothing_is_known() -> None:
    """They may be answers to somebody else's."""
    stop = Stop(wanted="kill", since=NOON, answers=())

    shown = [has_stopped(action("sam", "1", outcome=outcome), stop) for outcome in (DONE, None, Unanswered.code)]

    assert shown == [True, True, False]
