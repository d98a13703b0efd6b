"""What a team grants once and for all: made, listed and ended through its gateway, and held to its terms."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.support.gateway import Caller, Json
from tests.support.network import INTERSECTION, RunningNetwork

THEIRS = {**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}
TERMS = {"to_team": "mercy", "asset_id": "globex/patients", "protocol": "PRIVATE_SET_INTERSECTION"}
# Nothing that other tests start is granted by it.
IDLE = {"to_team": "lakeside", "asset_id": "globex/holdout", "protocol": "PRIVATE_SET_INTERSECTION"}

Agree = Callable[..., Awaitable[Json]]


@pytest.fixture
async def agree(caller: Caller) -> AsyncIterator[Agree]:
    """Agreements of globex's for one test: other tests are to be asked."""
    made: list[str] = []

    async def make(**terms: Any) -> Json:
        answer = await caller.client.post("/v1/agreements", json=terms)
        assert answer.status_code == 201, answer.text
        agreement: Json = answer.json()
        made.append(agreement["id"])
        return agreement

    yield make
    for agreement_id in made:
        assert (await caller.client.delete(f"/v1/agreements/{agreement_id}")).status_code == 200


async def listed(caller: Caller, agreement: Json, **query: str) -> Json | None:
    """The agreement as the list has it. None: it does not."""
    items = (await caller.get("/v1/agreements", **query))["items"]
    return next((item for item in items if item["id"] == agreement["id"]), None)


async def test_what_was_agreed_is_not_asked_until_it_is_ended(caller: Caller, agree: Agree) -> None:
    """An owner grants a series of jobs at once, and takes it back when it is enough."""
    agreement = await agree(**TERMS, run_limit=5)
    granted = caller.network.submit(THEIRS, team="mercy")
    (request,) = (await caller.get("/v1/access-requests", job_id=granted["id"], state="accepted"))["items"]

    ended = await caller.client.delete(f"/v1/agreements/{agreement['id']}")
    again = await caller.client.delete(f"/v1/agreements/{agreement['id']}")
    later = caller.network.submit(THEIRS, team="mercy")

    assert (agreement["state"], agreement["runs"], agreement["created_by"]) == ("active", 0, "owner@globex")
    assert (request["decided_by"], request["reason"]) == (f"agreement {agreement['id']}", None)
    assert (ended.status_code, again.status_code) == (200, 200)
    assert (ended.json()["state"], ended.json()["runs"], ended.json()["ended_by"]) == ("ended", 1, "owner@globex")
    assert again.json() == ended.json() == await listed(caller, agreement)
    assert [missing["asset"] for missing in later["waiting_on"]] == ["globex/patients"]
    assert caller.network.reached(granted["id"], {"complete", "error"}, team="mercy")["error"] == ""
    caller.network.act(later["id"], "cancel", team="mercy")


async def test_an_agreement_says_all_its_terms(caller: Caller, agree: Agree) -> None:
    """Times come back in UTC, assets by their id and by their alias."""
    expiration = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    local = expiration.astimezone().isoformat()

    agreement = await agree(**IDLE, expiration=local, run_limit=2)

    (asset,) = (await caller.get("/v1/assets", name="globex/holdout"))["items"]
    assert (agreement["team"], agreement["to_team"]) == ("globex", "lakeside")
    assert (agreement["asset_id"], agreement["asset"], agreement["asset_restricted"]) == (
        asset["id"],
        asset["name"],
        True,
    )
    assert datetime.fromisoformat(agreement["expiration"]) == expiration
    assert (agreement["run_limit"], agreement["protocol"]) == (2, "PRIVATE_SET_INTERSECTION")
    assert (agreement["algorithm"], agreement["ended"], agreement["ended_by"]) == (None, None, None)


async def test_agreements_are_narrowed(caller: Caller, agree: Agree) -> None:
    """By state, by asset and by who was let in."""
    agreement = await agree(**IDLE)
    about_all = await agree(**{**IDLE, "asset_id": None}, asset_restricted=False)

    assert await listed(caller, agreement, state="active", to_team="lakeside", asset_id=agreement["asset_id"])
    for other in ({"state": "used_up"}, {"to_team": "mercy"}, {"asset_id": str(uuid4())}):
        assert await listed(caller, agreement, **other) is None
    assert (await listed(caller, about_all, state="active") or {})["asset_restricted"] is False


async def test_another_teams_agreement_is_seen_by_who_was_let_in_and_not_theirs_to_end(caller: Caller) -> None:
    """The refusal names whose it is."""
    theirs = _agreed_by(caller.network, "mercy", to_team="globex")
    hidden = _agreed_by(caller.network, "mercy", to_team="lakeside")
    try:
        answers = [await caller.client.delete(f"/v1/agreements/{one['id']}") for one in (theirs, hidden)]

        assert (await listed(caller, theirs) or {})["state"] == "active"
        assert await listed(caller, hidden) is None
        assert (answers[0].status_code, answers[0].json()["code"], answers[0].json()["team"]) == (
            403,
            "forbidden",
            "mercy",
        )
        assert (answers[1].status_code, answers[1].json()["code"]) == (404, "agreement-not-found")
    finally:
        for one in (theirs, hidden):
            caller.network.client("mercy").delete(f"/v1/agreements/{one['id']}")


async def test_an_agreement_that_does_not_exist_is_not_found(caller: Caller) -> None:
    """Nor is what is no id."""
    unknown = await caller.client.delete(f"/v1/agreements/{uuid4()}")
    no_id = await caller.client.delete("/v1/agreements/mine")

    assert (unknown.status_code, unknown.json()["code"]) == (404, "agreement-not-found")
    assert (no_id.status_code, no_id.json()["field"]) == (422, "agreement_id")


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"to_team": "nobody"}, "to_team"),
        ({"to_team": "globex"}, "to_team"),
        ({"to_team": ""}, "to_team"),
        ({"asset_id": "mercy/patients"}, "asset_id"),
        ({"asset_id": None}, "asset_id"),
        ({"asset_restricted": False}, "asset_id"),
        ({"protocol": None}, "protocol"),
        ({"protocol": "NO_SUCH"}, "protocol"),
        ({"algorithm": "globex/holdout"}, "protocol"),
        ({"protocol": None, "algorithm": "globex/holdout"}, "algorithm"),
        ({"algorithm_security": "fed"}, "algorithm_security"),
        ({"algorithm_security": "open"}, "algorithm_security"),
        ({"run_limit": 0}, "run_limit"),
        ({"run_limit": 10**30}, "run_limit"),
        ({"expiration": "2020-01-01T00:00:00Z"}, "expiration"),
        ({"expiration": "2999-01-01T00:00:00"}, "expiration"),
        ({"expiration": "9999-12-31T23:59:59-12:00"}, "expiration"),
        ({"expires": None}, "expires"),
    ],
)
async def test_terms_that_cannot_hold_are_refused(caller: Caller, changed: Json, field: str) -> None:
    """Whoever misspells a limit must not grant without one."""
    answer = await caller.client.post("/v1/agreements", json={**IDLE, **changed})

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field), answer.text


async def test_only_an_owner_agrees_and_it_is_in_their_name(caller: Caller) -> None:
    """A member's own token does not become the gateway's."""
    member, owner = (
        {"Router-Authorization": f"Bearer {caller.network.user_token(user)}"}
        for user in ("member@globex", "owner@globex")
    )

    refused = await caller.client.post("/v1/agreements", json=IDLE, headers=member)
    agreement = await caller.client.post("/v1/agreements", json=IDLE, headers=owner)
    not_ended = await caller.client.delete(f"/v1/agreements/{agreement.json()['id']}", headers=member)
    ended = await caller.client.delete(f"/v1/agreements/{agreement.json()['id']}", headers=owner)

    assert [(one.status_code, one.json()["code"]) for one in (refused, not_ended)] == [(403, "forbidden")] * 2
    assert (ended.status_code, ended.json()["ended_by"]) == (200, "owner@globex")


@pytest.mark.parametrize("narrowed", ["asset_id", "team"])
async def test_access_requests_are_narrowed_by_asset_and_by_who_asks(caller: Caller, narrowed: str) -> None:
    """Who looks after one table, or after one partner, sees what is asked of it."""
    asked = caller.network.submit(THEIRS, team="mercy")
    (missing,) = asked["waiting_on"]
    query = {"asset_id": missing["asset_id"], "team": "mercy"}
    other = {"asset_id": str(uuid4()), "team": "lakeside"}

    found = (await caller.get("/v1/access-requests", state="pending", **query))["items"]
    none = (await caller.get("/v1/access-requests", state="pending", **{**query, narrowed: other[narrowed]}))["items"]

    assert asked["id"] in {item["job_id"] for item in found}
    assert {(item["asset_id"], item["team"]) for item in found} == {(missing["asset_id"], "mercy")}
    assert none == []
    caller.network.act(asked["id"], "cancel", team="mercy")


def _agreed_by(network: RunningNetwork, team: str, *, to_team: str) -> Json:
    """About a table that nothing else in this module uses."""
    terms = {"to_team": to_team, "asset_id": f"{team}/breast-cancer", "protocol": "PRIVATE_SET_INTERSECTION"}
    answer = network.client(team).post("/v1/agreements", json=terms)
    assert answer.status_code == 201, answer.text
    agreement: Json = answer.json()
    return agreement
