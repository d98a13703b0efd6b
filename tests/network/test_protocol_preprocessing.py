"""The choice of columns before a computation."""

from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from network.protocols.party import JobFailed
from network.protocols.preprocessing import prepare
from network.protocols.preprocessor import Preprocessor

TABLE = pa.table({"patient_id": ["p"], "age": [40.0], "weight": [70.0], "target": [1]})
ROLES = {"patient_id": "identifier", "age": "feature", "weight": "feature", "target": "target"}


def prepared(**keys: Any) -> dict[str, str]:
    table, roles = prepare(TABLE, ROLES, Preprocessor.model_validate(keys))
    assert table.column_names == list(roles)
    return roles


def test_without_a_preprocessor_all_stays_as_it_is() -> None:
    """A job need not have one."""
    assert prepare(TABLE, ROLES, None) == (TABLE, ROLES)


def test_only_the_added_columns_are_kept_in_their_order() -> None:
    """What is not asked for is not computed on."""
    roles = prepared(add_column=[{"name": "target", "target": True}, {"name": "age"}])

    assert list(roles.items()) == [("target", "target"), ("age", "feature")]


def test_another_target_makes_the_old_one_a_feature() -> None:
    """There is one target; with all_columns the rest is what predicts it."""
    roles = prepared(all_columns=True, add_column=[{"name": "age", "target": True}])

    assert roles == {"patient_id": "identifier", "age": "target", "weight": "feature", "target": "feature"}


def test_an_added_identifier_stays_one() -> None:
    """No choice of columns makes a name a number."""
    assert prepared(add_column=[{"name": "patient_id"}]) == {"patient_id": "identifier"}


def test_a_column_that_is_not_there_is_named() -> None:
    """All of them at once."""
    with pytest.raises(JobFailed, match="does not have: height, shoe"):
        prepared(add_column=[{"name": "height"}, {"name": "shoe"}])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            {"all_columns": True, "python_transform": "import os"},
            "python_transform is not offered; allowed: type, all_",
        ),
        ({"all_columns": True, "sql_transform": "select"}, "sql_transform is not offered"),
        ({"type": "image", "all_columns": True}, "Input should be 'tabular'"),
        ({}, "no column is selected"),
        ({"add_column": [{"name": "age"}, {"name": "age"}]}, "a column twice"),
        ({"add_column": [{"name": "age", "target": True}, {"name": "b", "target": True}]}, "more than one target"),
        ({"add_column": [{"name": "age", "encode": "onehot"}]}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_not_offered_is_refused_by_name(keys: dict[str, Any], told: str) -> None:
    """Transforms are arbitrary code, and run where the data are."""
    with pytest.raises(ValidationError, match=told):
        Preprocessor.model_validate(keys)
