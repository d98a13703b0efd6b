"""EXECUTE: the model travels, the rows stay."""

import json
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save

from network.data.pooled import RegressionType, pooled_fit
from network.protocols.inference import run
from network.protocols.model_file import Model, from_bytes, to_bytes
from network.protocols.party import JobFailed
from tests.support.parties import FakeJob, Input


@cache
def pooled_model(kind: RegressionType) -> bytes:
    """The fit of scikit-learn as a model of ours."""
    fit = pooled_fit(kind)
    size = len(fit["coefficients"])
    return to_bytes(
        Model(
            kind=kind,
            features=tuple(fit["coefficients"]),
            target="target",
            coefficients=np.array(list(fit["coefficients"].values())),
            intercept=fit["intercept"],
            mean=np.zeros(size),
            scale=np.ones(size),
        )
    )


def model(**changes: object) -> bytes:
    plain = Model(
        kind="LINEAR",
        features=("a", "b"),
        target="target",
        coefficients=np.array([1.0, 2.0]),
        intercept=0.5,
        mean=np.zeros(2),
        scale=np.ones(2),
    )
    return to_bytes(replace(plain, **changes))  # type: ignore[arg-type]  # tests break it on purpose


def result(job: FakeJob) -> pa.Table:
    asset_id = job.run(run).asset_id
    assert asset_id is not None
    return job.tables[asset_id]


def refusal(given: Input, content: bytes | None) -> str:
    with pytest.raises(JobFailed) as raised:
        FakeJob(inputs=[given], content=content).run(run)
    return str(raised.value)


@pytest.mark.parametrize("kind", ["LOGISTIC", "LINEAR"])
def test_the_quality_is_the_one_scikit_learn_reports(kind: RegressionType) -> None:
    """On rows that nobody trained on."""
    reference = pooled_fit(kind)
    job = FakeJob(inputs=[Input.ready_made("globex/holdout")], content=pooled_model(kind))

    summary = json.loads(job.run(run).raw_status)

    name = "accuracy" if kind == "LOGISTIC" else "r2"
    assert summary["records"] == 114
    assert summary[name] == pytest.approx(dict(reference)[name], abs=1e-9)


def test_a_logistic_result_has_row_prediction_and_probability_only() -> None:
    """No identifier and no feature comes back."""
    table = result(FakeJob(inputs=[Input.ready_made("globex/holdout")], content=pooled_model("LOGISTIC")))

    assert table.column_names == ["row", "prediction", "probability"]
    assert table["row"].to_pylist() == list(range(114))
    probability = table["probability"].to_numpy()
    assert table["prediction"].to_pylist() == (probability > 0.5).astype(int).tolist()


def test_a_linear_result_is_the_weighted_sum() -> None:
    """In the rows' order."""
    given = Input.drawn("globex")

    table = result(FakeJob(inputs=[given], content=model()))

    expected = given.table["a"].to_numpy() + 2 * given.table["b"].to_numpy() + 0.5
    assert table.column_names == ["row", "prediction"]
    np.testing.assert_allclose(table["prediction"].to_numpy(), expected)


@pytest.mark.parametrize("table_team", ["globex", "mercy", "lakeside"])
@pytest.mark.parametrize("model_team", ["globex", "mercy", "lakeside"])
def test_it_does_not_matter_who_holds_model_and_table(model_team: str, table_team: str) -> None:
    """The initiator, the model's owner and the table's owner may be one, two or three teams."""
    given = replace(Input.drawn("globex"), team=table_team)
    job = FakeJob(inputs=[given], content=model(), model_team=model_team, params={"batch_size": 7})

    assert result(job) == result(FakeJob(inputs=[Input.drawn("globex")], content=model()))
    assert len([sent for sent in job.post.transcript if sent.topic == "model"]) == (model_team != table_team)


def test_only_results_leave_the_tables_owner() -> None:
    """One number a row, and what describes them."""
    job = FakeJob(inputs=[Input.drawn("mercy")], content=model(), params={"batch_size": 16})

    job.run(run)

    left = [(sent.topic, len(sent.payload)) for sent in job.post.transcript if sent.sender == "mercy"]
    assert [topic for topic, _ in left] == ["results-header", "results", "results", "results"]
    assert [size for _, size in left[1:]] == [16 * 8, 16 * 8, 8 * 8]


def test_with_stream_output_every_batch_is_told_in_order() -> None:
    """The messages are those of continuous inference."""
    job = FakeJob(inputs=[Input.drawn("mercy")], content=model(), params={"batch_size": 15, "stream_output": True})

    table = result(job)

    told = [row for message in job.messages for row in message["result"]]  # type: ignore[attr-defined]  # JSON
    assert [len(message["result"]) for message in job.messages] == [15, 15, 10]  # type: ignore[arg-type]  # JSON
    assert told == [[value] for value in table["prediction"].to_pylist()]
    assert set(job.messages[0]) == {"__type", "data_gathered_timestamp", "result"}


def test_without_stream_output_nothing_is_told() -> None:
    """Results are for the one who may fetch them."""
    job = FakeJob(inputs=[Input.drawn("mercy")], content=model())

    job.run(run)

    assert job.messages == []


def test_quality_over_a_few_rows_is_not_given() -> None:
    """The accuracy over one row is its target."""
    job = FakeJob(inputs=[Input.drawn("mercy", rows=9)], content=model())

    assert set(json.loads(job.run(run).raw_status)) == {"operation", "kind", "records"}


def test_a_feature_that_is_missing_is_named() -> None:
    """With the team whose table lacks it."""
    assert refusal(Input.drawn("mercy").without("b"), model()) == (
        "the table of mercy has no column 'b', which the model needs"
    )


@pytest.mark.parametrize("column", ["patient_id", "target"])
def test_a_model_cannot_copy_identifiers_or_targets_into_its_results(column: str) -> None:
    """A made-up model with weight 1 on one column would do just that."""
    given = Input.drawn("mercy", patient_id=pa.array(range(40)))

    assert "is no feature" in refusal(given, model(features=("a", column)))


def test_a_gap_in_a_feature_is_refused() -> None:
    """A missing number has no score."""
    gap = Input.drawn("mercy", b=pa.array([None, *[1.0] * 39]))

    assert "missing or infinite" in refusal(gap, model())


def test_a_job_without_a_model_says_how_to_name_one() -> None:
    """The operation by its name alone computes nothing."""
    assert "params.model" in refusal(Input.drawn("globex"), None)


def test_a_model_comes_back_as_it_was_written() -> None:
    """To the last bit."""
    written = from_bytes(pooled_model("LOGISTIC"))

    read = from_bytes(to_bytes(written))

    np.testing.assert_equal(asdict(read), asdict(written))


def bad_models() -> dict[str, bytes]:
    good = model()
    tensors = {name: np.zeros(2) for name in ("coefficients", "mean", "scale")} | {"intercept": np.zeros(1)}
    metadata = {"kind": "LINEAR", "features": '["a", "b"]', "target": "t", "classes": "[]", "library_version": "1"}
    return {
        "empty": b"",
        "a pickle": b"\x80\x04N.",
        "cut short": good[:-8],
        "something after it": good + b"12345678",
        "no metadata": save(tensors),
        "another kind": save(tensors, metadata=metadata | {"kind": "FOREST"}),
        "features that are no list": save(tensors, metadata=metadata | {"features": '"a"'}),
        "a feature twice": save(tensors, metadata=metadata | {"features": '["a", "a"]'}),
        "more features than numbers": save(tensors, metadata=metadata | {"features": '["a", "b", "c"]'}),
        "a tensor too many": save(tensors | {"more": np.zeros(1)}, metadata=metadata),
        "single precision": save(tensors | {"mean": np.zeros(2, dtype=np.float32)}, metadata=metadata),
        "another shape": save(tensors | {"mean": np.zeros((2, 1))}, metadata=metadata),
        "not a number": save(tensors | {"mean": np.array([0.0, np.nan])}, metadata=metadata),
        "a key too many": save(tensors, metadata=metadata | {"code": "import os"}),
        "a length beyond the end": b"\xff" * 8 + good[8:],
        "too many bytes": bytes(16 * 1024 * 1024 + 1),
    }


@pytest.mark.parametrize("name", bad_models())
def test_bytes_that_are_not_exactly_a_model_are_refused(name: str) -> None:
    """They come from another team, and are data only."""
    assert "model" in refusal(Input.drawn("mercy"), bad_models()[name])
