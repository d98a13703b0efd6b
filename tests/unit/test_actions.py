"""Who did what, on disk."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from app.domain.actions import NewAction, Verb
from app.store.actions import SqlActions
from app.store.engine import open_engine
from tests.support.news import NOON


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
