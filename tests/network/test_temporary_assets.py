"""A temporary asset serves the jobs it was made for, and is then gone: at the Router and at its Access Point."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from network.clock import written
from tests.support.agreements import ledger_of, requests_of
from tests.support.network import RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}
ROWS = b"patient_id,x\nfirst-one,1\nsecond-one,2\n"
UNFIT = b"patient_id,x\n1.5,1\n2.5,2\n"


def test_a_temporary_asset_says_so_and_needs_no_name(running_network: RunningNetwork) -> None:
    unnamed, named = _announced(running_network), _announced(running_network, name=f"up-{uuid4()}")
    for asset in (unnamed, named):
        _put(asset, ROWS)

    shown = [running_network.client(team).get(f"/v1/assets/{unnamed['id']}").json() for team in ("globex", "mercy")]

    assert unnamed["name"] == f"globex/temporary-{unnamed['id'][:8]}"
    assert [asset["temporary"] for asset in (unnamed, named, *shown)] == [True] * 4
    refused = running_network.client("globex").post("/v1/assets", json={"kind": "table"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "name")
    stays = running_network.client("globex").get("/v1/assets", params={"name": "globex/patients"}).json()["items"]
    assert [asset["temporary"] for asset in stays] == [False]


@pytest.mark.parametrize(("content", "outcome"), [(ROWS, "complete"), (UNFIT, "error")])
def test_it_is_gone_when_its_job_has_run(running_network: RunningNetwork, content: bytes, outcome: str) -> None:
    asset = _uploaded(running_network, content)
    job = running_network.run(_matching(asset))

    assert running_network.reached(job["id"], FINAL)["market_status"] == outcome

    _assert_gone(running_network, asset)
    assert running_network.job(job["id"])["dataset"][0] == asset["id"]


@pytest.mark.parametrize("end", ["cancel", "kill", "deny"])
def test_it_is_gone_when_its_job_is_stopped(running_network: RunningNetwork, end: str) -> None:
    asset = _uploaded(running_network)
    job = running_network.submit(_matching(asset))

    if end == "deny":
        path = f"/v1/access-requests/{job['waiting_on'][0]['asset_id']}/{job['id']}/deny"
        assert running_network.client("mercy").post(path).status_code == 200
    else:
        running_network.act(job["id"], end)

    _assert_gone(running_network, asset)


def test_two_jobs_share_it_until_the_second_has_ended(running_network: RunningNetwork) -> None:
    """A job that was never submitted keeps nothing; submitting it then names what is gone."""
    asset = _uploaded(running_network)
    first, second = (running_network.submit(_matching(asset)) for _ in range(2))
    late = running_network.create(_matching(asset))

    running_network.act(first["id"], "cancel")
    between = running_network.client("globex").get(f"/v1/assets/{asset['id']}").status_code
    file_between = _file(running_network, asset).exists()
    running_network.act(second["id"], "cancel")

    assert (between, file_between) == (200, True)
    _assert_gone(running_network, asset)
    refused = running_network.client("globex").post(f"/v1/jobs/{late}/submit")
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "dataset.0")
    assert asset["name"] in refused.json()["error"]["detail"]
    assert running_network.job(late)["market_status"] == "created"


def test_one_that_no_job_uses_is_gone_after_a_day(running_network: RunningNetwork) -> None:
    """One of a waiting job is not, nor one that is to stay."""
    unused, waiting = _uploaded(running_network), _uploaded(running_network)
    stays = _announced(running_network, name=f"up-{uuid4()}", temporary=False)
    _put(stays, ROWS)
    job = running_network.submit(_matching(waiting))
    unsubmitted = running_network.create(_matching(unused))

    with ledger_of(running_network, "router") as db:
        aged = written(datetime.now(UTC) - timedelta(days=1))
        for asset in (unused, waiting, stays):
            db.execute("UPDATE assets SET created = ? WHERE id = ?", (aged, asset["id"]))
    running_network.act(unsubmitted, "cancel")

    _assert_gone(running_network, unused)
    client = running_network.client("globex")
    assert [client.get(f"/v1/assets/{asset['id']}").status_code for asset in (waiting, stays)] == [200, 200]
    running_network.act(job["id"], "cancel")
    _assert_gone(running_network, waiting)


def test_its_name_is_free_again_and_stays_in_what_was_said_of_it(running_network: RunningNetwork) -> None:
    """Also when its owner is another team, which was asked."""
    name = f"up-{uuid4()}"
    asset = _announced(running_network, team="mercy", name=name)
    _put(asset, ROWS)
    job = running_network.submit(_matching(asset, own="globex/patients"))
    running_network.act(job["id"], "cancel")

    _assert_gone(running_network, asset, team="mercy")
    again = _announced(running_network, team="mercy", name=name)
    _put(again, ROWS)

    assert (again["name"], again["id"] != asset["id"]) == (f"mercy/{name}", True)
    assert [request["asset"] for request in requests_of(running_network, job["id"])] == [f"mercy/{name}"]
    by_id = {"asset_id": asset["id"], "job_id": job["id"]}
    found = running_network.client("mercy").get("/v1/access-requests", params=by_id).json()["items"]
    assert [request["job_id"] for request in found] == [job["id"]]


def test_bytes_that_come_when_it_is_gone_do_not_stay(running_network: RunningNetwork) -> None:
    """The token to put them lives on for a while."""
    asset = _uploaded(running_network)
    running_network.act(running_network.submit(_matching(asset))["id"], "cancel")
    _assert_gone(running_network, asset)

    _put(asset, ROWS)

    _assert_gone(running_network, asset)


def _announced(network: RunningNetwork, *, team: str = "globex", **wanted: Any) -> dict[str, Any]:
    answer = network.client(team).post("/v1/assets", json={"kind": "table", "temporary": True, **wanted})
    assert answer.status_code == 201, answer.text
    asset: dict[str, Any] = answer.json()
    return asset


def _put(asset: dict[str, Any], content: bytes) -> None:
    headers = {"Authorization": f"Bearer {asset['content']['token']}", "Content-Type": "text/csv"}
    assert httpx.put(asset["content"]["url"], headers=headers, content=content).status_code == 200


def _uploaded(network: RunningNetwork, content: bytes = ROWS) -> dict[str, Any]:
    asset = _announced(network)
    _put(asset, content)
    return asset


def _matching(asset: dict[str, Any], *, own: str = "mercy/patients") -> dict[str, Any]:
    return {"operation": "PRIVATE_SET_INTERSECTION", "dataset": [asset["id"], own]}


def _file(network: RunningNetwork, asset: dict[str, Any]) -> Path:
    return network.data_dir / str(asset["team"]) / "assets" / f"{asset['id']}.parquet"


def _assert_gone(network: RunningNetwork, asset: dict[str, Any], *, team: str = "globex") -> None:
    client = network.client(team)
    assert client.get(f"/v1/assets/{asset['id']}").status_code == 404
    assert client.get("/v1/assets", params={"name": asset["name"]}).json() == {"items": []}
    _told_everything(network, team)
    headers = {"Authorization": f"Bearer {asset['content']['token']}"}
    assert httpx.get(asset["content"]["url"], headers=headers).status_code == 404
    assert not _file(network, asset).exists()


def _told_everything(network: RunningNetwork, team: str) -> None:
    """A job's stream begins by an order, so all orders before it have been taken."""
    other = "globex" if team == "mercy" else "mercy"
    body = {"operation": "PRIVATE_SET_INTERSECTION", "dataset": [f"{team}/patients", f"{other}/patients"]}
    job = network.submit(body, team=team)
    next(network.lines(job["id"], team=team))
    network.act(job["id"], "cancel", team=team)
