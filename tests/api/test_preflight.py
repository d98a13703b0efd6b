"""Before anything is asked: whose permission a job would need."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from tests.support.gateway import Caller, Finished, Json, inference_by
from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

JOB = {"job_name": "may we?", **INTERSECTION}


@pytest.fixture
def agreed(running_network: RunningNetwork) -> Iterator[Json]:
    """Mercy lets globex compare patients, for one test."""
    terms = {"to_team": "globex", "asset_id": "mercy/patients", "protocol": "PRIVATE_SET_INTERSECTION"}
    mercy = running_network.client("mercy")
    agreement: Json = mercy.post("/v1/agreements", json=terms).json()
    yield agreement
    assert mercy.delete(f"/v1/agreements/{agreement['id']}").status_code == 200


async def preflight(caller: Caller, body: Json) -> Json:
    answer = await caller.client.post("/v1/jobs/preflight", json=body)
    assert answer.status_code == 200, answer.text
    content: Json = answer.json()
    return content


async def test_a_preflight_names_who_would_be_asked_and_nothing_is_made(caller: Caller) -> None:
    """The submit then asks exactly these."""
    name = f"never made {uuid4()}"

    told = await preflight(caller, {"job_name": name, **REGRESSION})

    assert told["status"] == "data"
    assert {approval["agreement_id"] for approval in told["approvals"]} == {None}
    assert (await caller.get("/v1/jobs", name=name))["items"] == []
    job = await caller.waiting(REGRESSION)
    named = ("asset_id", "asset", "team")
    asked, told_of = (
        sorted(tuple(one[name] for name in named) for one in some) for some in (job["waiting_on"], told["approvals"])
    )
    assert told_of == asked
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")


async def test_a_preflight_names_the_agreement_that_grants_a_use(caller: Caller, agreed: Json) -> None:
    """Nobody would be asked, and it says why."""
    told = await preflight(caller, JOB)
    used = await caller.get("/v1/assets/usage", dataset="mercy/patients")

    assert told["status"] is None
    (approval,) = told["approvals"]
    assert (approval["asset"], approval["team"], approval["use"]) == ("mercy/patients", "mercy", "data")
    assert approval["agreement_id"] == agreed["id"]
    # Which protocol it would be, nobody has said: the agreement is about one.
    assert used == {"status": "data"}


async def test_a_job_on_own_assets_needs_nobody(caller: Caller, finished: Finished) -> None:
    """Our model, our rows."""
    body = {"job_name": "ours", **inference_by(finished.regression["result"]["asset_id"])}

    assert await preflight(caller, body) == {"status": None, "approvals": []}


@pytest.mark.parametrize(
    "changed",
    [
        {"operation": "NO_SUCH"},
        {"dataset": ["globex/patients", "mercy/nothing"]},
        {"dataset": ["mercy/patients"]},
        {"params": {"unheard": 1}},
        {"job_name": " "},
        {"stream_to": ["lakeside"]},
        {"stream_to": ["mercy", "mercy", "globex"]},
        {"client_ref": "mine"},
    ],
    ids=["operation", "dataset", "too-few", "params", "name", "stream-to", "stream-to-us", "unknown-field"],
)
async def test_a_preflight_refuses_what_a_create_refuses(caller: Caller, changed: dict[str, Any]) -> None:
    """In the same words."""
    told = [
        (await caller.client.post(path, json={**JOB, **changed})).json() for path in ("/v1/jobs/preflight", "/v1/jobs")
    ]

    facts = [{name: one.get(name) for name in ("status", "code", "field", "detail", "allowed")} for one in told]
    assert facts[0] == facts[1]
    assert facts[0]["status"] == 422


async def test_usage_says_whose_permission_assets_need(caller: Caller, finished: Finished) -> None:
    """By id or by alias; of several datasets one that is another's is enough."""
    model = finished.regression["result"]["asset_id"]
    (theirs,) = (await caller.get("/v1/assets", name="mercy/patients"))["items"]

    ours = await caller.get("/v1/assets/usage", algorithm=model, dataset="globex/holdout")
    answer = await caller.client.get(
        "/v1/assets/usage", params={"algorithm": model, "dataset": ["globex/holdout", theirs["id"]]}
    )

    assert ours == {"status": None}
    assert (answer.status_code, answer.json()) == (200, {"status": "data"})


async def test_usage_of_nothing_and_of_what_is_not_there_is_refused(caller: Caller) -> None:
    """Null would read as permission."""
    nothing = await caller.client.get("/v1/assets/usage")
    unknown = await caller.client.get("/v1/assets/usage", params={"dataset": str(uuid4())})
    misspelt = await caller.client.get("/v1/assets/usage", params={"datasets": "mercy/patients"})

    assert (nothing.status_code, nothing.json()["code"]) == (422, "invalid")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "asset-not-found")
    assert (misspelt.status_code, misspelt.json()["field"]) == (422, "datasets")
