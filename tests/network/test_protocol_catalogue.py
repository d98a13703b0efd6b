"""The operations on offer: which jobs they take, and what they say about those they do not."""

import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import pytest
from pydantic import ValidationError

from network.protocols.catalogue import OPERATIONS, AssetInfo, Column, InvalidJob

COLUMNS = (
    Column(name="patient_id", dtype="string", role="identifier"),
    Column(name="age", dtype="double", role="feature"),
    Column(name="target", dtype="int64", role="target"),
)

REQUIRED: dict[str, dict[str, Any]] = {
    "REGRESSION": {"regression_type": "LOGISTIC"},
    "RECOMMENDER_TRAIN": {"item_count": 10},
}


def table(team: str, name: str = "rows", *, kind: str = "table", columns: tuple[Column, ...] = COLUMNS) -> AssetInfo:
    return AssetInfo(asset_id=f"id of {team}/{name}", name=f"{team}/{name}", team=team, kind=kind, columns=columns)


def check(operation: str, *datasets: AssetInfo, **params: Any) -> None:
    offered = OPERATIONS[operation]
    offered.check(initiator="globex", datasets=datasets, params=offered.params(**params))


def refusal(operation: str, *datasets: AssetInfo, **params: Any) -> InvalidJob:
    with pytest.raises(InvalidJob) as raised:
        check(operation, *datasets, **params)
    return raised.value


def test_reading_the_catalogue_loads_no_numerical_library() -> None:
    """The Router reads it and computes nothing."""
    heavy = "{'numpy', 'pyarrow', 'sklearn', 'cryptography', 'private_set_intersection'}"
    program = (
        f"import network.protocols.catalogue, network.protocols.preprocessor, sys; print({heavy} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "set()\n"


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_operation_that_is_offered_can_be_run(operation: Any) -> None:
    """A name in the catalogue is a promise."""
    if operation.why_not is None:
        assert callable(import_module(operation.module).run)


def test_intersection_is_offered_where_its_library_is() -> None:
    """Elsewhere the reason is given, and everything else works."""
    why_not = OPERATIONS["PRIVATE_SET_INTERSECTION"].why_not

    assert (why_not is None) == (find_spec("private_set_intersection") is not None)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=lambda operation: operation.name)
def test_every_param_is_described_and_no_other_is_taken(operation: Any) -> None:
    """The schema is published; a misspelt param must not be ignored in silence."""
    schema = operation.params.model_json_schema()

    assert schema["additionalProperties"] is False
    for properties in [schema["properties"], *(model["properties"] for model in schema.get("$defs", {}).values())]:
        assert [name for name, described in properties.items() if "description" not in described] == []


def test_another_security_than_the_offered_ones_is_refused() -> None:
    """Silence would let the caller believe in a protection that is not there."""
    with pytest.raises(ValidationError, match="Input should be 'fed' or 'smpc'"):
        OPERATIONS["EXECUTE"].params(security="none")


def test_a_secret_execution_needs_a_third_team() -> None:
    """The one who deals the random numbers could take them off its peer's shares."""
    refused = refusal("EXECUTE", table("globex"), security="smpc")

    assert (refused.field, refused.allowed) == ("params.security", ["fed"])
    check("EXECUTE", table("mercy"), security="smpc")


@pytest.mark.parametrize(
    ("operation", "datasets"),
    [
        ("PRIVATE_SET_INTERSECTION", [table("globex"), table("mercy")]),
        ("PRIVATE_SET_INTERSECTION", [table("mercy"), table("globex", columns=())]),
        ("REGRESSION", [table("mercy"), table("lakeside")]),
        ("REGRESSION", [table("mercy"), table("mercy", "more"), table("lakeside")]),
        ("FEDERATED_LEARNING_PROTOCOL", [table("mercy"), table("lakeside")]),
        ("BLIND_LEARNING", [table("mercy"), table("lakeside")]),
        ("RECOMMENDER_TRAIN", [table("mercy", columns=()), table("lakeside", columns=())]),
        ("EXECUTE", [table("mercy")]),
    ],
)
def test_a_job_that_its_owners_can_agree_to_is_taken(operation: str, datasets: list[AssetInfo]) -> None:
    """The ready-made jobs and their variations."""
    check(operation, *datasets, **REQUIRED.get(operation, {}))


@pytest.mark.parametrize(
    ("operation", "datasets", "detail"),
    [
        ("PRIVATE_SET_INTERSECTION", [table("globex")], "takes exactly 2 datasets, 1 given"),
        ("PRIVATE_SET_INTERSECTION", [table("globex"), table("globex", "b")], "two different teams"),
        ("PRIVATE_SET_INTERSECTION", [table("lakeside"), table("mercy")], "must belong to globex"),
        ("REGRESSION", [table("mercy")], "takes 2 to 32 datasets, 1 given"),
        ("REGRESSION", [table("mercy"), table("globex")], "could subtract its part"),
        ("REGRESSION", [table("mercy"), table("mercy", "b")], "sums of one owner"),
        ("FEDERATED_LEARNING_PROTOCOL", [table("mercy"), table("globex")], "could subtract its part"),
        ("FEDERATED_LEARNING_PROTOCOL", [table("mercy"), table("mercy", "b")], "sums of one owner"),
        ("BLIND_LEARNING", [table("mercy"), table("globex")], "could subtract its part"),
        ("RECOMMENDER_TRAIN", [table("mercy"), table("globex")], "could subtract its part"),
        ("EXECUTE", [], "takes exactly 1 dataset, 0 given"),
    ],
)
def test_a_job_that_would_tell_too_much_is_refused_with_the_reason(
    operation: str, datasets: list[AssetInfo], detail: str
) -> None:
    """Before any owner is asked."""
    refused = refusal(operation, *datasets, **REQUIRED.get(operation, {}))

    assert refused.field == "dataset"
    assert detail in refused.detail


def test_a_dataset_that_is_no_table_is_refused_by_its_place() -> None:
    """The caller gave several."""
    refused = refusal("REGRESSION", table("mercy"), table("lakeside", kind="model"), regression_type="LINEAR")

    assert (refused.field, refused.allowed) == ("dataset.1", ["table"])


def test_a_dataset_given_twice_is_refused() -> None:
    """Its rows would count twice."""
    refused = refusal("REGRESSION", table("mercy"), table("lakeside"), table("mercy"), regression_type="LINEAR")

    assert refused.field == "dataset.2"


def test_a_column_that_does_not_exist_is_refused_with_those_that_do() -> None:
    """Found here, it costs nobody a permission."""
    target = refusal("REGRESSION", table("mercy"), table("lakeside"), regression_type="LINEAR", target="sum")
    user = refusal("RECOMMENDER_TRAIN", table("mercy"), table("lakeside"), item_count=10)
    match = refusal("PRIVATE_SET_INTERSECTION", table("globex"), table("mercy"), match_column=["patient_id", "name"])

    assert (target.field, target.allowed) == ("params.target", ["patient_id", "age", "target"])
    assert (user.field, user.detail) == ("params.user_column", "mercy/rows has no column 'user_id'")
    assert (match.field, match.detail) == ("params.match_column", "mercy/rows has no column 'name'")
