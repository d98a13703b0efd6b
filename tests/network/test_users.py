"""More than one user in a team: what each may do, and whose name stands by what was done."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.network import INTERSECTION, REGRESSION, TEAMS, RunningNetwork


def test_every_user_is_known_by_their_own_token(running_network: RunningNetwork) -> None:
    listed = running_network.listing

    known = [running_network.user_client(entry["user"]).get("/v1/me").json() for entry in listed["users"]]

    told = [{**entry, "token": None} for entry in listed["users"]]
    assert [{**{name: me[name] for name in ("user", "team", "role")}, "token": None} for me in known] == told
    assert [me["user"] for me in known] == [f"{role}@{team}" for team in TEAMS for role in ("owner", "member")]
    assert [running_network.user_token(f"owner@{team}") for team in TEAMS] == list(listed["tokens"].values())
    assert len({entry["token"] for entry in listed["users"]}) == len(known)


def test_a_member_does_all_that_concerns_a_job_and_is_named(running_network: RunningNetwork) -> None:
    member, owner = (running_network.user_client(f"{role}@globex") for role in ("member", "owner"))
    job_id = _created(member)["id"]

    assert member.post(f"/v1/jobs/{job_id}/submit").json()["market_status"] == "perm"
    asked = running_network.client("mercy").get("/v1/access-requests", params={"job_id": job_id}).json()["items"]
    after = member.post(f"/v1/jobs/{job_id}/kill", json={"reason": "a slip"}).json()["job"]

    assert [request["user"] for request in asked] == ["member@globex"]
    assert (after["owner"], after["reason"]) == (
        {"user": "member@globex", "team": "globex"},
        "member@globex: a slip",
    )
    assert owner.get(f"/v1/jobs/{job_id}").json()["owner"]["user"] == "member@globex"


def test_whoever_in_the_team_ends_a_job_is_named_beside_who_made_it(running_network: RunningNetwork) -> None:
    job_id = _created(running_network.user_client("owner@globex"))["id"]

    ended = running_network.user_client("member@globex").post(f"/v1/jobs/{job_id}/cancel").json()["job"]

    assert (ended["owner"]["user"], ended["reason"]) == ("owner@globex", "member@globex")


@pytest.mark.parametrize("verb", ["accept", "deny"])
def test_a_member_sees_access_requests_and_answers_none(running_network: RunningNetwork, verb: str) -> None:
    """What happens with a team's data is its owner's to say."""
    job = running_network.submit(INTERSECTION)
    path = f"/v1/access-requests/{job['waiting_on'][0]['asset_id']}/{job['id']}"
    member, owner = (running_network.user_client(f"{role}@mercy") for role in ("member", "owner"))

    refused = member.post(f"{path}/{verb}")

    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert (refused.json()["error"]["team"], refused.json()["error"]["detail"]) == (
        "mercy",
        "An owner in mercy decides about this asset.",
    )
    seen = member.get("/v1/access-requests", params={"job_id": job["id"]}).json()["items"]
    assert [(request["state"], request["decided_by"]) for request in seen] == [("pending", None)]
    assert owner.post(f"{path}/deny").json()["decided_by"] == "owner@mercy"


def test_access_requests_are_found_by_asset_and_by_who_asks(running_network: RunningNetwork) -> None:
    job = running_network.submit(REGRESSION)
    patients = running_network.submit(INTERSECTION)
    back = running_network.submit(INTERSECTION | {"dataset": ["mercy/patients", "globex/patients"]}, team="mercy")
    made = {one["id"] for one in (job, patients, back)}

    def found(**asked: str) -> set[tuple[str, str]]:
        items = running_network.client("mercy").get("/v1/access-requests", params=asked).json()["items"]
        return {(item["job_id"], item["asset"]) for item in items if item["job_id"] in made}

    own = {(job["id"], "mercy/breast-cancer"), (patients["id"], "mercy/patients")}
    asked_of_globex = {(back["id"], "globex/patients")}
    assert found() == own | asked_of_globex
    assert found(team="globex") == own
    assert found(team="mercy") == found(asset_id="globex/patients") == asked_of_globex
    by_id = patients["waiting_on"][0]["asset_id"]
    assert found(asset_id=by_id) == found(asset_id="mercy/patients") == {(patients["id"], "mercy/patients")}
    assert found(asset_id="mercy/patients", team="mercy") == found(asset_id="mercy/nothing") == set()
    for one, team in ((job, "globex"), (patients, "globex"), (back, "mercy")):
        running_network.act(one["id"], "cancel", team=team)


def test_each_user_has_client_refs_of_their_own(running_network: RunningNetwork) -> None:
    """Two programs that count from one do not get each other's jobs."""
    clients = [running_network.user_client(f"{role}@globex") for role in ("owner", "member")]
    reference = str(uuid4())

    made = [_created(client, client_ref=reference)["id"] for client in clients]

    found = [client.get("/v1/jobs", params={"client_ref": reference}).json()["items"] for client in clients]
    assert [[job["id"] for job in items] for items in found] == [[job_id] for job_id in made]
    assert made[0] != made[1]


def test_what_a_caller_called_a_job_is_told_to_its_own_team_only(running_network: RunningNetwork) -> None:
    """It may hold what nobody else should read: a ticket's number, a patient's name."""
    reference = f"ticket-{uuid4()}"
    created = _created(running_network.client("globex"), client_ref=reference)
    running_network.act(created["id"], "submit")

    own = _seen(running_network.user_client("member@globex"), created["id"])
    others = _seen(running_network.client("mercy"), created["id"])

    assert created["client_ref"] == reference
    assert {document["client_ref"] for document in own} == {reference}
    assert [document["client_ref"] for document in others] == [None] * len(own)
    requests = running_network.client("mercy").get("/v1/access-requests", params={"job_id": created["id"]})
    assert reference not in requests.text + json.dumps(others)
    running_network.act(created["id"], "cancel")


def test_anybody_may_ask_the_router_for_a_sign_of_life(running_network: RunningNetwork) -> None:
    """A container's health check holds no token."""
    answer = httpx.get(f"{running_network.router_url}/ping")

    epoch = running_network.client("globex").get("/v1/me").json()["epoch"]
    assert (answer.status_code, answer.json()) == (200, {"epoch": epoch})
    assert httpx.post(f"{running_network.router_url}/ping").status_code == 405


def _created(client: httpx.Client, *, client_ref: str | None = None) -> dict[str, Any]:
    body = {"client_ref": client_ref or str(uuid4()), "job_name": "a job", **INTERSECTION}
    answer = client.post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    job: dict[str, Any] = answer.json()
    return job


def _seen(client: httpx.Client, job_id: str) -> list[dict[str, Any]]:
    """The job as a reader meets it: read, listed, and each of its changes so far."""
    read = client.get(f"/v1/jobs/{job_id}").json()
    listed = [job for job in client.get("/v1/jobs").json()["items"] if job["id"] == job_id]
    changes: list[dict[str, Any]] = []
    with client.stream("GET", "/v1/changes") as feed:
        for line in feed.iter_lines():
            told = json.loads(line)
            if "job" in told and told["job"]["id"] == job_id:
                changes.append(told["job"])
            if told["sequence"] >= read["sequence"]:
                break
    assert len(listed) == 1
    assert len(changes) > 1
    return [read, *listed, *changes]
