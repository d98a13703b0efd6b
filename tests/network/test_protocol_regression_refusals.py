"""REGRESSION: what it refuses to fit, and what the refusal says and does not say."""

import pyarrow as pa
import pytest

from network.protocols.party import JobFailed
from network.protocols.regression.protocol import run
from tests.support.parties import FakeJob, Input

LAKESIDE = Input.drawn("lakeside")


def fits(*inputs: Input, kind: str = "LOGISTIC", **params: object) -> bool:
    return FakeJob(inputs=inputs, params={"regression_type": kind, **params}).run(run).asset_id is not None


def refusal(*inputs: Input, kind: str = "LOGISTIC", **params: object) -> str:
    job = FakeJob(inputs=inputs, params={"regression_type": kind, **params})
    with pytest.raises(JobFailed) as raised:
        job.run(run)
    assert not job.models
    return str(raised.value)


def test_an_owner_without_a_feature_is_named_with_it() -> None:
    """Somebody has to know which table to mend."""
    assert (
        refusal(Input.drawn("mercy").without("b"), LAKESIDE) == "mercy has no numeric feature 'b'; another owner does"
    )


def test_a_gap_is_refused_by_the_name_of_its_column() -> None:
    """A missing number has no sum; guessing one is the caller's decision."""
    gap = Input.drawn("mercy", b=pa.array([None, *[1.0] * 39]))

    assert refusal(gap, LAKESIDE) == "the column 'b' of mercy has values that are missing or infinite"


def test_a_logistic_target_must_hold_zero_and_one() -> None:
    """The values themselves stay untold."""
    three = Input.drawn("mercy", target=pa.array([0, 1, 7] * 13 + [0]))

    told = refusal(three, LAKESIDE)

    assert told == "the target 'target' of a LOGISTIC regression must hold 0 and 1 only"


def test_a_target_with_one_value_over_all_owners_is_refused() -> None:
    """One owner alone may well have one class only; the pool may not."""
    ones, zeros = pa.array([1] * 40), pa.array([0] * 40)

    assert "same value in every row" in refusal(Input.drawn("mercy", target=ones), Input.drawn("lakeside", target=ones))
    assert fits(Input.drawn("mercy", target=ones), Input.drawn("lakeside", target=zeros))


@pytest.mark.parametrize("kind", ["LINEAR", "LOGISTIC"])
def test_features_that_depend_on_each_other_are_refused_unless_penalised(kind: str) -> None:
    """Without a penalty any mixture of the two would do, and the answer would be chance."""
    inputs = [Input.drawn(team) for team in ("mercy", "lakeside")]
    doubled = [Input.drawn(given.team, c=pa.array(given.table["a"].to_numpy() * 2 + 1)) for given in inputs]

    if kind == "LINEAR":
        assert "features depend linearly on each other" in refusal(*doubled, kind=kind)
    assert fits(*doubled, kind=kind, model_params={"alpha": 1.0})


def test_an_owner_with_few_rows_refuses() -> None:
    """A sum over few rows tells much of each."""
    assert refusal(Input.drawn("mercy", rows=9), LAKESIDE).startswith("mercy holds fewer than 10 rows")


def test_values_that_leave_the_range_are_refused_and_not_told() -> None:
    """Wrapped around they would be a wrong result."""
    told = refusal(Input.drawn("mercy", a=pa.array([1e300] * 40)), LAKESIDE)

    assert "leaves the range" in told
    assert "1e+300" not in told


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("c", "has no target column 'c'"),
        ("ward", "the target column 'ward' of"),
        ("patient_id", "the target column 'patient_id' of"),
    ],
)
def test_a_target_that_cannot_be_one_is_named(target: str, told: str) -> None:
    """Text and identifiers cannot be predicted."""
    extra = {"patient_id": pa.array(range(40)), "ward": pa.array(["north"] * 40)}

    assert told in refusal(Input.drawn("mercy", **extra), Input.drawn("lakeside", **extra), target=target)


def test_a_table_with_no_numeric_feature_is_refused() -> None:
    """There is nothing to predict from."""
    assert refusal(Input.drawn("mercy").without("a").without("b"), LAKESIDE) == (
        "mercy has no numeric column whose role is feature"
    )


@pytest.mark.parametrize("teams", [("globex", "mercy"), ("mercy", "mercy")])
def test_an_owner_does_not_take_the_routers_word_for_it(teams: tuple[str, ...]) -> None:
    """Were the initiator among two owners, it could subtract its own part from every sum."""
    told = refusal(*[Input.drawn(team, seed=seed) for seed, team in enumerate(teams)])

    assert "at least two teams, none of them the one that starts the job" in told
