"""Who brought a job to where it stands, told to every team that sees it."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.support.agreements import Agree, ledger_of
from tests.support.network import INTERSECTION, WITHIN_S, RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}
MEMBER = {"user": "member@globex", "team": "globex", "client_ref": None}
OWNER = {"user": "owner@globex", "team": "globex", "client_ref": None}
MERCY = {"user": "owner@mercy", "team": "mercy", "client_ref": None}


def test_each_step_of_a_job_names_who_took_it_and_none_where_it_came_by_itself(running_network: RunningNetwork) -> None:
    job = _created(running_network, "member@globex")
    running_network.accept_all(running_network.act(job["id"], "submit"))

    told = _steps(running_network, job, until=FINAL)

    assert [(step["market_status"], step["actor"]) for step in told] == [
        ("created", MEMBER),
        ("perm", OWNER),
        ("queue", MERCY),
        ("starting", None),
        ("running", None),
        ("complete", None),
    ]


def test_a_job_that_an_agreement_lets_pass_is_queued_by_who_submits_it(
    running_network: RunningNetwork, agree: Agree
) -> None:
    agree("mercy", asset_id="mercy/patients", protocol="PRIVATE_SET_INTERSECTION")
    job = _created(running_network, "owner@globex")

    assert running_network.user_client("member@globex").post(f"/v1/jobs/{job['id']}/submit").status_code == 200

    told = _steps(running_network, job, until=FINAL)
    assert [step["actor"] for step in told if step["market_status"] in {"created", "queue"}] == [OWNER, MEMBER]


def test_a_denied_job_names_who_denied_it_to_every_team(running_network: RunningNetwork) -> None:
    job = running_network.submit(INTERSECTION)
    path = f"/v1/access-requests/{job['waiting_on'][0]['asset_id']}/{job['id']}/deny"

    assert running_network.client("mercy").post(path).status_code == 200

    for team in ("globex", "mercy"):
        seen = running_network.job(job["id"], team=team)
        assert (seen["market_status"], seen["actor"], seen["stop"]) == ("denied", MERCY, None)


@pytest.mark.parametrize(("verb", "outcome"), [("cancel", "cancelled"), ("kill", "killed")])
def test_who_ends_a_job_that_waits_is_named_and_nobody_has_to_answer(
    running_network: RunningNetwork, verb: str, outcome: str
) -> None:
    job = running_network.submit(INTERSECTION)

    ended = running_network.user_client("member@globex").post(f"/v1/jobs/{job['id']}/{verb}").json()["job"]

    assert (ended["market_status"], ended["actor"]) == (outcome, MEMBER)
    assert ended["stop"].pop("since") >= job["submitted"]
    assert ended["stop"] == {"wanted": verb, "answers": []}
    again = running_network.act(job["id"], verb)
    assert (again["actor"], again["stop"], again["sequence"]) == (
        MEMBER,
        running_network.job(job["id"])["stop"],
        ended["sequence"],
    )


def test_what_the_actor_called_it_is_told_to_their_team_alone(running_network: RunningNetwork) -> None:
    """It is how a client knows its own deed again; others learn who, and not what it may hold."""
    job = running_network.submit(INTERSECTION)
    path = f"/v1/jobs/{job['id']}/kill"
    running_network.client("globex").post(path, json={"client_ref": "the second try", "reason": "enough"})
    running_network.client("globex").post(path, json={"client_ref": "the third try"})

    own, others = (running_network.job(job["id"], team=team)["actor"] for team in ("globex", "mercy"))

    assert (own, others) == (OWNER | {"client_ref": "the second try"}, OWNER)
    assert _steps(running_network, job, until=FINAL)[-1]["actor"] == OWNER


def test_an_owners_name_for_a_decision_is_not_told_to_the_jobs_team(running_network: RunningNetwork) -> None:
    job = running_network.submit(INTERSECTION)
    path = f"/v1/access-requests/{job['waiting_on'][0]['asset_id']}/{job['id']}/deny"

    running_network.client("mercy").post(path, json={"client_ref": "ours"})

    own, others = (running_network.job(job["id"], team=team)["actor"] for team in ("mercy", "globex"))
    assert (own, others) == (MERCY | {"client_ref": "ours"}, MERCY)


def test_the_requests_that_are_still_missing_change_no_actor(running_network: RunningNetwork) -> None:
    body = {"operation": "REGRESSION", "dataset": ["mercy/breast-cancer", "lakeside/breast-cancer"]}
    job = running_network.submit(body | {"params": {"regression_type": "LOGISTIC"}})
    first = job | {"waiting_on": job["waiting_on"][:1]}

    running_network.accept_all(first)

    after = running_network.job(job["id"])
    assert (len(after["waiting_on"]), after["market_status"], after["actor"]) == (1, "perm", OWNER)
    running_network.act(job["id"], "cancel")


def test_a_folder_from_before_anybody_was_noted_serves_as_it_is(running_network: RunningNetwork) -> None:
    """Nothing is known of its old jobs; what happens to them from now on is."""
    job = running_network.submit(INTERSECTION)
    running_network.stop_router()
    with ledger_of(running_network, "router") as db:
        db.executescript("DROP TABLE actors; DROP TABLE stops; DROP TABLE stop_answers;")
    running_network.start_router()

    before, after = running_network.job(job["id"]), running_network.act(job["id"], "kill")

    assert (before["market_status"], before["actor"], before["stop"]) == ("perm", None, None)
    assert (after["actor"], after["stop"]["wanted"]) == (OWNER, "kill")


def _created(network: RunningNetwork, user: str) -> dict[str, Any]:
    body = {"client_ref": str(uuid4()), "job_name": "who did it", **INTERSECTION}
    answer = network.user_client(user).post("/v1/jobs", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def _steps(network: RunningNetwork, job: dict[str, Any], *, until: set[str]) -> list[dict[str, Any]]:
    """The first document of each market status that the job came to, as mercy is told."""
    steps: list[dict[str, Any]] = []
    place = {"epoch": job["epoch"], "after": job["sequence"] - 1}
    with network.client("mercy").stream("GET", "/v1/changes", params=place, timeout=WITHIN_S) as feed:
        for line in feed.iter_lines():
            told = json.loads(line).get("job")
            if told is None or told["id"] != job["id"]:
                continue
            if not steps or steps[-1]["market_status"] != told["market_status"]:
                steps.append(told)
            if told["market_status"] in until:
                return steps
    raise AssertionError("the changes feed ended")
