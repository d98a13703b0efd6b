"""REGRESSION: what it fits, compared with scikit-learn on the pooled rows."""

import json
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from network.data.pooled import RegressionType, pooled_fit
from network.protocols.aggregation.fixed_point import Reals
from network.protocols.model_file import Model, from_bytes
from network.protocols.regression.protocol import run
from tests.support.parties import FakeJob, Input

CANCER = ("mercy/breast-cancer", "lakeside/breast-cancer")
PRECISION = 1e-6


def trained(job: FakeJob) -> Model:
    outcome = job.run(run)
    assert outcome.asset_id is not None
    return from_bytes(job.models[outcome.asset_id])


def regression(*inputs: Input, kind: str = "LOGISTIC", **model_params: float) -> FakeJob:
    return FakeJob(inputs=inputs, params={"regression_type": kind, "model_params": model_params})


def cancer(kind: str = "LOGISTIC", **model_params: float) -> FakeJob:
    return regression(*map(Input.ready_made, CANCER), kind=kind, **model_params)


def pooled(*inputs: Input) -> tuple[Reals, Reals]:
    table = pa.concat_tables([given.table for given in inputs])
    features = np.column_stack([table[name].to_numpy() for name in ("a", "b")])
    return features, np.asarray(table["target"].to_numpy(), dtype=np.float64)


def differences(model: Model, coefficients: Mapping[str, float]) -> Reals:
    expected = np.array([coefficients[name] for name in model.features])
    return np.asarray(np.abs(model.coefficients - expected))


@pytest.mark.parametrize("kind", ["LOGISTIC", "LINEAR"])
def test_the_fit_is_the_one_scikit_learn_finds_on_the_pooled_rows(kind: RegressionType) -> None:
    """Keeping the rows apart costs no accuracy: the difference is one of rounding."""
    reference = pooled_fit(kind)

    model = trained(cancer(kind))

    assert differences(model, reference["coefficients"]).max() < PRECISION
    assert abs(model.intercept - reference["intercept"]) < PRECISION


@pytest.mark.parametrize("c", [0.01, 100.0])
def test_the_penalty_means_what_it_means_in_scikit_learn(c: float) -> None:
    """C scales the summed loss; a mean instead of a sum would pass with C = 1 alone on other data."""
    model = trained(cancer(C=c))

    assert differences(model, pooled_fit("LOGISTIC", c=c)["coefficients"]).max() < PRECISION


def test_a_linear_penalty_is_that_of_ridge() -> None:
    """The target is standardised on the way; that must not change what alpha means."""
    model = trained(cancer("LINEAR", alpha=3.0))

    assert differences(model, pooled_fit("LINEAR", alpha=3.0)["coefficients"]).max() < PRECISION


@pytest.mark.parametrize("kind", ["LOGISTIC", "LINEAR"])
def test_without_standardize_the_penalty_is_on_the_columns_own_units(kind: str) -> None:
    """As when scikit-learn is given the columns as they are."""
    inputs = (Input.drawn("mercy"), Input.drawn("lakeside"))
    plain = LogisticRegression(solver="newton-cholesky", tol=1e-12) if kind == "LOGISTIC" else Ridge(alpha=1.0)
    reference = plain.fit(*pooled(*inputs))

    model = trained(regression(*inputs, kind=kind, standardize=False, alpha=1.0))

    np.testing.assert_allclose(model.coefficients, np.ravel(reference.coef_), atol=PRECISION)
    assert model.intercept == pytest.approx(np.ravel(reference.intercept_)[0], abs=PRECISION)


def test_five_owners_with_several_tables_each_fit_as_one() -> None:
    """Neither the number of owners nor the way rows are split may show."""
    inputs = [Input.drawn(team, seed=seed) for team in ("ash", "birch", "cedar", "date", "elm") for seed in (1, 2)]
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(solver="newton-cholesky", tol=1e-12))
    features, target = pooled(*inputs)
    reference = pipeline.fit(features, target).predict_proba(features)[:, 1]

    model = trained(regression(*inputs))

    np.testing.assert_allclose(model.scores(features), reference, atol=1e-10)


@pytest.mark.parametrize(("scale", "shift"), [(1e-8, 0.0), (1e-8, 1e6), (1e10, 0.0), (1.0, 1e9)])
def test_a_column_of_any_size_is_fitted(scale: float, shift: float) -> None:
    """Fixed point has one step for all; the unit of each column is found first."""
    inputs = [Input.drawn(team) for team in ("mercy", "lakeside")]
    resized = [resize(given, scale=scale, shift=shift) for given in inputs]

    model, reference = trained(regression(*resized)), trained(regression(*inputs))

    np.testing.assert_allclose(model.coefficients[0] * scale, reference.coefficients[0], rtol=1e-5)


def resize(given: Input, *, scale: float, shift: float) -> Input:
    values = (given.table["a"].to_numpy() + shift) * scale
    return Input(team=given.team, table=given.table.set_column(0, "a", pa.array(values)), roles=given.roles)


def test_the_owners_need_not_have_their_columns_in_the_same_order() -> None:
    """Columns go by name; by place, numbers of one feature would be added to those of another."""
    mercy, lakeside = Input.drawn("mercy"), Input.drawn("lakeside")
    turned = Input(team="lakeside", table=lakeside.table.select(["target", "b", "a"]), roles=lakeside.roles)

    model, reference = trained(regression(mercy, turned)), trained(regression(mercy, lakeside))

    assert dict(zip(model.features, model.coefficients, strict=True)) == pytest.approx(
        dict(zip(reference.features, reference.coefficients, strict=True))
    )


def test_a_constant_column_gets_no_weight_and_is_named() -> None:
    """It cannot be standardised, and says nothing about the target."""
    constant = {"dull": pa.array([0.1] * 40)}
    job = regression(Input.drawn("mercy", **constant), Input.drawn("lakeside", **constant))

    outcome = job.run(run)

    model = from_bytes(next(iter(job.models.values())))
    assert dict(zip(model.features, model.coefficients, strict=True))["dull"] == 0
    assert json.loads(outcome.raw_status)["constant_features"] == ["dull"]


def test_identifiers_and_text_are_no_features() -> None:
    """An identifier that is a number would otherwise be fitted."""
    extra = {"patient_id": pa.array(range(40)), "ward": pa.array(["north"] * 40)}

    model = trained(regression(Input.drawn("mercy", **extra), Input.drawn("lakeside", **extra)))

    assert model.features == ("a", "b")


def test_every_iteration_is_told_and_the_loss_never_grows() -> None:
    """Step halving promises it."""
    job = cancer()

    outcome = job.run(run)

    told = [message["iteration"] for message in job.messages]
    losses = [float(str(message["loss"])) for message in job.messages]
    assert told == list(range(1, len(told) + 1))
    assert len(told) > 4
    assert losses == sorted(losses, reverse=True)
    assert {message["__type"] for message in job.messages} == {"RegressionTrainingMetrics"}
    assert json.loads(outcome.raw_status)["converged"] is True
    json.dumps(job.messages, allow_nan=False)


def test_a_tolerance_of_zero_goes_on_to_the_last_iteration() -> None:
    """Such a job runs as long as it is told to: it can be timed, and killed in its middle."""
    job = cancer(tol=0, max_iter=40)

    outcome = job.run(run)

    assert len(job.messages) == 40
    assert json.loads(outcome.raw_status)["iterations"] == 40


def test_the_summary_counts_and_measures_and_holds_no_coefficients() -> None:
    """It passes through the Router, which is to know metadata only."""
    summary = json.loads(cancer().run(run).raw_status)

    assert summary["records"] == 455
    assert summary["accuracy"] > 0.97
    assert not {"coefficients", "intercept"} & set(summary)


def test_separable_classes_with_hardly_any_penalty_still_converge() -> None:
    """Newton's full step overshoots there; halving it brings it back."""
    columns = {"a": pa.array(np.r_[np.full(20, -1.0), np.full(20, 1.0)] + np.linspace(0, 0.1, 40))}
    columns["target"] = pa.array(np.r_[np.zeros(20, dtype=int), np.ones(20, dtype=int)])
    job = regression(Input.drawn("mercy", **columns), Input.drawn("lakeside", **columns), C=1e6)

    summary = json.loads(job.run(run).raw_status)

    assert summary["converged"]
    assert summary["accuracy"] == 1.0
