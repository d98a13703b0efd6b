"""A standing agreement answers before anybody has to; the owner's Access Point holds it to its terms."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from network.access_point import agreements as recorded
from network.access_point.tables import TABLES
from network.ledger import Ledger
from tests.support.agreements import Agree, agreement_now, ledger_of, requests_of
from tests.support.network import INTERSECTION, RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}
PROTOCOL = "PRIVATE_SET_INTERSECTION"
THIS_ONE = {"asset_id": "mercy/patients", "protocol": PROTOCOL}
LONG_AGO, FAR_OFF = "2020-01-01T00:00:00.000000Z", "2999-12-31T23:59:59.000000Z"


def test_an_agreement_lets_jobs_through_unasked_up_to_its_limit(running_network: RunningNetwork, agree: Agree) -> None:
    """Also when more come at the same moment than it has runs left."""
    agreement = agree("mercy", **THIS_ONE, run_limit=1)
    jobs = [running_network.create(INTERSECTION) for _ in range(3)]

    with ThreadPoolExecutor(len(jobs)) as at_once:
        submitted = list(at_once.map(lambda job_id: running_network.act(job_id, "submit"), jobs))

    waiting = [job for job in submitted if job["market_status"] == "perm"]
    through = next(job for job in submitted if job["market_status"] != "perm")
    assert (len(waiting), through["waiting_on"]) == (2, [])
    assert running_network.reached(through["id"], FINAL)["market_status"] == "complete"
    assert [b"waiting on permission" in line for line in running_network.stream(through["id"])[:1]] == [False]
    request = requests_of(running_network, through["id"])[0]
    told = {name: request[name] for name in ("asset", "state", "decided_by", "reason")}
    assert told == {
        "asset": "mercy/patients",
        "state": "accepted",
        "decided_by": f"agreement {agreement['id']}",
        "reason": None,
    }
    after = agreement_now(running_network, agreement)
    assert (agreement["state"], after["state"], after["runs"]) == ("active", "used_up", 1)
    for job in waiting:
        running_network.act(job["id"], "cancel")


def test_what_an_agreement_has_allowed_stays_allowed(running_network: RunningNetwork, agree: Agree) -> None:
    """Though it is ended before the Access Point has heard of either."""
    agreement = agree("lakeside", asset_restricted=False, protocol=PROTOCOL)
    body = INTERSECTION | {"dataset": ["globex/patients", "lakeside/breast-cancer"]}
    running_network.stop_access_point("lakeside")
    try:
        job = running_network.submit(body)
        lakeside = running_network.client("lakeside")
        ended = [lakeside.delete(f"/v1/agreements/{agreement['id']}").json() for _ in range(2)]
        later = running_network.submit(body)
    finally:
        running_network.start_access_point("lakeside")

    assert ended[0] == ended[1]
    assert (ended[0]["state"], ended[0]["ended_by"]) == ("ended", "owner@lakeside")
    assert (job["market_status"], later["market_status"]) == ("queue", "perm")
    assert running_network.reached(job["id"], FINAL)["market_status"] == "complete"
    running_network.act(later["id"], "cancel")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("DELETE FROM agreements WHERE id = :id", "is not on its record"),
        ("UPDATE agreements SET expiration = '2020-01-01' WHERE id = :id", "expired on 2020-01-01"),
        ("INSERT INTO agreement_runs VALUES (:id, 'another job')", "has no run left of 1"),
    ],
)
def test_an_access_point_goes_by_its_own_record(
    running_network: RunningNetwork, agree: Agree, change: str, reason: str
) -> None:
    """Whatever the Router says of the agreement."""
    agreement = agree("mercy", **THIS_ONE, run_limit=1)
    _told_everything(running_network, "mercy")
    with ledger_of(running_network, "mercy") as db:
        db.execute(change, {"id": agreement["id"]})

    after = running_network.reached(running_network.submit(INTERSECTION)["id"], FINAL)

    assert (after["market_status"], after["error_code"]) == ("error", 1002)
    assert after["error"].endswith(f"and exactly this job: agreement {agreement['id']} {reason}")
    assert after["error"].startswith("the Access Point of mercy has no acceptance on record for asset ")


def test_the_router_counts_neither_expired_nor_ended_ones(running_network: RunningNetwork, agree: Agree) -> None:
    expired, ended = (agree("mercy", **THIS_ONE, expiration=FAR_OFF) for _ in range(2))
    with ledger_of(running_network, "router") as db:
        db.execute("UPDATE agreements SET expiration = ? WHERE id = ?", (LONG_AGO, expired["id"]))
    running_network.client("mercy").delete(f"/v1/agreements/{ended['id']}")

    job = running_network.submit(INTERSECTION)

    assert job["market_status"] == "perm"
    assert [agreement_now(running_network, agreement)["state"] for agreement in (expired, ended)] == [
        "expired",
        "ended",
    ]
    running_network.act(job["id"], "cancel")


def test_an_agreement_is_told_to_its_two_teams_and_ended_by_its_owner_alone(
    running_network: RunningNetwork, agree: Agree
) -> None:
    agreement = agree("mercy", **THIS_ONE)
    path = f"/v1/agreements/{agreement['id']}"

    users = ("owner@globex", "member@mercy", "owner@lakeside")
    answers = {user: running_network.user_client(user).delete(path) for user in users}

    assert {user: answer.status_code for user, answer in answers.items()} == dict(
        zip(users, (403, 403, 404), strict=True)
    )
    assert {answers[user].json()["error"]["team"] for user in users[:2]} == {"mercy"}
    assert running_network.client("mercy").delete(f"/v1/agreements/{uuid4()}").status_code == 404
    seen = {user: [item["id"] for item in _listed(running_network, user)] for user in users}
    assert [agreement["id"] in ids for ids in seen.values()] == [True, True, False]
    assert agreement_now(running_network, agreement) == agreement


def test_a_member_makes_no_agreement(running_network: RunningNetwork) -> None:
    """What happens with a team's data is its owner's to say."""
    before = _listed(running_network, "owner@mercy")

    refused = running_network.user_client("member@mercy").post("/v1/agreements", json={"to_team": "globex", **THIS_ONE})

    assert (refused.status_code, refused.json()["error"]["team"]) == (403, "mercy")
    assert _listed(running_network, "owner@mercy") == before


def test_agreements_are_found_by_state_asset_and_receiver_newest_first(
    running_network: RunningNetwork, agree: Agree
) -> None:
    one = agree("mercy", **THIS_ONE)
    other = agree("mercy", **THIS_ONE | {"to_team": "lakeside", "asset_id": "mercy/breast-cancer"})

    def found(**asked: str) -> list[str]:
        listed = _listed(running_network, "owner@mercy", **asked)
        return [item["id"] for item in listed if item["id"] in {one["id"], other["id"]}]

    assert found() == [other["id"], one["id"]]
    assert found(state="active", asset_id="mercy/patients") == found(asset_id=one["asset_id"]) == [one["id"]]
    assert found(to_team="lakeside") == [other["id"]]
    assert found(state="ended") == found(asset_id="mercy/nothing") == []
    refused = running_network.client("mercy").get("/v1/agreements", params={"state": "maybe"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "state")


def test_an_agreement_says_what_was_agreed(running_network: RunningNetwork, agree: Agree) -> None:
    told = agree("mercy", **THIS_ONE, expiration="2998-12-31T23:59:59+01:00", run_limit=3)

    patients = running_network.client("mercy").get("/v1/assets", params={"name": "mercy/patients"}).json()["items"][0]
    assert UUID(told["id"])
    assert {name: told[name] for name in told if name not in {"id", "created"}} == {
        "team": "mercy",
        "to_team": "globex",
        "asset_id": patients["id"],
        "asset": "mercy/patients",
        "asset_restricted": True,
        "expiration": "2998-12-31T22:59:59.000000Z",
        "run_limit": 3,
        "runs": 0,
        "algorithm": None,
        "algorithm_security": None,
        "protocol": PROTOCOL,
        "created_by": "owner@mercy",
        "ended": None,
        "ended_by": None,
        "state": "active",
    }
    every = agree("mercy", asset_restricted=False, protocol="EXECUTE")
    assert (every["asset_id"], every["asset"], every["asset_restricted"]) == (None, None, False)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to_team": "mercy"}, "to_team"),
        ({"to_team": "nobody"}, "to_team"),
        ({"asset_id": None}, "asset_id"),
        ({"asset_id": "globex/patients"}, "asset_id"),
        ({"asset_id": "mercy/nothing"}, "asset_id"),
        ({"asset_restricted": False}, "asset_id"),
        ({"protocol": None}, "protocol"),
        ({"protocol": "NOTHING"}, "protocol"),
        ({"algorithm": "mercy/patients"}, "protocol"),
        ({"algorithm": "mercy/patients", "protocol": None}, "algorithm"),
        ({"algorithm_security": "fed"}, "algorithm_security"),
        ({"expiration": LONG_AGO}, "expiration"),
        ({"expiration": "2998-12-31T23:59:59"}, "expiration"),
        ({"expiration": "9999-12-31T23:59:59-23:00"}, "expiration"),
        ({"run_limit": 0}, "run_limit"),
        ({"run_limit": 10**30}, "run_limit"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_an_agreement_that_could_not_hold_is_refused(
    running_network: RunningNetwork, change: dict[str, Any], field: str
) -> None:
    before = _listed(running_network, "owner@mercy")

    refused = running_network.client("mercy").post("/v1/agreements", json={"to_team": "globex", **THIS_ONE, **change})

    assert (refused.status_code, refused.json()["error"]["field"]) == (422, field), refused.text
    assert _listed(running_network, "owner@mercy") == before


TERMS: dict[str, Any] = {
    "preprocessor": None,
    "job_id": "job",
    "team": "globex",
    "program": "EXECUTE",
    "model": "model",
    "dataset": ["table"],
    "params": {"security": "fed"},
}
RECORD: dict[str, Any] = {
    "id": "agreed",
    "to_team": "globex",
    "asset_id": "table",
    "protocol": "EXECUTE",
    "algorithm": None,
    "algorithm_security": None,
    "expiration": FAR_OFF,
    "run_limit": 1,
}
BY_MODEL = {"protocol": None, "algorithm": "model", "algorithm_security": "fed"}
ELSE = "agreement agreed is about something else"


@pytest.mark.parametrize(
    ("change", "asset_id", "objection"),
    [
        ({}, "table", None),
        ({"expiration": None, "run_limit": None}, "table", None),
        ({"asset_id": None}, "another", None),
        (BY_MODEL, "table", None),
        ({}, "another", ELSE),
        ({"to_team": "lakeside"}, "table", ELSE),
        ({"protocol": PROTOCOL}, "table", ELSE),
        (BY_MODEL | {"algorithm": "other"}, "table", ELSE),
        (BY_MODEL | {"algorithm_security": "smpc"}, "table", ELSE),
        (BY_MODEL | {"asset_id": None}, "model", ELSE),
        ({"expiration": LONG_AGO}, "table", f"agreement agreed expired on {LONG_AGO}"),
    ],
)
def test_the_access_point_compares_the_job_with_the_terms_it_has(
    own_record: Ledger, change: dict[str, Any], asset_id: str, objection: str | None
) -> None:
    """An algorithm is let in to data; its own owner is asked for the algorithm."""
    with own_record.change() as db:
        recorded.record(db, RECORD | change)

    assert recorded.objection(own_record.db, "agreed", asset_id=asset_id, terms=TERMS) == objection


CHOICE = {"type": "tabular", "all_columns": True, "add_column": [{"name": "target", "target": True}]}
MORE: tuple[dict[str, object], ...] = (
    {"sql_transform": "SELECT * FROM data"},
    {"dtype": "float32"},
    {"replace": []},
    {"handle_nulls": []},
)


@pytest.mark.parametrize(
    ("preprocessor", "is_covered"),
    [
        (None, True),
        ([CHOICE], True),
        ([CHOICE | {"sql_transform": None}], True),
        *(([CHOICE | more], False) for more in MORE),
        ([CHOICE, CHOICE | MORE[0]], False),
    ],
)
def test_no_agreement_covers_what_makes_another_table_of_it(
    own_record: Ledger, preprocessor: list[dict[str, Any]] | None, is_covered: bool
) -> None:
    """SQL can make a probe of single rows out of what was agreed to; the Router and the Access Point both say no."""
    with own_record.change() as db:
        recorded.record(db, RECORD)

    why = recorded.objection(own_record.db, "agreed", asset_id="table", terms=TERMS | {"preprocessor": preprocessor})

    assert (why is None) == is_covered
    assert why is None or "covers no preprocessor" in why


def test_one_job_is_one_run_however_many_assets_it_uses(own_record: Ledger) -> None:
    with own_record.change() as db:
        recorded.record(db, RECORD | {"asset_id": None})
        for _ in range(2):
            recorded.count_run(db, "agreed", job_id="job")

    def objection(job_id: str) -> str | None:
        return recorded.objection(own_record.db, "agreed", asset_id="table", terms=TERMS | {"job_id": job_id})

    assert (objection("job"), objection("next")) == (None, "agreement agreed has no run left of 1")


def test_what_was_ended_stays_ended_at_the_access_point(own_record: Ledger) -> None:
    """Also when the same agreement is told again."""
    with own_record.change() as db:
        recorded.record(db, RECORD)
        recorded.end(db, "agreed")
        recorded.record(db, RECORD)

    objection = recorded.objection(own_record.db, "agreed", asset_id="table", terms=TERMS)
    assert str(objection).startswith("agreement agreed was ended on ")


@pytest.fixture
def own_record(tmp_path: Path) -> Iterator[Ledger]:
    """The memory of an Access Point that has heard nothing yet."""
    ledger = Ledger(tmp_path / "access-point.sqlite", TABLES)
    yield ledger
    ledger.close()


def _listed(network: RunningNetwork, user: str, **asked: str) -> list[dict[str, Any]]:
    return list(network.user_client(user).get("/v1/agreements", params=asked).json()["items"])


def _told_everything(network: RunningNetwork, team: str) -> None:
    """A job's stream begins by an order, so all orders before it have been taken."""
    job = network.submit(INTERSECTION | {"dataset": [f"{team}/patients", "globex/patients"]}, team=team)
    next(network.lines(job["id"], team=team))
    network.act(job["id"], "cancel", team=team)
