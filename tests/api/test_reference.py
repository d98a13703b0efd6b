"""What the reference's functions promise, each asked for over HTTP on the running network."""

from typing import Any

import pytest

from tests.support.gateway import Caller
from tests.support.network import LONG_REGRESSION, REGRESSION

MERCYS_TRAINING = {
    "operation": "REGRESSION",
    "dataset": ["globex/holdout", "lakeside/breast-cancer"],
    "params": {"regression_type": "LINEAR"},
}


@pytest.fixture(scope="module")
def mercys_model(running_network: Any) -> str:
    """A model that another team trained, and owns."""
    job = running_network.reached(
        running_network.run(MERCYS_TRAINING, team="mercy")["id"], {"complete", "error"}, team="mercy"
    )
    return str(job["result"]["asset_id"])


async def test_active_holds_what_runs_and_nothing_else(caller: Caller) -> None:
    """`Job.active`."""
    waiting = (await caller.waiting(REGRESSION))["id"]
    running = await caller.running(LONG_REGRESSION)

    active = {job["id"] for job in (await caller.get("/v1/jobs", job_status="active"))["items"]}
    for job_id in (running, waiting):
        await caller.client.post(f"/v1/jobs/{job_id}/kill")
    await caller.until_end(running)
    afterwards = {job["id"] for job in (await caller.get("/v1/jobs", job_status="active"))["items"]}

    assert running in active
    assert waiting not in active
    assert running not in afterwards


async def test_no_more_jobs_come_than_are_wanted(caller: Caller) -> None:
    """`find_all(max=…)`: the newest of them."""
    ids = [(await caller.create(REGRESSION, name="one of three"))["id"] for _ in range(3)]

    found = await caller.get("/v1/jobs", name="one of three", limit="2")

    assert [job["id"] for job in found["items"]] == [ids[2], ids[1]]
    assert found["next_cursor"] is not None


async def test_a_refresh_shows_what_happened_at_the_router(caller: Caller) -> None:
    """`update_router_status`: the newest market status, and what is waited for."""
    job = await caller.waiting(REGRESSION)
    mercys = next(one for one in job["waiting_on"] if one["team"] == "mercy")
    caller.accept({**job, "waiting_on": [mercys]})

    seen = await caller.get(f"/v1/jobs/{job['id']}", refresh="true")
    again = await caller.get(f"/v1/jobs/{job['id']}", refresh="true")

    assert [one["team"] for one in seen["waiting_on"]] == ["lakeside"]
    assert isinstance(seen["changed"], bool)
    assert (again["waiting_on"], again["market_status"]) == (seen["waiting_on"], "perm")


@pytest.mark.parametrize(
    ("with_algorithm", "dataset", "status"),
    [
        (True, "globex/holdout", "alg"),
        (True, "lakeside/breast-cancer", "both"),
        (False, "lakeside/breast-cancer", "data"),
        (False, "globex/holdout", None),
    ],
)
async def test_whose_permission_a_use_takes_is_what_the_job_then_waits_for(
    caller: Caller, mercys_model: str, with_algorithm: bool, dataset: str, status: str | None
) -> None:
    """`fetch_asset`, preflight, and the access requests of the job: three times the same."""
    algorithm = {"algorithm": mercys_model} if with_algorithm else {}
    usage = await caller.get("/v1/assets/usage", dataset=dataset, **algorithm)
    assert usage == {"status": status}
    if not with_algorithm:
        return

    body = {"operation": mercys_model, "dataset": [dataset], "job_name": "whose permission"}
    preflight = (await caller.client.post("/v1/jobs/preflight", json=body)).json()
    job = await caller.waiting(body)
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    assert preflight["status"] == status
    asked = {(one["asset_id"], one["team"]) for one in job["waiting_on"]}
    assert {(one["asset_id"], one["team"]) for one in preflight["approvals"]} == asked


async def test_a_table_is_prepared_at_its_owner_before_it_is_computed_on(caller: Caller) -> None:
    """`preprocessor`: SQL, gaps, scales and types, one for all datasets or one for each; Python is refused."""
    prepared = {
        "sql_transform": 'SELECT "mean radius" / 10 AS radius, "mean texture" AS texture, target FROM data',
        "all_columns": True,
        "add_column": [{"name": "target", "target": True}],
        "dtype": "float64",
    }
    for preprocessor in (prepared, [prepared, prepared]):
        job = await caller.finished({**REGRESSION, "preprocessor": preprocessor})
        assert job["phase"] == "complete", job["error"]

    refused = await caller.client.post(
        "/v1/jobs", json={"job_name": "x", **REGRESSION, "preprocessor": {"python_transform": "def f(x): return x"}}
    )
    assert (refused.status_code, refused.json()["field"]) == (422, "preprocessor.0")
    assert "python_transform" in refused.json()["detail"]
    three = await caller.client.post("/v1/jobs", json={"job_name": "x", **REGRESSION, "preprocessor": [prepared] * 3})
    assert (three.status_code, three.json()["field"]) == (422, "preprocessor")


@pytest.mark.parametrize("security", ["fed", "smpc"])
async def test_a_network_that_is_run_counts_what_it_ran_on(caller: Caller, mercys_model: str, security: str) -> None:
    """`NNFEDMetrics` where the model travels, `NNSMPCMetrics` where both sides stay hidden."""
    if security == "fed":
        trained = await caller.finished(
            {
                "operation": "FEDERATED_LEARNING_PROTOCOL",
                "dataset": ["mercy/breast-cancer", "lakeside/breast-cancer"],
                "params": {"epochs": 1},
            }
        )
        model, kind, dataset = trained["result"]["asset_id"], "NNFEDMetrics", "globex/holdout"
    else:
        model, kind, dataset = mercys_model, "NNSMPCMetrics", "lakeside/breast-cancer"

    job = await caller.finished({"operation": model, "dataset": [dataset], "params": {"security": security}})

    assert job["phase"] == "complete", job["error"]
    assert job["model_status"]["type"] == kind
    table = await caller.get(f"/v1/jobs/{job['id']}/result/table", limit="1")
    assert job["model_status"]["latest"]["records"] == table["records"]
