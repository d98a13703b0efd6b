"""Who may do what: the table is whole, and so is the list of what it is asked for."""

from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from msgspec.structs import replace

from app.api.access import OPEN, RIGHTS, admitted, bearer
from app.domain.access import LOCAL, MAY, Caller, Reach, Right, Role
from app.domain.jobs import Job, Owner
from app.domain.phases import Phase
from app.main import create_app
from app.settings import Settings
from tests.support.news import job_in

JOB = replace(job_in(Phase.CREATED), owner=Owner(user="owner@globex", team="globex"), created_by="sam")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    data_dir = tmp_path_factory.mktemp("data")
    return create_app(
        Settings(auth="key", router="http", router_url="http://127.0.0.1:1", router_token="t", data_dir=data_dir)  # noqa: S106
    )


def routes_of(application: FastAPI) -> Sequence[Any]:
    """All of them, also those that no document shows."""
    return application.routes


# The table


def test_every_right_says_who_has_it() -> None:
    """One without a row would fail at the door, as an error of ours."""
    assert set(MAY) == set(Right)
    assert all(MAY[right] for right in Right)


def test_every_role_may_read_everything() -> None:
    """One organisation, one history."""
    assert MAY[Right.READ] == dict.fromkeys(Role, Reach.ANY)


def test_an_admin_may_everything_to_anybodys() -> None:
    """Somebody must be able to stop a job whose creator is away."""
    assert {MAY[right].get(Role.ADMIN) for right in Right} == {Reach.ANY}


def test_a_viewer_may_nothing_but_read() -> None:
    """A screen on the wall holds such a key."""
    assert [right for right in Right if Role.VIEWER in MAY[right]] == [Right.READ]


def test_who_starts_jobs_does_not_decide_about_data() -> None:
    """And the other way about: four eyes, unless one is an admin."""
    assert Role.SUBMITTER not in MAY[Right.DECIDE]
    assert {Role.APPROVER} & (MAY[Right.CREATE].keys() | MAY[Right.STEER].keys()) == set()


# Every route asks it


def test_every_route_is_open_or_has_a_right(application: FastAPI) -> None:
    """A new route, in the document or not, is let in by nobody until somebody has said whose it is."""
    unspoken = [
        route.path
        for route in routes_of(application)
        if route.path not in OPEN and getattr(route, "operation_id", None) not in RIGHTS
    ]

    assert unspoken == []


def test_every_route_asks_first_whether_its_caller_may(application: FastAPI) -> None:
    """One whose router was made without the dependency would let everybody in, whatever the table says."""
    asking = [route for route in routes_of(application) if isinstance(route, APIRoute)]
    others = {route.path for route in routes_of(application) if not isinstance(route, APIRoute)}

    assert [route.path for route in asking if route.dependant.dependencies[0].call is not admitted] == []
    assert others <= OPEN


def test_every_row_is_a_route(application: FastAPI) -> None:
    """A row that is left over would be inherited by whoever takes up the name."""
    names = {getattr(route, "operation_id", None) for route in routes_of(application)}
    paths = {route.path for route in routes_of(application)}

    assert RIGHTS.keys() <= names
    assert paths >= OPEN


def test_an_open_path_has_no_parameters() -> None:
    """It is compared as text."""
    assert [path for path in OPEN if "{" in path] == []


# Whose job it is


@pytest.mark.parametrize(
    ("caller", "job", "own"),
    [
        (Caller(user="sam", role=Role.SUBMITTER, key_id="a"), JOB, True),
        (Caller(user="sam", role=Role.SUBMITTER, key_id="another key of sam's"), JOB, True),
        (Caller(user="tom", role=Role.SUBMITTER, key_id="a"), JOB, False),
        (Caller(user="Sam", role=Role.SUBMITTER, key_id="a"), JOB, False),
        (Caller(user="owner@globex", role=Role.SUBMITTER, key_id="a"), JOB, False),
        (Caller(user="tom", role=Role.SUBMITTER, key_id="a", router_user="owner@globex"), JOB, True),
        (Caller(user="tom", role=Role.SUBMITTER, key_id="a", router_user="member@globex"), JOB, False),
        (Caller(user="sam", role=Role.SUBMITTER, key_id="a"), replace(JOB, created_by=None), False),
    ],
)
def test_a_job_is_its_creators_by_name_here_or_at_the_router(caller: Caller, job: Job, own: bool) -> None:
    """A key's user who is called like a user of the Router is not that user; what was created past us is nobody's here."""
    assert caller.created(job) is own


def test_a_callers_own_token_is_in_no_text() -> None:
    """Callers are in tracebacks."""
    caller = Caller(user="sam", role=Role.ADMIN, key_id="a", router_user="owner@globex", router_token="s3cret")  # noqa: S106

    assert "s3cret" not in f"{caller!r} {caller}"


def test_without_keys_the_caller_is_local_and_may_everything() -> None:
    """There is nobody else on this machine."""
    assert (LOCAL.user, LOCAL.role, LOCAL.key_id) == ("local", Role.ADMIN, None)


# What stands in the header


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer tbg_1_2", "tbg_1_2"),
        ("bearer tbg_1_2", "tbg_1_2"),
        ("BEARER tbg_1_2", "tbg_1_2"),
        ("Bearer   tbg_1_2  ", "tbg_1_2"),
        ("Basic tbg_1_2", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("", None),
        ("tbg_1_2", None),
        ("Bearer tbg_1_2 tbg_1_2", None),
        ("Bearer tbg_1_2, Bearer tbg_1_2", None),
        ("Bearer tbg_1_2\x00", None),
        ("Bearer tbg_1_2\r\nX: y", None),
        ("Bearer\ttbg_1_2", None),
        ("Bearer tbg_1_ä", None),
    ],
)
def test_a_bearer_token_is_one_word_of_ascii(header: str, token: str | None) -> None:
    """What else stands there is no token, and must not reach the Router in a header of ours."""
    assert bearer(header) == token
