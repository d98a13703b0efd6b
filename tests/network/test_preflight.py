"""What preflight and usage say is what submit then does, for the same job and the same agreements."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from network.router.agreements import Agreement, Plan, Use, approvals, status
from tests.support.agreements import Agree, agreement_now, requests_of
from tests.support.network import INTERSECTION, RunningNetwork

FINAL = {"complete", "error", "cancelled", "killed", "denied"}
TRAINING = {
    "operation": "REGRESSION",
    "dataset": ["mercy/breast-cancer", "globex/holdout"],
    "params": {"regression_type": "LOGISTIC"},
}
PAIR = {"operation": "PRIVATE_SET_INTERSECTION", "dataset": ["globex/patients", "lakeside/breast-cancer"]}
POOL = TRAINING | {"dataset": ["mercy/breast-cancer", "lakeside/breast-cancer"]}


@pytest.fixture(scope="module")
def model(running_network: RunningNetwork) -> Iterator[str]:
    """A model of lakeside's. Lakeside is away from then on, so that what is allowed waits and computes nothing."""
    job = running_network.run(TRAINING, team="lakeside")
    made = running_network.reached(job["id"], FINAL, team="lakeside")["result"]["asset_id"]
    running_network.stop_access_point("lakeside")
    yield str(made)
    running_network.start_access_point("lakeside")


@dataclass(frozen=True, kw_only=True)
class Case:
    """A job, the agreements it meets, and what is missing; MODEL stands for the model."""

    job: dict[str, Any]
    agreements: tuple[tuple[str, dict[str, Any]], ...] = ()
    missing: str | None


SCORING = {"operation": "MODEL", "dataset": ["mercy/breast-cancer"]}
OWN_ROWS = SCORING | {"dataset": ["globex/holdout"]}
NAMED = {"operation": "EXECUTE", "dataset": ["mercy/breast-cancer"], "params": {"model": "MODEL"}}
ROWS = {"asset_id": "mercy/breast-cancer"}
MODEL_MAY_RUN = ("lakeside", {"asset_id": "MODEL", "protocol": "EXECUTE"})
MODEL_MAY_READ = ("mercy", ROWS | {"algorithm": "MODEL", "algorithm_security": "fed"})
ALL_MAY_BE_MATCHED = ("lakeside", {"asset_restricted": False, "protocol": "PRIVATE_SET_INTERSECTION"})
CHOICE = {"all_columns": True, "add_column": [{"name": "target", "target": True}]}
CASES = {
    "nothing was agreed": Case(job=PAIR, missing="data"),
    "another team's algorithm": Case(job=OWN_ROWS, missing="alg"),
    "another team's algorithm and data": Case(job=SCORING, missing="both"),
    "every asset of the owner": Case(job=PAIR, agreements=(ALL_MAY_BE_MATCHED,), missing=None),
    "one owner of two": Case(job=POOL, agreements=(("mercy", ROWS | {"protocol": "REGRESSION"}),), missing="data"),
    "both owners": Case(
        job=POOL,
        agreements=(
            ("mercy", ROWS | {"protocol": "REGRESSION"}),
            ("lakeside", {"asset_restricted": False, "protocol": "REGRESSION", "run_limit": 1}),
        ),
        missing=None,
    ),
    "a choice of columns": Case(
        job=POOL | {"preprocessor": [CHOICE]},
        agreements=(
            ("mercy", ROWS | {"protocol": "REGRESSION"}),
            ("lakeside", {"asset_restricted": False, "protocol": "REGRESSION"}),
        ),
        missing=None,
    ),
    "SQL, which the owners must see": Case(
        job=POOL | {"preprocessor": [CHOICE | {"sql_transform": 'SELECT "mean radius", target FROM data'}]},
        agreements=(
            ("mercy", ROWS | {"protocol": "REGRESSION"}),
            ("lakeside", {"asset_restricted": False, "protocol": "REGRESSION"}),
        ),
        missing="data",
    ),
    "another protocol": Case(
        job=PAIR, agreements=(("lakeside", {"asset_restricted": False, "protocol": "REGRESSION"}),), missing="data"
    ),
    "another team": Case(
        job=PAIR, agreements=((ALL_MAY_BE_MATCHED[0], ALL_MAY_BE_MATCHED[1] | {"to_team": "mercy"}),), missing="data"
    ),
    "another asset": Case(
        job=POOL, agreements=(("mercy", {"asset_id": "mercy/patients", "protocol": "REGRESSION"}),), missing="data"
    ),
    "the algorithm, run on the data": Case(job=SCORING, agreements=(MODEL_MAY_READ,), missing="alg"),
    "the algorithm as a param": Case(job=NAMED, agreements=(MODEL_MAY_READ, MODEL_MAY_RUN), missing=None),
    "the algorithm itself": Case(job=SCORING, agreements=(MODEL_MAY_RUN,), missing="data"),
    "the algorithm run another way": Case(
        job=SCORING, agreements=(("mercy", ROWS | {"algorithm": "MODEL"}), MODEL_MAY_RUN), missing="data"
    ),
    "one run for two assets of one owner": Case(
        job=SCORING | {"dataset": ["lakeside/breast-cancer"]},
        agreements=(("lakeside", {"asset_restricted": False, "protocol": "EXECUTE", "run_limit": 1}),),
        missing=None,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_preflight_and_usage_say_what_submit_does(
    running_network: RunningNetwork, agree: Agree, model: str, case: Case
) -> None:
    body = _with_model(case.job, model)
    agreements = [agree(team, **_with_model(terms, model)) for team, terms in case.agreements]

    told = running_network.client("globex").post("/v1/jobs/preflight", json={"job_name": "a job", **body}).json()
    usage = running_network.client("globex").get("/v1/assets/usage", params=_used(body)).json()
    job = running_network.submit(body)

    assert told["status"] == case.missing
    # Without an algorithm it is not known what will run, so what was agreed about protocols does not count.
    assert usage == {"status": case.missing if "algorithm" in _used(body) else "data"}
    assert job["market_status"] == ("queue" if case.missing is None else "perm")
    asked = requests_of(running_network, job["id"])
    assert [_approval(request) for request in asked] == [
        (approval["asset_id"], approval["asset"], approval["team"], approval["agreement_id"])
        for approval in told["approvals"]
    ]
    granting = {approval["agreement_id"] for approval in told["approvals"]}
    runs = {agreement["id"]: agreement_now(running_network, agreement)["runs"] for agreement in agreements}
    assert runs == {agreement_id: int(agreement_id in granting) for agreement_id in runs}
    running_network.act(job["id"], "cancel")


def test_a_preflight_keeps_nothing_and_takes_no_client_ref(running_network: RunningNetwork) -> None:
    client = running_network.client("globex")
    newest = client.get("/v1/jobs", params={"limit": 1}).json()["items"]
    body = {"job_name": "a thought", **INTERSECTION}

    told = client.post("/v1/jobs/preflight", json=body)
    refused = client.post("/v1/jobs/preflight", json=body | {"client_ref": "one"})

    assert (told.status_code, told.json()["status"]) == (200, "data")
    assert [(approval["asset"], approval["use"]) for approval in told.json()["approvals"]] == [
        ("mercy/patients", "data")
    ]
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "client_ref")
    after = client.get("/v1/jobs", params={"limit": 1}).json()["items"]
    assert [job["id"] for job in after] == [job["id"] for job in newest]


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "NOTHING"},
        {"job_name": ""},
        {"dataset": ["globex/patients", "mercy/nothing"]},
        {"dataset": ["globex/patients"]},
        {"preprocessor": [{"colour": "red"}]},
        {"params": {"match_column": 7}},
        {"stream_to": ["lakeside"]},
    ],
)
def test_what_create_refuses_preflight_refuses_in_the_same_words(
    running_network: RunningNetwork, change: dict[str, Any]
) -> None:
    client, body = running_network.client("globex"), {"job_name": "bad", **INTERSECTION, **change}

    thought = client.post("/v1/jobs/preflight", json=body)
    made = client.post("/v1/jobs", json=body | {"client_ref": str(uuid4())})

    assert (thought.status_code, thought.json()) == (made.status_code, made.json())
    assert thought.status_code == 422


@pytest.mark.parametrize(
    ("asked", "status_code", "code"),
    [
        ({"dataset": "mercy/nothing"}, 404, "not-found"),
        ({"algorithm": "9c9c2f5e-0000-4000-8000-000000000000"}, 404, "not-found"),
        ({"dataset": ["mercy/patients", "no-asset"]}, 404, "not-found"),
        ({}, 422, "invalid"),
        ({"algorithm": "mercy/patients"}, 422, "invalid"),
    ],
    ids=["no such dataset", "no such algorithm", "one of two", "nothing named", "no algorithm"],
)
def test_usage_refuses_what_is_not_there(
    running_network: RunningNetwork, asked: dict[str, Any], status_code: int, code: str
) -> None:
    answer = running_network.client("globex").get("/v1/assets/usage", params=asked)

    assert (answer.status_code, answer.json()["error"]["code"]) == (status_code, code)


def test_nobody_is_asked_for_ones_own(running_network: RunningNetwork) -> None:
    client = running_network.client("globex")

    own = client.get("/v1/assets/usage", params={"dataset": "globex/patients"}).json()
    ids = [asset["id"] for asset in client.get("/v1/assets", params={"name": "mercy/patients"}).json()["items"]]
    others = client.get("/v1/assets/usage", params={"dataset": ["globex/patients", *ids]}).json()

    assert (own, others) == ({"status": None}, {"status": "data"})


def test_of_several_agreements_one_without_a_limit_is_taken_then_the_oldest() -> None:
    """Runs that are counted are kept for what nothing else allows."""
    plan = Plan(
        team="globex",
        program="EXECUTE",
        model=None,
        security=None,
        uses=(Use(asset_id="one", asset="mercy/one", team="mercy", use="data"),),
    )

    def agreed(name: str, run_limit: int | None) -> Agreement:
        terms: dict[str, Any] = {"asset_id": None, "algorithm": None, "algorithm_security": None, "protocol": "EXECUTE"}
        return Agreement(id=name, team="mercy", to_team="globex", run_limit=run_limit, **terms)

    chosen = approvals(plan, [agreed("old", 5), agreed("free", None), agreed("late", None)])

    assert ([approval.agreement_id for approval in chosen], status(chosen)) == (["free"], None)
    assert approvals(plan, [agreed("old", 5), agreed("young", 5)])[0].agreement_id == "old"


def _with_model(given: dict[str, Any], model: str) -> dict[str, Any]:
    def put(value: Any) -> Any:
        return _with_model(value, model) if isinstance(value, dict) else model if value == "MODEL" else value

    return {name: put(value) for name, value in given.items()}


def _used(body: dict[str, Any]) -> dict[str, Any]:
    algorithm = body.get("params", {}).get("model", body["operation"])
    used = {"dataset": body["dataset"]}
    return used if algorithm.isupper() else used | {"algorithm": algorithm}


def _approval(request: dict[str, Any]) -> tuple[str, str, str, str | None]:
    by = request["decided_by"]
    agreement_id = None if by is None else str(by).removeprefix("agreement ")
    return request["asset_id"], request["asset"], request["owner_team"], agreement_id
