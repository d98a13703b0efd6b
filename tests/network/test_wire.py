"""Which error of several is told, where it says it is, and what it says would be allowed."""

from typing import Any

import pytest
from pydantic import BaseModel

from network import wire
from network.protocols.parameters import IntersectionParams, RegressionParams
from network.protocols.preprocessor import Preprocessor
from network.refusals import Refusal
from network.router.drafts import CreateJob


class Nested(BaseModel):
    """A union whose members pydantic names in its paths."""

    model_params: dict[str, int] | list[int] = {}


def refused(model: type[BaseModel], document: object) -> dict[str, Any]:
    """What the caller is told."""
    with pytest.raises(Refusal) as caught:
        wire.checked(model, document)
    told = caught.value.body["error"]
    assert isinstance(told, dict)
    return told


@pytest.mark.parametrize(
    ("model", "document", "field"),
    [
        (Nested, {"model_params": {"max_iter": None}}, "model_params.max_iter"),
        (Nested, {"model_params": 7}, "model_params"),
        (IntersectionParams, {"match_column": 7}, "match_column"),
        (RegressionParams, {}, "regression_type"),
        (Preprocessor, {"add_column": [{"name": "a"}, {"target": True}]}, "add_column.1.name"),
    ],
)
def test_a_path_holds_only_what_the_caller_wrote_or_left_out(
    model: type[BaseModel], document: object, field: str
) -> None:
    assert refused(model, document)["field"] == field


def test_an_unknown_key_is_told_before_a_missing_one_with_the_keys_there_are() -> None:
    told = refused(RegressionParams, {"regresion_type": "LINEAR"})

    assert (told["field"], told["allowed"]) == ("regresion_type", list(RegressionParams.model_fields))


def test_a_nested_unknown_key_does_not_get_the_keys_of_the_whole() -> None:
    told = refused(RegressionParams, {"regression_type": "LINEAR", "model_params": {"colour": 1}})

    assert (told["field"], "allowed" in told) == ("model_params.colour", False)


def test_a_preprocessor_key_is_refused_with_those_that_are_offered() -> None:
    told = refused(Preprocessor, {"{colour}": "red"})

    assert told["allowed"] == list(Preprocessor.model_fields)
    assert told["detail"].startswith("The body: {colour} is not offered")


@pytest.mark.parametrize("name", ["", "   ", "\t\n", "\u200b", "\u00a0"])
def test_a_job_needs_a_name_that_can_be_seen(name: str) -> None:
    told = refused(CreateJob, {"client_ref": "one", "job_name": name, "operation": "EXECUTE"})

    assert told["field"] == "job_name"
    assert "Value error" not in told["detail"]
