"""A team lets others that take part read along: what happens, and never what came of it."""

import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}


@pytest.fixture(scope="module")
def shared(running_network: RunningNetwork) -> str:
    """A job of globex's that mercy may read along with, complete."""
    job = running_network.run(INTERSECTION | {"stream_to": ["mercy"]})
    assert running_network.reached(job["id"], FINAL)["market_status"] == "complete"
    return str(job["id"])


def test_a_team_that_may_read_along_hears_all_but_the_result(running_network: RunningNetwork, shared: str) -> None:
    own = [json.loads(line) for line in running_network.stream(shared)]

    theirs = [json.loads(line) for line in running_network.stream(shared, team="mercy")]

    last = [line for line in own if line["kind"] == "status"][-1]
    assert last["status"]["result"]["raw_status"]
    told = last["status"].pop("result")
    last["status"]["result"] = None
    assert theirs == own
    assert _latest(running_network, _door(running_network, shared, team="mercy")) == last["status"]
    assert _latest(running_network, _door(running_network, shared, team="globex"))["result"] == told
    assert running_network.job(shared, team="mercy")["result"] is None


def test_a_shared_stream_repeats_the_same_bytes_from_any_point(running_network: RunningNetwork, shared: str) -> None:
    own = running_network.stream(shared)

    whole = running_network.stream(shared, team="mercy")

    differing = [place for place, lines in enumerate(zip(own, whole, strict=True)) if lines[0] != lines[1]]
    assert differing == [len(whole) - 2]
    assert running_network.stream(shared, after=2, team="mercy") == whole[2:]


def test_who_is_not_let_in_gets_no_stream(running_network: RunningNetwork) -> None:
    """Also of those that take part; what is shared shows to all who see the job, and in no line of the changes."""
    created = running_network.create(REGRESSION | {"stream_to": ["mercy"]})
    before = running_network.job(created, team="mercy")["stream"]
    job = running_network.act(created, "submit")

    seen = {team: running_network.job(job["id"], team=team) for team in ("globex", "mercy", "lakeside")}

    assert before is None
    assert [document["stream_to"] for document in seen.values()] == [["mercy"]] * 3
    assert [document["stream"] is not None for document in seen.values()] == [True, True, False]
    changed = running_network.changed(job["id"], lambda told: told["submitted"] is not None, team="mercy")
    assert (changed["stream"], changed["stream_to"]) == (None, ["mercy"])
    running_network.act(job["id"], "cancel")


def test_a_shared_streams_token_opens_that_stream_only(running_network: RunningNetwork) -> None:
    one, other = (running_network.submit(INTERSECTION | {"stream_to": ["mercy"]}) for _ in range(2))

    doors = [_door(running_network, job["id"], team="mercy") for job in (one, other)]

    assert httpx.get(doors[1]["url"], headers=_bearing(doors[0])).status_code == 401
    point = doors[0]["url"].partition("/v1/")[0]
    assert httpx.get(f"{point}/v1/assets/{one['dataset'][0]}", headers=_bearing(doors[0])).status_code == 401
    for job in (one, other):
        running_network.act(job["id"], "cancel")


@pytest.mark.parametrize(
    ("stream_to", "field"),
    [
        (["lakeside"], "stream_to.0"),
        (["mercy", "globex"], "stream_to.1"),
        (["nobody"], "stream_to.0"),
        (["mercy", 7], "stream_to.1"),
        ("mercy", "stream_to"),
    ],
)
def test_a_stream_goes_to_teams_of_the_job_alone(running_network: RunningNetwork, stream_to: Any, field: str) -> None:
    body = {"client_ref": str(uuid4()), "job_name": "shared", **INTERSECTION, "stream_to": stream_to}

    refused = running_network.client("globex").post("/v1/jobs", json=body)

    assert (refused.status_code, refused.json()["error"]["field"]) == (422, field)
    assert refused.json()["error"].get("allowed", ["mercy"]) == ["mercy"]


def test_a_team_named_twice_is_let_in_once_and_by_default_nobody_is(running_network: RunningNetwork) -> None:
    twice = running_network.create(INTERSECTION | {"stream_to": ["mercy", "mercy"]})
    nobody = running_network.create(INTERSECTION)

    assert [running_network.job(job_id)["stream_to"] for job_id in (twice, nobody)] == [["mercy"], []]


def _door(network: RunningNetwork, job_id: str, *, team: str) -> dict[str, str]:
    return dict(network.job(job_id, team=team)["stream"])


def _bearing(door: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {door['token']}"}


def _latest(network: RunningNetwork, door: dict[str, str]) -> dict[str, Any]:
    answer = httpx.get(network.here(door["url"].removesuffix("stream") + "status"), headers=_bearing(door))
    status: dict[str, Any] = answer.json()["status"]
    return status
