"""What the Router and the Access Points refuse, and that every refusal has the one shape."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.network import INTERSECTION, REGRESSION, RunningNetwork

BAD_JOBS: list[tuple[dict[str, Any], str]] = [
    ({"operation": "NOTHING"}, "operation"),
    ({"operation": "mercy/patients"}, "operation"),
    ({"job_name": ""}, "job_name"),
    ({"job_name": "x" * 201}, "job_name"),
    ({"dataset": ["globex/patients", "mercy/nothing"]}, "dataset.1"),
    ({"dataset": ["globex/patients"]}, "dataset"),
    ({"preprocessor": [{"all_columns": True}] * 3}, "preprocessor"),
    ({"preprocessor": [{"all_columns": True}, {"colour": "red"}]}, "preprocessor.1"),
    ({"params": {"match_column": 7}}, "params.match_column"),
    ({"params": {"colour": "red"}}, "params.colour"),
    ({"labels": {"a": 1}}, "labels.a"),
    ({"surprise": 1}, "surprise"),
    ({"job_name": " \u200b\t"}, "job_name"),
    ({"params": {"match_column": ["patient_id", 7]}}, "params.match_column"),
]


@pytest.mark.parametrize(("change", "field"), BAD_JOBS)
def test_an_invalid_job_names_its_field_and_leaves_nothing(
    running_network: RunningNetwork, change: dict[str, Any], field: str
) -> None:
    client = running_network.client("globex")
    reference = str(uuid4())

    answer = client.post("/v1/jobs", json={"client_ref": reference, "job_name": "bad", **INTERSECTION, **change})

    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("invalid", field), error
    assert client.get("/v1/jobs", params={"client_ref": reference}).json() == {"items": []}


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "code"),
    [
        ("GET", "/v1/nothing", b"", 404, "not-found"),
        ("GET", "/v1/jobs/", b"", 404, "not-found"),
        ("DELETE", "/v1/jobs", b"", 405, "method-not-allowed"),
        ("GET", "/v1/jobs/not-a-uuid", b"", 404, "not-found"),
        ("GET", "/v1/assets/9c9c2f5e-0000-4000-8000-000000000000", b"", 404, "not-found"),
        ("POST", "/v1/jobs", b"{", 400, "malformed"),
        ("POST", "/v1/jobs", b'{"job_name": NaN}', 400, "malformed"),
        ("POST", "/v1/jobs", b"[]", 422, "invalid"),
        ("POST", "/v1/jobs", b" " * (1 << 20) + b"{}", 413, "too-large"),
        ("GET", "/v1/changes?after=soon", b"", 422, "invalid"),
        ("GET", "/v1/access-requests?state=maybe", b"", 422, "invalid"),
    ],
)
def test_every_refusal_has_the_one_shape(  # noqa: PLR0917  # a table's columns
    running_network: RunningNetwork, method: str, path: str, content: bytes, status: int, code: str
) -> None:
    answer = running_network.client("globex").request(method, path, content=content)

    assert answer.status_code == status
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["detail"]


def test_without_a_known_token_nothing_opens(running_network: RunningNetwork) -> None:
    for token in ("", "Bearer nonsense", "Bearer \xe9"):
        headers = {"Authorization": token.encode("latin-1")}
        for path in ("/v1/me", "/v1/jobs", "/internal/orders"):
            answer = httpx.get(running_network.router_url + path, headers=headers)  # type: ignore[arg-type]  # raw bytes on purpose
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")


def test_a_users_token_does_not_open_the_access_points_side(running_network: RunningNetwork) -> None:
    assert running_network.client("mercy").get("/internal/orders").status_code == 401


def test_another_teams_job_can_be_seen_by_its_owners_only_and_stopped_by_none(running_network: RunningNetwork) -> None:
    job_id = running_network.submit(INTERSECTION)["id"]

    owner, stranger = running_network.client("mercy"), running_network.client("lakeside")

    assert owner.get(f"/v1/jobs/{job_id}").json()["stream"] is None
    refused = owner.post(f"/v1/jobs/{job_id}/cancel")
    assert (refused.status_code, refused.json()["error"]["team"]) == (403, "globex")
    assert stranger.get(f"/v1/jobs/{job_id}").status_code == 404
    running_network.act(job_id, "cancel")


def test_only_the_owner_decides_and_only_once(running_network: RunningNetwork) -> None:
    job = running_network.submit(REGRESSION)
    asset_id = next(missing["asset_id"] for missing in job["waiting_on"] if missing["team"] == "mercy")
    path = f"/v1/access-requests/{asset_id}/{job['id']}"

    assert running_network.client("globex").post(f"{path}/accept").status_code == 403
    mercy = running_network.client("mercy")
    assert [mercy.post(f"{path}/accept").status_code for _ in range(2)] == [200, 200]
    refused = mercy.post(f"{path}/deny")

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "already-decided")
    running_network.act(job["id"], "cancel")


def test_an_upload_becomes_an_asset_and_what_is_no_table_leaves_nothing(running_network: RunningNetwork) -> None:
    client = running_network.client("globex")
    asset = client.post("/v1/assets", json={"name": f"up-{uuid4()}", "kind": "table"}).json()
    headers = {"Authorization": f"Bearer {asset['content']['token']}"}
    url, csv = asset["content"]["url"], headers | {"Content-Type": "text/csv"}

    for content in (b"a,a\n1,2\n", b"a,b\n", b"a,b\n\xe9,2\n", b"\xe9,b\n1,2\n"):
        refused = httpx.put(url, headers=csv, content=content)
        assert (refused.status_code, refused.json()["error"]["field"]) == (422, "body"), content
    assert client.get(f"/v1/assets/{asset['id']}").status_code == 404
    assert client.get("/v1/assets", params={"name": asset["name"]}).json() == {"items": []}
    assert httpx.put(url, headers=csv, content=b"patient_id,x\nfirst-one,1\nsecond-one,2\n").status_code == 200

    after = client.get(f"/v1/assets/{asset['id']}").json()
    assert (after["records"], [column["role"] for column in after["columns"]]) == (2, ["identifier", "feature"])
    assert (
        httpx.get(url, headers=headers | {"Accept": "text/csv"}).content
        == b'"patient_id","x"\n"first-one",1\n"second-one",2\n'
    )
    assert httpx.get(url, headers=headers | {"Accept": "image/png"}).status_code == 406
    taken = client.post("/v1/assets", json={"name": asset["name"].partition("/")[2], "kind": "table"})
    assert (taken.status_code, taken.json()["error"]["field"]) == (422, "name")
