"""What is taken, what is refused, and how a job is shown."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from app.api.schemas.common import Reason
from app.api.schemas.jobs import FindQuery, JobsQuery, JobToCreate, JobView, job_view
from app.domain.phases import BUCKETS, WITHOUT_CODE, Bucket, Phase
from tests.support.news import full_job, job_in

NINE_THIRTY = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
LEAST = {"job_name": "a job", "operation": "REGRESSION"}


def refused(**fields: Any) -> list[str]:
    """Where what is wrong."""
    with pytest.raises(ValidationError) as refusal:
        JobToCreate.model_validate({**LEAST, **fields})
    return [".".join(map(str, error["loc"])) for error in refusal.value.errors()]


@pytest.mark.parametrize(
    ("dataset", "meant"),
    [("mercy/a", ("mercy/a",)), (["mercy/a", "lakeside/b"], ("mercy/a", "lakeside/b")), ([], ())],
)
def test_one_dataset_need_not_be_a_list(dataset: object, meant: tuple[str, ...]) -> None:
    """As in the reference."""
    assert JobToCreate.model_validate({**LEAST, "dataset": dataset}).value().dataset == meant


@pytest.mark.parametrize(
    ("preprocessor", "meant"), [(None, None), ({"a": 1}, ({"a": 1},)), ([{"a": 1}, {}], ({"a": 1}, {})), ([], ())]
)
def test_one_preprocessor_need_not_be_a_list(preprocessor: object, meant: object) -> None:
    """As in the reference."""
    assert JobToCreate.model_validate({**LEAST, "preprocessor": preprocessor}).value().preprocessor == meant


def test_what_is_left_out_is_empty() -> None:
    """A name and an operation make a job."""
    job = JobToCreate.model_validate(LEAST).value()

    assert (job.dataset, job.preprocessor, job.params, job.labels) == ((), None, {}, {})


def test_params_are_passed_on_as_they_are() -> None:
    """Nested, whole numbers beyond 64 bits, empty texts."""
    params = {"a": {"b": [1, 2.5, None, True, "x", 2**70, ""]}}

    assert JobToCreate.model_validate({**LEAST, "params": params}).value().params == params


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["params", "preprocessor"])
def test_what_is_no_json_number_is_refused(field: str, number: float) -> None:
    """Python's parser takes NaN and Infinity; the Router would get null in their place."""
    for value in ({"a": number}, {"a": {"b": [number]}}):
        assert refused(**{field: value})[0].startswith(field)


@pytest.mark.parametrize("value", [{"a": "\ud800"}, {"a": ["\udfff"]}, {"\ud800": 1}])
@pytest.mark.parametrize("field", ["params", "preprocessor"])
def test_half_a_surrogate_pair_is_refused(field: str, value: object) -> None:
    """It cannot be sent as UTF-8: the answer would be an unforeseen failure."""
    assert refused(**{field: value})[0].startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("job_nam", "x"),
        ("job_name", ""),
        ("job_name", "x" * 201),
        ("job_name", None),
        ("operation", ""),
        ("dataset", 3),
        ("dataset", [3]),
        ("dataset", None),
        ("params", []),
        ("params", None),
        ("labels", {"a": 1}),
        ("labels", {"a": None}),
        ("preprocessor", "x"),
        ("preprocessor", ["x"]),
    ],
)
def test_what_is_wrong_is_refused_and_named(field: str, value: object) -> None:
    """A misspelt field is never silently ignored."""
    assert {where.split(".")[0] for where in refused(**{field: value})} == {field}


@pytest.mark.parametrize(
    "moment",
    [
        "2026-03-01T09:30:00Z",
        "2026-03-01T09:30Z",
        "2026-03-01t10:30:00.000+01:00",
        "2026-03-01 10:30:00+0100",
        "2026-02-28T23:30:00-10:00",
    ],
)
def test_a_moment_is_one_wherever_it_is_written(moment: str) -> None:
    """Each place has its own clock."""
    assert FindQuery.model_validate({"created_after": moment}).value().created_after == NINE_THIRTY


@pytest.mark.parametrize(
    "moment", ["2026-03-01T09:30:00", "2026-03-01T10:30:00 01:00", "2026-03-01", "1772357400", 1772357400, "today", ""]
)
def test_a_moment_without_its_zone_is_refused_with_what_to_do(moment: object) -> None:
    """Whose half past nine it is would be a guess; and a plus that is not written %2B comes as a space."""
    with pytest.raises(ValidationError, match=r"with its zone, as 2026-03-01T09:30:00Z; in an address \+ is %2B"):
        FindQuery.model_validate({"created_before": moment})


@pytest.mark.parametrize("model", [JobToCreate, Reason, FindQuery, JobsQuery])
def test_unknown_fields_are_refused_everywhere(model: type[JobToCreate | Reason | FindQuery | JobsQuery]) -> None:
    """A filter that is ignored shows jobs that were not asked for."""
    with pytest.raises(ValidationError, match="Extra inputs"):
        model.model_validate({**(LEAST if model is JobToCreate else {}), "surprise": 1})


def test_a_closed_set_names_what_is_allowed() -> None:
    """So that nobody must look it up."""
    with pytest.raises(ValidationError) as refusal:
        JobsQuery.model_validate({"job_status": "finished"})

    assert refusal.value.errors()[0]["ctx"]["expected"] == "'waiting', 'active' or 'history'"


@pytest.mark.parametrize(
    ("query", "phases"),
    [
        ({}, None),
        ({"job_status": "history"}, BUCKETS[Bucket.HISTORY]),
        ({"phase": ["killed", "lost"]}, {Phase.KILLED, Phase.LOST}),
        ({"job_status": "history", "phase": ["killed", "lost"]}, {Phase.KILLED}),
        ({"job_status": "waiting", "phase": ["killed"]}, set()),
    ],
)
def test_bucket_and_phases_must_both_hold(query: dict[str, object], phases: object) -> None:
    """And no phase left means no job, not all."""
    assert FindQuery.model_validate(query).value().phases == phases


def test_every_phase_is_in_exactly_one_bucket() -> None:
    """A job in none would be in no list."""
    assert sorted(phase for bucket in BUCKETS.values() for phase in bucket) == sorted(Phase)


def test_a_job_is_shown_whole() -> None:
    """With what it was made of, unchanged."""
    shown = json.loads(job_view(full_job()).model_dump_json())

    assert set(shown) == set(JobView.model_fields)
    assert shown["params"] == {"a": 1.0}
    assert shown["preprocessor"] == [{"columns": ["a"]}]
    assert shown["model_status"] == {
        "type": "EpochMetrics",
        "latest": {"__type": "EpochMetrics", "loss": 0.5},
        "parties": {"all": {"0": {"loss": 0.5}}},
    }
    assert shown["created"] == "2026-03-01T12:00:00.123456Z"
    assert shown["result"]["raw_status"] == '{"accuracy": 0.9}'


@pytest.mark.parametrize("phase", list(Phase))
def test_a_job_can_be_shown_in_every_phase(phase: Phase) -> None:
    """With a sentence, and null where there is no public code."""
    shown = job_view(replace(full_job(), phase=phase))

    assert shown.message
    assert (shown.status is None) == (phase in WITHOUT_CODE)
    assert shown.phase is job_in(phase).phase


@pytest.mark.parametrize(
    ("labels", "where"),
    [
        ({"a=b": "c"}, "labels.a=b"),
        ({"": "nameless"}, "labels."),
        ({"k" * 101: "long"}, "labels." + "k" * 101),
        ({"key": "v" * 501}, "labels.key"),
        ({str(number): "" for number in range(51)}, "labels"),
    ],
)
def test_labels_that_could_not_be_found_or_never_end_are_refused(labels: dict[str, str], where: str) -> None:
    """They stand in every list."""
    assert refused(labels=labels)[0].startswith(where)


def test_a_model_is_looked_for_however_its_id_is_written() -> None:
    """An operation is kept as the Router writes it."""
    assert FindQuery(operation="7C9F7A30-2B8A-4C1F-8A55-0D6D2F4C9E18").value().operation == (
        "7c9f7a30-2b8a-4c1f-8a55-0d6d2f4c9e18"
    )
    assert FindQuery(operation="REGRESSION").value().operation == "REGRESSION"
