"""Nonsense of every kind: one shape of answer, which names what is wrong and what is allowed; and nothing half-done."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from tests.support.gateway import Caller
from tests.support.network import INTERSECTION, REGRESSION

_JSON = {"Content-Type": "application/json"}
_JOB = {"job_name": "never made", **REGRESSION}
_HUGE_BYTES = 100 * 1024 * 1024

# What is sent, the status, the field that is named, and what stands in `allowed`.
_REFUSED_BODIES: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "an unknown operation": ({**_JOB, "operation": "TELEPATHY"}, "operation", "REGRESSION"),
    "a dataset that does not exist": (
        {**_JOB, "dataset": ["mercy/nothing", "lakeside/breast-cancer"]},
        "dataset.0",
        None,
    ),
    "a dataset id that does not exist": ({**_JOB, "dataset": ["mercy/breast-cancer", str(uuid4())]}, "dataset.1", None),
    "too few datasets": ({**_JOB, "dataset": ["mercy/breast-cancer"]}, "dataset", None),
    "one preprocessor too many": ({**_JOB, "preprocessor": [{}, {}, {}]}, "preprocessor", None),
    "a param nobody knows": ({**_JOB, "params": {"regression_type": "LOGISTIC", "magic": 1}}, "params.magic", None),
    "a param of another kind": (
        {**_JOB, "params": {"regression_type": "QUADRATIC"}},
        "params.regression_type",
        "LINEAR",
    ),
    "a param that is missing": ({**_JOB, "params": {}}, "params.regression_type", None),
    "a field nobody knows": ({**_JOB, "datasets": []}, "datasets", None),
    "a field that is missing": (dict(REGRESSION), "job_name", None),
    "an empty name": ({**_JOB, "job_name": ""}, "job_name", None),
    "a name without end": ({**_JOB, "job_name": "x" * 201}, "job_name", None),
    "a label that is no text": ({**_JOB, "labels": {"a": 1}}, "labels.a", None),
    "a list for an object": ({**_JOB, "params": []}, "params", None),
    "a team's own data in its regression": (
        {**_JOB, "dataset": ["globex/holdout", "mercy/breast-cancer"]},
        "dataset",
        None,
    ),
    "an intersection of one's own tables": (
        {"job_name": "x", **INTERSECTION, "dataset": ["globex/patients", "globex/holdout"]},
        "dataset",
        None,
    ),
}


@pytest.mark.parametrize("what", _REFUSED_BODIES)
async def test_a_job_that_cannot_be_is_refused_and_nothing_is_kept(caller: Caller, what: str) -> None:
    """The field is named, and where there is a closed set, what is allowed; neither we nor the Router keep anything."""
    body, field, allowed = _REFUSED_BODIES[what]
    before = await _kept(caller)

    answer = await caller.client.post("/v1/jobs", params={"submit": "true"}, json=body)

    problem = _problem(answer, 422, "invalid", instance="/v1/jobs")
    assert problem["field"] == field
    if allowed is not None:
        assert allowed in problem["allowed"]
    assert await _kept(caller) == before


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"job_name": ', 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b"", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b"null", 422, "invalid"),
        (json.dumps({**_JOB, "params": {"regression_type": "LOGISTIC", "x": float("nan")}}).encode(), 422, "invalid"),
        (json.dumps({**_JOB, "params": {"regression_type": "LOGISTIC", "x": float("inf")}}).encode(), 422, "invalid"),
        (b'{"job_name": "\\ud800", "operation": "REGRESSION"}', 422, "invalid"),
        (b'{"job_name": "x", "operation": "x", "params": {"\\ud800": 1}}', 422, "invalid"),
        (b'{"job_name": "x", "operation": "x", "params": ' + b'{"a":' * 3000 + b"1" + b"}" * 3000 + b"}", None, None),
        (b'{"job_name": "x", "operation": "x", "params": {"n": ' + b"9" * 5000 + b"}}", None, None),
    ],
    ids=[
        "cut-json",
        "no-utf8",
        "empty",
        "list",
        "null",
        "nan",
        "infinity",
        "half-a-surrogate",
        "half-a-surrogate-in-params",
        "nested-3000-deep",
        "integer-of-5000-digits",
    ],
)
async def test_a_body_that_is_no_job_is_refused(
    caller: Caller, body: bytes, status: int | None, code: str | None
) -> None:
    """Whatever the bytes are: the caller is told what is wrong with them, and it is never our failure."""
    before = await _kept(caller)

    answer = await caller.client.post("/v1/jobs", content=body, headers=_JSON)

    assert answer.status_code in ({status} if status else {400, 422})
    _problem(answer, answer.status_code, code or answer.json()["code"], instance="/v1/jobs")
    assert await _kept(caller) == before


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
async def test_a_body_that_does_not_say_it_is_json_is_refused(caller: Caller, kind: str) -> None:
    """A web page elsewhere can send such a body without being asked."""
    headers = {"Content-Type": kind} if kind else {}
    answer = await caller.client.post("/v1/jobs", content=json.dumps(_JOB).encode(), headers=headers)

    _problem(answer, 415, "unsupported-media-type", instance="/v1/jobs")


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/{job_id}/cancel"])
async def test_a_huge_body_is_refused_at_once_and_not_held(caller: Caller, path: str) -> None:
    """413, whether its length is announced or not, and the process is no larger afterwards."""
    path = path.format(job_id=uuid4())
    before_kb = _resident_kb(caller.gateway.pid)

    announced = await caller.client.post(path, content=bytes(_HUGE_BYTES), headers=_JSON)
    in_pieces = await caller.client.post(path, content=_pieces(), headers=_JSON)

    _problem(announced, 413, "too-large", instance=path)
    _problem(in_pieces, 413, "too-large", instance=path)
    assert _resident_kb(caller.gateway.pid) - before_kb < 20_000


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/v1/jobs", {"GET", "POST"}),
        ("PUT", "/v1/assets", {"GET", "POST"}),
        ("GET", "/v1/jobs/{job_id}/cancel", {"POST"}),
        ("POST", "/v1/jobs/{job_id}/events", {"GET"}),
        ("PATCH", "/v1/jobs/{job_id}", {"GET"}),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(caller: Caller, method: str, path: str, allowed: set[str]) -> None:
    """RFC 9110: a 405 lists every method the resource takes."""
    path = path.format(job_id=uuid4())
    answer = await caller.client.request(method, path)

    _problem(answer, 405, "method-not-allowed", instance=path)
    assert {one.strip() for one in answer.headers["Allow"].split(",")} == allowed


@pytest.mark.parametrize("path", ["/nowhere", "/v1", "/v2/jobs", "/v1/jobs/find/all"])
async def test_an_unknown_path_is_a_problem_like_any_other(caller: Caller, path: str) -> None:
    """No door answers in another shape."""
    answer = await caller.client.get(path)

    _problem(answer, 404, "path-not-found", instance=path)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/jobs/not-a-uuid", "job_id"),
        ("/v1/jobs/not-a-uuid/events", "job_id"),
        ("/v1/assets/not-a-uuid", "asset_id"),
        ("/v1/jobs?id=not-a-uuid", "id"),
        ("/v1/jobs?nmae=x", "nmae"),
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=1000000", "limit"),
        ("/v1/jobs?limit=many", "limit"),
        ("/v1/jobs?cursor=nonsense", "cursor"),
        ("/v1/jobs?cursor=W10", "cursor"),
        ("/v1/jobs?cursor=%F0%9F%92%A9", "cursor"),
        ("/v1/jobs/find?limit=3", "limit"),
        (f"/v1/jobs/{UUID(int=0)}/history?after=-1", "after"),
        (f"/v1/jobs/{UUID(int=0)}/history?after={10**30}", "after"),
        (f"/v1/jobs/{UUID(int=0)}/events?after=-1", "after"),
        (f"/v1/events?after={10**30}", "after"),
        ("/v1/events?after=x", "after"),
    ],
)
async def test_a_wrong_path_or_query_names_the_field(caller: Caller, path: str, field: str) -> None:
    """A misspelt filter that is silently ignored answers another question."""
    answer = await caller.client.get(path)

    problem = _problem(answer, 422, "invalid", instance=path.partition("?")[0])
    assert problem["field"] == field


@pytest.mark.parametrize(
    ("query", "allowed"),
    [("job_status=soon", {"waiting", "active", "history"}), ("phase=asleep", {"created", "complete", "denied"})],
)
async def test_a_value_outside_of_a_closed_set_is_told_the_set(caller: Caller, query: str, allowed: set[str]) -> None:
    """What is allowed is a list, whoever found the fault: a program can offer it."""
    problem = _problem(await caller.client.get(f"/v1/jobs?{query}"), 422, "invalid", instance="/v1/jobs")

    assert isinstance(problem["allowed"], list)
    assert allowed <= set(problem["allowed"])


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "٣"])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/jobs/{job_id}/events"])
async def test_a_last_event_id_that_is_none_is_refused(caller: Caller, path: str, last: str) -> None:
    """To begin from somewhere else instead would skip or repeat events in silence."""
    path = path.format(job_id=(await caller.create(REGRESSION))["id"])

    answer = await caller.client.get(path, headers={b"Last-Event-ID": last.encode()})

    assert _problem(answer, 422, "invalid", instance=path)["field"] == "Last-Event-ID"


async def test_a_cursor_belongs_to_the_query_that_gave_it(caller: Caller) -> None:
    """With other filters it would point to the middle of another list."""
    for number in range(2):
        await caller.create(REGRESSION, name=f"cursor {number}")
    cursor = (await caller.get("/v1/jobs", limit="1"))["next_cursor"]

    answer = await caller.client.get("/v1/jobs", params={"limit": "1", "name": "cursor 1", "cursor": cursor})

    assert _problem(answer, 422, "invalid", instance="/v1/jobs")["field"] == "cursor"


async def test_every_answer_has_a_request_id_of_its_own(caller: Caller) -> None:
    """It is what a person reads to whoever holds the log."""
    answers = [await caller.client.get(path) for path in ("/livez", "/v1/jobs", "/nowhere", "/nowhere")]

    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 4
    assert answers[-1].json()["request_id"] == answers[-1].headers["X-Request-Id"]


def _problem(answer: httpx.Response, status: int, code: str, *, instance: str) -> dict[str, Any]:
    """The problem document, after a look at what all of them share."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["type"].endswith(f":{code}")
    assert problem["title"]
    assert problem["detail"].endswith((".", "?", ")")) or " " in problem["detail"]
    assert (problem["status"], problem["code"], problem["instance"]) == (status, code, instance)
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem


async def _kept(caller: Caller) -> tuple[list[str], list[str]]:
    """The newest jobs that the gateway and the Router have."""
    ours = await caller.get("/v1/jobs")
    theirs = caller.network.client("globex").get("/v1/jobs", params={"limit": 50}).json()
    return [job["id"] for job in ours["items"]], [job["id"] for job in theirs["items"]]


async def _pieces() -> AsyncIterator[bytes]:
    for _ in range(_HUGE_BYTES // 65_536):
        yield bytes(65_536)


def _resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])


@pytest.mark.parametrize(
    "path", ["/v1/assets?kin=table", "/v1/access-requests?stat=pending", "/v1/events?aftr=1", "/v1/jobs?naem=x"]
)
async def test_a_misspelt_query_parameter_is_refused_with_those_there_are(caller: Caller, path: str) -> None:
    """Ignored, it would silently widen the answer."""
    answer = await caller.client.get(path)

    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["field"]) == (
        422,
        "invalid",
        path.partition("?")[2][:4].rstrip("="),
    )
    assert problem["allowed"]


async def test_a_wrong_value_deep_in_params_is_named_as_it_was_written(caller: Caller) -> None:
    """What a validator calls its alternatives is nothing a caller wrote."""
    wrong = '{"job_name":"deep","operation":"REGRESSION","params":{"model_params":{"max_iter":1e999}}}'

    answer = await caller.client.post("/v1/jobs", content=wrong, headers={"Content-Type": "application/json"})

    assert answer.json()["field"].startswith("params.model_params.max_iter")


async def test_a_name_that_nobody_can_see_is_refused(caller: Caller) -> None:
    """A list of blanks helps nobody."""
    answer = await caller.client.post("/v1/jobs", json={"job_name": "   ", "operation": "REGRESSION"})

    assert (answer.status_code, answer.json()["field"]) == (422, "job_name")


async def test_a_path_of_its_own_is_never_taken_for_an_id(caller: Caller) -> None:
    """There is a POST of it; a GET would look for a job of that name, and say that it is no UUID."""
    answer = await caller.client.get("/v1/jobs/preflight")

    assert (answer.status_code, answer.json()["code"]) == (405, "method-not-allowed")
    assert answer.headers["Allow"] == "POST"
