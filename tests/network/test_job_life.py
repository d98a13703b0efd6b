"""What a job goes through, seen by the team that created it."""

import json
import math
import os
import signal
from typing import Any
from uuid import uuid4

import httpx

from tests.support.agreements import Agree
from tests.support.network import INTERSECTION, LONG_REGRESSION, REGRESSION, RunningNetwork, running_in

FINAL = {"complete", "error", "cancelled", "killed", "denied"}


def test_an_intersection_waits_for_permission_runs_and_leaves_a_table(running_network: RunningNetwork) -> None:
    job = running_network.run(INTERSECTION)

    lines = [json.loads(line) for line in running_network.stream(job["id"])]

    assert [line["sequence"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line.get("message") for line in lines[:2]] == ["waiting on permission", "starting"]
    assert [line["status"]["code"] for line in lines if line["kind"] == "status"] == [3, 4]
    assert lines[-1]["outcome"] == "complete"
    # psi-request, psi-setup, psi-response.
    assert lines[-2]["status"]["communications"] == 3
    assert _content(running_network, lines[-2]["status"]["result"]["asset_id"], accept="text/csv")


def test_a_regression_leaves_a_model_that_can_be_agreed_on_and_be_an_operation(
    running_network: RunningNetwork, agree: Agree
) -> None:
    job = running_network.run(REGRESSION)
    trained = running_network.reached(job["id"], FINAL)
    assert trained["error"] == ""

    model = trained["result"]["asset_id"]
    agree("mercy", asset_id="mercy/breast-cancer", algorithm=model, algorithm_security="fed")
    body = {"operation": model, "dataset": ["mercy/breast-cancer"], "params": {"batch_size": 100}}
    inference = running_network.submit(body)

    done = running_network.reached(inference["id"], FINAL)
    assert (done["market_status"], done["operation"]) == ("complete", model)
    table = json.loads(_content(running_network, done["result"]["asset_id"], accept="application/json"))
    scored = running_network.client("mercy").get(f"/v1/assets/{done['dataset'][0]}").json()["records"]
    assert len(table["rows"]) == scored
    # model, results-header, and results a hundred rows at a time.
    status = json.loads(running_network.stream(done["id"])[-2])["status"]
    assert status["communications"] == 2 + math.ceil(scored / 100)


def test_a_preprocessor_chooses_the_columns(running_network: RunningNetwork) -> None:
    chosen = {"type": "tabular", "add_column": [{"name": "mean radius"}, {"name": "target", "target": True}]}
    job = running_network.run(REGRESSION | {"preprocessor": [chosen]})

    assert running_network.reached(job["id"], FINAL)["market_status"] == "complete"
    status = json.loads(running_network.stream(job["id"])[-2])["status"]
    assert json.loads(status["result"]["raw_status"])["features"] == 1


def test_a_denied_job_never_starts_and_says_why(running_network: RunningNetwork) -> None:
    job = running_network.submit(INTERSECTION)
    asset_id = job["waiting_on"][0]["asset_id"]

    path = f"/v1/access-requests/{asset_id}/{job['id']}/deny"
    assert running_network.client("mercy").post(path, json={"reason": "not these rows"}).status_code == 200

    after = running_network.job(job["id"])
    assert (after["market_status"], after["waiting_on"]) == ("denied", [])
    assert after["reason"] == "owner@mercy denied mercy/patients: not these rows"
    lines = [json.loads(line) for line in running_network.stream(job["id"])]
    assert [lines[0]["message"], lines[-1]["outcome"]] == ["waiting on permission", "denied"]


def test_a_cancelled_job_withdraws_its_requests_and_ends_its_stream(running_network: RunningNetwork) -> None:
    job = running_network.submit(INTERSECTION)

    assert running_network.act(job["id"], "cancel")["reason"] == "owner@globex"

    assert json.loads(running_network.stream(job["id"])[-1])["outcome"] == "cancelled"
    asked = running_network.client("mercy").get("/v1/access-requests", params={"job_id": job["id"]}).json()["items"]
    assert [request["state"] for request in asked] == ["withdrawn"]
    assert running_network.act(job["id"], "cancel")["market_status"] == "cancelled"


def test_a_killed_job_leaves_no_process_at_any_access_point(running_network: RunningNetwork) -> None:
    job = running_network.run(LONG_REGRESSION)
    running_network.reached(job["id"], {"running"})
    groups = [running_network.job_pid(team, job["id"]) for team in ("globex", "mercy", "lakeside")]

    assert running_network.client("globex").post(f"/v1/jobs/{job['id']}/cancel").status_code == 409
    path = f"/v1/jobs/{job['id']}/kill"
    assert running_network.client("globex").post(path, json={"reason": "too slow"}).status_code == 200

    assert running_network.reached(job["id"], {"killed"})["reason"] == "owner@globex: too slow"
    assert [running_in(group) for group in groups] == [[], [], []]
    assert json.loads(running_network.stream(job["id"])[-1])["outcome"] == "killed"


def test_a_job_whose_process_dies_says_how_many_messages_there_were(running_network: RunningNetwork) -> None:
    """Though nobody is left to report them: what parties count goes with each message."""
    job = running_network.run(LONG_REGRESSION)
    next(line for line in running_network.lines(job["id"]) if b"RegressionTrainingMetrics" in line)

    os.killpg(running_network.job_pid("mercy", job["id"]), signal.SIGKILL)

    last = json.loads(running_network.stream(job["id"])[-2])["status"]
    assert (last["code"], last["error_code"]) == (10, 1005)
    # With each of two owners: columns, chosen-columns, public-key, six for the moments, coefficients and sums.
    assert last["communications"] >= 2 * 11


def test_a_full_access_point_makes_later_jobs_queue_in_order(running_network: RunningNetwork) -> None:
    first = running_network.run(LONG_REGRESSION)
    running_network.reached(first["id"], {"running"})
    second, third = (running_network.run(INTERSECTION) for _ in range(2))

    places = [(entry["team"], entry["place"], entry["of"]) for entry in running_network.job(third["id"])["queue"]]
    assert places == [("globex", 2, 2), ("mercy", 2, 2)]
    running_network.act(first["id"], "kill")

    assert running_network.reached(third["id"], FINAL)["market_status"] == "complete"
    ended = running_network.job(second["id"])["finished"]
    assert ended < running_network.job(third["id"])["started"]


def test_a_stream_read_from_any_point_repeats_the_same_bytes(running_network: RunningNetwork) -> None:
    job = running_network.run(REGRESSION)
    whole = running_network.stream(job["id"])

    for after in (0, 1, len(whole) // 2, len(whole)):
        assert running_network.stream(job["id"], after=after) == whole[after:]


def test_the_same_client_ref_makes_one_job(running_network: RunningNetwork) -> None:
    body: dict[str, Any] = {"client_ref": str(uuid4()), "job_name": "once", **INTERSECTION}
    client = running_network.client("globex")
    first = client.post("/v1/jobs", json=body)

    again, other = client.post("/v1/jobs", json=body), client.post("/v1/jobs", json=body | {"job_name": "twice"})

    assert (first.status_code, again.status_code, again.json()["id"]) == (201, 200, first.json()["id"])
    assert (other.status_code, other.json()["error"]["code"]) == (409, "client-ref-reused")
    found = client.get("/v1/jobs", params={"client_ref": body["client_ref"]}).json()["items"]
    assert [job["id"] for job in found] == [first.json()["id"]]


def test_a_stream_token_opens_one_job_only(running_network: RunningNetwork) -> None:
    one, other = (running_network.submit(INTERSECTION) for _ in range(2))

    headers = {"Authorization": f"Bearer {one['stream']['token']}"}
    assert httpx.get(other["stream"]["url"], headers=headers).status_code == 401

    for job in (one, other):
        running_network.act(job["id"], "cancel")


def _content(network: RunningNetwork, asset_id: str, *, accept: str) -> bytes:
    door = network.client("globex").get(f"/v1/assets/{asset_id}").json()["content"]
    headers = {"Authorization": f"Bearer {door['token']}", "Accept": accept}
    answer = httpx.get(door["url"], headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.content
