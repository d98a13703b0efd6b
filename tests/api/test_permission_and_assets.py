"""Who asks for which asset, what assets there are, and bringing a table of one's own."""

import csv
import io
from uuid import uuid4

import pytest

from tests.support.gateway import Caller, Finished
from tests.support.network import INTERSECTION, REGRESSION

_CSV = {"Content-Type": "text/csv"}


async def test_access_requests_are_told_by_state(caller: Caller) -> None:
    """Who still has to answer, and who has."""
    job = await caller.waiting(REGRESSION)
    mercys = next(one for one in job["waiting_on"] if one["team"] == "mercy")
    caller.accept({**job, "waiting_on": [mercys]})

    states = {}
    for state in ("pending", "accepted", "denied", "withdrawn"):
        items = (await caller.get("/v1/access-requests", state=state, job_id=job["id"]))["items"]
        states[state] = [item["owner_team"] for item in items]

    assert states == {"pending": ["lakeside"], "accepted": ["mercy"], "denied": [], "withdrawn": []}


async def test_an_access_request_says_who_asks_for_what(caller: Caller) -> None:
    """An owner decides by what stands here."""
    job = await caller.waiting(REGRESSION, name="may we?")

    first, second = (await caller.get("/v1/access-requests", job_id=job["id"]))["items"]

    assert {first["asset"], second["asset"]} == {"mercy/breast-cancer", "lakeside/breast-cancer"}
    assert (first["team"], first["user"], first["job_name"]) == ("globex", "owner@globex", "may we?")
    assert (first["operation"], first["params"]["regression_type"]) == ("REGRESSION", "LOGISTIC")
    assert (first["state"], first["decided_by"], first["decided_at"]) == ("pending", None, None)


async def test_a_job_that_ended_withdraws_what_it_asked(caller: Caller) -> None:
    """Owners are not asked for what nobody wants any more."""
    job = await caller.waiting(REGRESSION)
    await caller.client.post(f"/v1/jobs/{job['id']}/cancel")

    items = (await caller.get("/v1/access-requests", job_id=job["id"]))["items"]

    assert {item["state"] for item in items} == {"withdrawn"}


@pytest.mark.parametrize("verb", ["accept", "deny"])
async def test_another_teams_request_is_not_ours_to_answer(caller: Caller, verb: str) -> None:
    """The refusal names whose it is, and the job waits on."""
    job = await caller.waiting(REGRESSION)
    missing = job["waiting_on"][0]

    answer = await caller.client.post(f"/v1/access-requests/{missing['asset_id']}/{job['id']}/{verb}")

    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert answer.json()["team"] == missing["team"]
    assert (await caller.get(f"/v1/jobs/{job['id']}"))["waiting_on"] == job["waiting_on"]


@pytest.mark.parametrize("verb", ["accept", "deny"])
async def test_another_teams_use_of_our_asset_is_ours_to_answer(caller: Caller, verb: str) -> None:
    """The gateway is an owner's door too: mercy starts a job on globex's patients."""
    body = {**INTERSECTION, "dataset": ["mercy/patients", "globex/patients"]}
    asked = caller.network.submit(body, team="mercy")
    (missing,) = asked["waiting_on"]

    answer = await caller.client.post(
        f"/v1/access-requests/{missing['asset_id']}/{asked['id']}/{verb}", json={"reason": "we know them"}
    )

    assert answer.status_code == 200
    assert (answer.json()["state"], answer.json()["reason"]) == (
        {"accept": "accepted", "deny": "denied"}[verb],
        "we know them",
    )
    ended = caller.network.reached(asked["id"], {"complete", "denied"}, team="mercy")
    assert ended["market_status"] == {"accept": "complete", "deny": "denied"}[verb]


async def test_a_request_that_does_not_exist_is_not_found(caller: Caller) -> None:
    """An id may be wrong in both places."""
    answer = await caller.client.post(f"/v1/access-requests/{uuid4()}/{uuid4()}/accept")

    assert (answer.status_code, answer.json()["code"]) == (404, "access-request-not-found")


async def test_assets_are_listed_and_fetched_one_by_one(caller: Caller) -> None:
    """What a job can be made of; where the bytes are, and the token to them, stays here."""
    items = (await caller.get("/v1/assets"))["items"]
    named = {item["name"]: item for item in items}

    assert {"mercy/breast-cancer", "lakeside/breast-cancer", "globex/holdout", "globex/patients"} <= named.keys()
    holdout = named["globex/holdout"]
    assert await caller.get(f"/v1/assets/{holdout['id']}") == holdout
    assert {column["role"] for column in holdout["columns"]} == {"identifier", "feature", "target"}
    assert "content" not in holdout


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"name": "mercy/patients"}, {"mercy/patients"}),
        ({"name": "holdout"}, {"globex/holdout"}),
        ({"team": "lakeside"}, {"lakeside/breast-cancer"}),
        ({"name": "patients", "team": "globex"}, {"globex/patients"}),
        ({"name": "nothing"}, set()),
    ],
)
async def test_assets_are_narrowed(caller: Caller, query: dict[str, str], expected: set[str]) -> None:
    """By alias or by the part after the slash, by team."""
    items = (await caller.get("/v1/assets", **query))["items"]

    assert {item["name"] for item in items} == expected


async def test_a_trained_model_is_an_asset_of_its_kind(caller: Caller, finished: Finished) -> None:
    """It names the job that made it."""
    model = await caller.get(f"/v1/assets/{finished.regression['result']['asset_id']}")
    models = (await caller.get("/v1/assets", kind="model"))["items"]

    assert (model["kind"], model["team"], model["job_id"]) == ("model", "globex", finished.regression["id"])
    assert model in models


async def test_an_asset_that_does_not_exist_is_not_found(caller: Caller) -> None:
    """As for jobs."""
    answer = await caller.client.get(f"/v1/assets/{uuid4()}")

    assert (answer.status_code, answer.json()["code"]) == (404, "asset-not-found")


async def test_an_uploaded_table_is_used_like_any_other(caller: Caller) -> None:
    """Identifiers of one's own, matched with mercy's: exactly the common ones come back."""
    matched = caller.network.job(caller.network.run(INTERSECTION)["id"])
    caller.network.reached(matched["id"], {"complete"})
    await caller.get(f"/v1/jobs/{matched['id']}")
    await caller.until_end(matched["id"])
    table = await caller.get(f"/v1/jobs/{matched['id']}/result/table")
    known = [row[table["columns"].index("patient_id")] for row in table["rows"]][:3]
    name = f"cohort-{uuid4()}"

    upload = await caller.client.post(
        "/v1/assets", params={"name": name}, content=_csv([*known, "nobody-1", "nobody-2"]), headers=_CSV
    )
    job = await caller.finished(
        {"operation": "PRIVATE_SET_INTERSECTION", "dataset": [f"globex/{name}", "mercy/patients"]}
    )

    assert upload.status_code == 201
    assert (upload.json()["name"], upload.json()["records"]) == (f"globex/{name}", 5)
    assert upload.headers["Location"] == f"/v1/assets/{upload.json()['id']}"
    result = await caller.client.get(f"/v1/jobs/{job['id']}/result/table", headers={"Accept": "text/csv"})
    columns, *rows = csv.reader(io.StringIO(result.text))
    assert {row[columns.index("patient_id")] for row in rows} == {str(one) for one in known}


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x01\x02\x03" * 100, b'a,b\n1,2,3\n"'],
    ids=["empty", "binary", "ragged"],
)
async def test_nonsense_is_no_table_and_its_name_stays_free(caller: Caller, content: bytes) -> None:
    """Whoever sent the wrong file sends the right one under the same name."""
    name = f"nonsense-{uuid4()}"

    refused = await caller.client.post("/v1/assets", params={"name": name}, content=content, headers=_CSV)
    again = await caller.client.post("/v1/assets", params={"name": name}, content=_csv(["a", "b"]), headers=_CSV)

    assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), refused.text
    assert again.status_code == 201, again.text


async def test_a_name_that_is_taken_is_refused(caller: Caller) -> None:
    """An asset that jobs use is not replaced under their feet."""
    answer = await caller.client.post("/v1/assets", params={"name": "patients"}, content=_csv(["a"]), headers=_CSV)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", "name")


async def test_a_table_of_an_unknown_kind_is_refused(caller: Caller) -> None:
    """Before anything of it is kept."""
    name = f"unknown-{uuid4()}"
    answer = await caller.client.post(
        "/v1/assets", params={"name": name}, content=b"{}", headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert (await caller.get("/v1/assets", name=name))["items"] == []


async def test_operations_describe_their_params(caller: Caller) -> None:
    """A form can be built from what stands here."""
    items = {item["name"]: item for item in (await caller.get("/v1/operations"))["items"]}

    regression = items["REGRESSION"]
    assert regression["available"]
    assert regression["params"]["properties"]["regression_type"]["enum"] == ["LINEAR", "LOGISTIC"]
    assert regression["preprocessor"]["type"] == "object"
    assert regression["datasets"]["min"] == 2
    assert items["EXECUTE"]["message_types"][0] == "InferenceResults"


def _csv(identifiers: list[object]) -> bytes:
    return "\n".join(["patient_id,age", *(f"{one},{50 + row}" for row, one in enumerate(identifiers))]).encode() + b"\n"
