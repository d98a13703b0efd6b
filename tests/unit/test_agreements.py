"""Standing grants: what the Router is told, and what is kept of who made and ended them."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from app.api.schemas.permissions import AgreementToMake
from app.domain.access import Caller, Role
from app.domain.actions import DONE, Verb
from app.domain.errors import AgreementNotKnown, StoreAway, Unreachable
from app.domain.network import NewAgreement
from app.domain.reports import Me
from app.services.agreements import Agreements
from app.services.record import Record
from app.upstream.wire import agreement_body
from tests.support.fakes import FakeActions, FakeRouter
from tests.support.news import ASSET, NOON

ADA = Caller(user="ada", role=Role.APPROVER, key_id="0a1b", router_user="member@globex", router_token="hers")  # noqa: S106
NEW = NewAgreement(
    to_team="mercy",
    asset_id="globex/patients",
    asset_restricted=True,
    expiration=None,
    run_limit=3,
    algorithm=None,
    algorithm_security=None,
    protocol="REGRESSION",
)


@pytest.fixture
def router() -> FakeRouter:
    router = FakeRouter()
    router.users["hers"] = Me(user="member@globex", team="globex", role="owner", epoch="router")
    return router


@pytest.fixture
def actions() -> FakeActions:
    return FakeActions()


@pytest.fixture
def agreements(router: FakeRouter, actions: FakeActions) -> Agreements:
    return Agreements(router, record=Record(actions))


async def test_who_agrees_and_who_ends_it_is_kept_with_the_asset(agreements: Agreements, actions: FakeActions) -> None:
    """It grants what nobody is asked about any more."""
    made = await agreements.agree(NEW, by=ADA)
    ended = await agreements.end_agreement(made.id, by=ADA)

    assert (made.created_by, ended.ended_by) == ("member@globex", "member@globex")
    kept = [(one.verb, one.user, one.asset_id, one.outcome) for one in actions.kept.values()]
    assert kept == [(Verb.AGREE, "ada", ASSET, DONE), (Verb.END_AGREEMENT, "ada", ASSET, DONE)]


async def test_one_about_all_assets_names_none(agreements: Agreements, actions: FakeActions) -> None:
    """There is no single one to name."""
    await agreements.agree(replace(NEW, asset_id=None, asset_restricted=False), by=ADA)

    assert actions.kept[1].asset_id is None


async def test_a_refusal_is_kept_as_the_outcome(
    agreements: Agreements, router: FakeRouter, actions: FakeActions
) -> None:
    """Somebody tried."""
    with pytest.raises(AgreementNotKnown):
        await agreements.end_agreement(uuid4(), by=ADA)
    router.away = True
    with pytest.raises(Unreachable):
        await agreements.agree(NEW, by=ADA)

    assert [one.outcome for one in actions.kept.values()] == ["agreement-not-found", "router-unreachable"]


async def test_nothing_is_granted_that_cannot_be_recorded(
    agreements: Agreements, router: FakeRouter, actions: FakeActions
) -> None:
    """No deed without a name by it."""
    actions.away = True

    with pytest.raises(StoreAway):
        await agreements.agree(NEW, by=ADA)

    assert router.agreed == {}


def test_the_router_is_told_only_what_was_said() -> None:
    """What is left out has the Router's own default."""
    assert agreement_body(NEW) == {
        "to_team": "mercy",
        "asset_id": "globex/patients",
        "asset_restricted": True,
        "run_limit": 3,
        "protocol": "REGRESSION",
    }


@pytest.mark.parametrize(
    "said",
    [NOON, NOON.astimezone(timezone(timedelta(hours=-11))), NOON.astimezone(timezone(timedelta(hours=5, minutes=30)))],
)
def test_a_time_is_told_in_utc_wherever_it_was_said(said: datetime) -> None:
    """The same moment."""
    assert agreement_body(replace(NEW, expiration=said))["expiration"] == "2026-03-01T12:00:00.123456Z"


def test_a_whole_second_has_microseconds_too() -> None:
    """Times are spelled in one way."""
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    assert agreement_body(replace(NEW, expiration=noon))["expiration"] == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    "expiration", ["2026-03-01T12:00:00", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+12:00", "soon"]
)
def test_a_time_that_is_none_is_refused(expiration: str) -> None:
    """Without its zone, outside of the calendar, or no time at all."""
    with pytest.raises(ValidationError, match="expiration"):
        AgreementToMake.model_validate({"to_team": "mercy", "protocol": "REGRESSION", "expiration": expiration})
