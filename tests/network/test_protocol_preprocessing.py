"""What a preprocessor makes of a table, and what it refuses."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, OrdinalEncoder, StandardScaler

from network.access_point.party import LocalParty
from network.access_point.post import Post
from network.access_point.tasks import Held, Task
from network.protocols.catalogue import OPERATIONS, Column, InvalidJob
from network.protocols.party import JobFailed
from network.protocols.preprocessing.foresight import Guard, check_learning, foresee
from network.protocols.preprocessing.kinds import kind_of
from network.protocols.preprocessing.prepare import prepare
from network.protocols.preprocessor import Preprocessor

TABLE = pa.table({"patient_id": ["p"], "age": [40.0], "weight": [70.0], "target": [1]})
ROLES = {"patient_id": "identifier", "age": "feature", "weight": "feature", "target": "target"}

WARD = pa.table(
    {
        "patient_id": [f"P-{number}" for number in range(6)],
        "age": [40.0, None, float("nan"), 61.0, 61.0, 18.0],
        "visits": [1, 2, -1, None, 3, 2],
        "ward": ["north", "south", None, "?", "north", "north"],
        "target": ["ill", "well", "ill", "well", "well", None],
    }
)
WARD_ROLES = {"patient_id": "identifier", "age": "feature", "visits": "feature", "ward": "feature", "target": "target"}

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def prepared(**keys: Any) -> dict[str, str]:
    table, roles = prepare(TABLE, ROLES, Preprocessor.model_validate(keys))
    assert table.column_names == list(roles)
    return roles


def ward(*, guard: Guard | None = None, **keys: Any) -> dict[str, list[Any]]:
    preprocessor = Preprocessor.model_validate({"all_columns": True} | keys)
    table, roles = prepare(WARD, WARD_ROLES, preprocessor, guard=guard or Guard())
    assert table.column_names == list(roles)
    columns: dict[str, list[Any]] = table.to_pydict()
    return columns


def refused(*, guard: Guard | None = None, **keys: Any) -> str:
    with pytest.raises(JobFailed) as raised:
        ward(guard=guard, **keys)
    return str(raised.value)


def transformed(values: list[float], **step: Any) -> np.typing.NDArray[np.float64]:
    preprocessor = {"all_columns": True, "add_data_transformer": [{"column": "x"} | step]}
    table, _ = prepare(pa.table({"x": values}), {"x": "feature"}, Preprocessor.model_validate(preprocessor))
    return np.column_stack([np.asarray(column, dtype=np.float64) for column in table.columns])


def column(values: list[float]) -> np.typing.NDArray[np.float64]:
    return np.array(values)[:, np.newaxis]


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
    with pytest.raises(JobFailed, match="'patient_id' is an identifier and stays one"):
        prepared(add_column=[{"name": "patient_id", "target": True}])


def test_a_column_that_is_not_there_is_named() -> None:
    """With its place in the preprocessor."""
    with pytest.raises(JobFailed, match=r"add_column\.1\.name: there is no column 'shoe'"):
        prepared(add_column=[{"name": "age"}, {"name": "shoe"}])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"all_columns": True, "python_transform": "import os"}, "it is code of one party that would run"),
        ({"all_columns": True, "encode": "onehot"}, "encode is not offered; allowed: type, all_"),
        ({"type": "image", "all_columns": True}, "Input should be 'tabular'"),
        ({}, "no column is selected"),
        ({"add_column": [{"name": "age"}, {"name": "age"}]}, "a column twice"),
        ({"add_column": [{"name": "age", "target": True}, {"name": "b", "target": True}]}, "more than one target"),
        ({"add_column": [{"name": "age", "encode": "onehot"}]}, "Extra inputs are not permitted"),
        ({"all_columns": True, "sql_transform": "DELETE FROM data"}, "begins with SELECT or WITH"),
        ({"all_columns": True, "handle_nulls": [{"strategy": "value"}]}, "value belongs to the strategy value"),
        ({"all_columns": True, "handle_nulls": [{"strategy": "drop", "value": 1}]}, "value belongs to the strategy"),
        ({"all_columns": True, "dtype": "object"}, "Input should be 'float16'"),
        ({"all_columns": True, "add_target_transformer": [{"type": "one_hot_encoder"}]}, "expected tags"),
        (
            {
                "all_columns": True,
                "add_target_transformer": [{"type": "binning", "edges": [0, 1, 2], "encode": "onehot"}],
            },
            "must leave one target",
        ),
    ],
)
def test_what_is_not_offered_is_refused_by_name(keys: dict[str, Any], told: str) -> None:
    """Before anybody is asked for anything."""
    with pytest.raises(ValidationError, match=told):
        Preprocessor.model_validate(keys)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ({"type": "one_hot_encoder"}, "categories"),
        ({"type": "one_hot_encoder", "categories": ["a", "a"]}, "names a value twice"),
        ({"type": "binning"}, "give either edges, or n_bins and range"),
        ({"type": "binning", "n_bins": 4}, "give either edges, or n_bins and range"),
        ({"type": "binning", "edges": [1.0, 0.0, 2.0]}, "must rise"),
        ({"type": "standard_scaler", "mean": 0.0}, "scale"),
        ({"type": "standard_scaler", "mean": 0.0, "scale": 0.0}, "greater than 0"),
        ({"type": "min_max_scaler", "min": 1.0, "max": 1.0}, "min must lie below max"),
    ],
)
def test_what_owners_would_learn_differently_has_to_be_given(step: dict[str, Any], told: str) -> None:
    """Their columns would mean different things."""
    keys = {"all_columns": True, "add_data_transformer": [{"column": "age"} | step]}

    with pytest.raises(ValidationError, match=told):
        Preprocessor.model_validate(keys)


def test_replacements_come_before_gaps_are_filled() -> None:
    """A word that stands for a gap is one."""
    columns = ward(
        replace=[{"column": "ward", "old": "?", "new": None}, {"old": -1, "new": 0}],
        handle_nulls=[{"column": "ward", "strategy": "value", "value": "none"}],
    )

    assert columns["ward"] == ["north", "south", "none", "none", "north", "north"]
    assert columns["visits"] == [1, 2, 0, None, 3, 2]


def test_a_fill_that_the_type_cannot_hold_widens_the_column() -> None:
    """Half a visit is no whole number, and is not rounded in silence."""
    columns = ward(handle_nulls=[{"column": "visits", "strategy": "value", "value": 1.5}])

    assert columns["visits"] == [1.0, 2.0, -1.0, 1.5, 3.0, 2.0]


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_what_one_table_gives_by_itself_is_what_scikit_learn_fills_in(strategy: str) -> None:
    """In a job on one table."""
    filled = ward(handle_nulls=[{"column": "age", "strategy": strategy}])["age"]

    ages = np.array(WARD["age"].to_numpy(), dtype=np.float64)[:, np.newaxis]
    assert filled == SimpleImputer(strategy=strategy).fit_transform(ages)[:, 0].tolist()


def test_without_a_column_a_step_is_for_every_feature_that_it_fits() -> None:
    """The mean of words is nothing."""
    columns = ward(handle_nulls=[{"strategy": "median"}])

    assert (columns["age"][1], columns["visits"][3]) == (50.5, 2.0)
    assert columns["ward"][2] is None


def test_rows_with_gaps_are_left_out_and_take_the_identifiers_with_them() -> None:
    """Which identifiers are left would tell who had a gap."""
    columns = ward(handle_nulls=[{"strategy": "drop"}])

    assert columns == {"age": [40.0, 61.0], "visits": [1, 3], "ward": ["north", "north"], "target": ["ill", "well"]}
    told = refused(add_column=[{"name": "patient_id"}], handle_nulls=[{"column": "age", "strategy": "drop"}])
    assert "add_column.0.name: 'patient_id' is an identifier" in told


@pytest.mark.parametrize(
    "keys",
    [
        {"replace": [{"column": "patient_id", "old": "P-1", "new": "P-2"}]},
        {"handle_nulls": [{"column": "patient_id", "strategy": "drop"}]},
        {"add_data_transformer": [{"type": "one_hot_encoder", "column": "patient_id", "categories": ["P-1"]}]},
    ],
)
def test_an_identifier_is_not_touched(keys: dict[str, Any]) -> None:
    """Not even to encode it."""
    assert "identifier" in refused(**keys) or "'patient_id' is no feature" in refused(**keys)


def test_few_rows_are_refused_where_a_preprocessor_has_chosen_them() -> None:
    """The table itself may be small; that is its owner's affair."""
    guard = Guard(min_records=3)

    assert "fewer than 3 rows" in refused(guard=guard, handle_nulls=[{"strategy": "drop"}])
    assert len(ward(guard=Guard(min_records=7))["age"]) == 6


def test_a_hidden_target_stays_one_and_chooses_no_rows() -> None:
    """Where a function of each row comes out, a target that became a feature would come out with it."""
    guard = Guard(hides_targets=True)
    age = [{"name": "age", "target": True}, {"name": "target"}]

    _, roles = prepare(WARD, WARD_ROLES, Preprocessor.model_validate({"add_column": age}), guard=guard)
    dropped = ward(guard=guard, handle_nulls=[{"strategy": "drop"}])

    assert roles == {"age": "target", "target": "target"}
    assert dropped["target"] == ["ill", "well", None]
    assert "must not reveal" in refused(guard=guard, handle_nulls=[{"column": "target", "strategy": "drop"}])
    assert "must not reveal" in refused(guard=guard, replace=[{"column": "target", "old": "ill", "new": None}])
    kept = ward(
        guard=guard,
        replace=[{"old": "?", "new": "north"}],
        handle_nulls=[{"strategy": "median"}, {"column": "ward", "strategy": "drop"}],
    )
    assert kept["target"] == ["ill", "well", "well", "well", None]


def test_categories_become_columns_in_the_place_of_the_one() -> None:
    """Named after both, so that every owner has the same."""
    step = {"type": "one_hot_encoder", "column": "ward", "categories": ["south", "north"], "handle_unknown": "ignore"}

    columns = ward(add_data_transformer=[step])
    short = ward(add_data_transformer=[step | {"drop": "first"}])

    assert list(columns) == ["patient_id", "age", "visits", "ward_south", "ward_north", "target"]
    assert columns["ward_south"] == [0, 1, 0, 0, 0, 0]
    assert columns["ward_north"] == [1, 0, 0, 0, 1, 1]
    assert "ward_south" not in short


def test_a_target_in_words_becomes_a_class() -> None:
    """The target transformer needs no name: there is one target."""
    columns = ward(
        handle_nulls=[{"column": "target", "strategy": "value", "value": "well"}],
        add_target_transformer=[{"type": "ordinal_encoder", "categories": ["well", "ill"]}],
    )

    assert columns["target"] == [1, 0, 1, 0, 0, 0]


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        ({"add_data_transformer": [{"type": "standard_scaler", "column": "ward", "mean": 0, "scale": 1}]}, "0.column"),
        (
            {"add_data_transformer": [{"type": "ordinal_encoder", "column": "ward", "categories": ["n", 1]}]},
            "add_data_transformer.0.categories.1",
        ),
        ({"add_data_transformer": [{"type": "ordinal_encoder", "column": "sex", "categories": ["m"]}]}, "0.column"),
        ({"handle_nulls": [{"column": "ward", "strategy": "mean"}]}, "handle_nulls.0.strategy"),
        ({"handle_nulls": [{"column": "ward", "strategy": "value", "value": 0}]}, "handle_nulls.0.value"),
        ({"replace": [{"column": "age", "old": "?", "new": 1.0}]}, "replace.0.old"),
        ({"replace": [{"column": "sex", "old": "?", "new": "x"}]}, "replace.0.column"),
    ],
)
def test_a_step_that_does_not_fit_its_column_is_named(keys: dict[str, Any], field: str) -> None:
    """Down to the place in the list."""
    assert field in refused(**keys)


def test_a_new_column_takes_no_other_ones_name() -> None:
    """Two of one name would be one too many."""
    table = pa.table({"a": ["x"], "a_x": [1]})
    step = {"type": "one_hot_encoder", "column": "a", "categories": ["x"]}

    with pytest.raises(JobFailed, match="the name of another one"):
        prepare(table, {}, Preprocessor.model_validate({"all_columns": True, "add_data_transformer": [step]}))


def test_a_value_outside_the_categories_is_not_told() -> None:
    """It is a value of a row."""
    told = refused(add_data_transformer=[{"type": "ordinal_encoder", "column": "ward", "categories": ["north"]}])

    assert "'ward' has values that are missing or none of the categories" in told
    assert "south" not in told


def test_the_type_is_given_to_numbers_alone() -> None:
    """Words and identifiers have none."""
    keys = {"all_columns": True, "handle_nulls": [{"strategy": "median"}], "dtype": "float32"}
    table, _ = prepare(WARD, WARD_ROLES, Preprocessor.model_validate(keys))

    assert [str(dtype) for dtype in table.schema.types] == ["string", "float", "float", "string", "string"]


def test_a_type_that_cannot_hold_the_values_is_refused() -> None:
    """Cut off they would be other values."""
    told = refused(handle_nulls=[{"column": "age", "strategy": "value", "value": 40.5}], dtype="int8")
    assert told == "the column 'age' has values that int8 cannot hold; round them in SQL first"


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
def test_several_tables_are_not_filled_in_with_what_each_gives(strategy: str) -> None:
    """One's mean is not the other's; a single table has but one."""
    step = Preprocessor.model_validate({"all_columns": True, "handle_nulls": [{"strategy": strategy}]})

    check_learning(step, tables=1, field="preprocessor.0")
    with pytest.raises(InvalidJob, match="give the value to fill in") as raised:
        check_learning(step, tables=2, field="preprocessor.0")

    assert (raised.value.field, raised.value.allowed) == ("preprocessor.0.handle_nulls.0.strategy", ["drop", "value"])


def test_what_is_foreseen_is_what_comes_out() -> None:
    """The Router goes by it."""
    keys = {
        "all_columns": True,
        "replace": [{"old": "?", "new": None}],
        "handle_nulls": [{"strategy": "median"}, {"strategy": "drop"}],
        "add_data_transformer": [
            {"type": "one_hot_encoder", "column": "ward", "categories": ["north", "south"]},
            {"type": "binning", "column": "visits", "n_bins": 2, "range": [0, 4], "encode": "onehot"},
            {"type": "standard_scaler", "column": "age", "mean": 40, "scale": 10},
        ],
        "add_target_transformer": [{"type": "ordinal_encoder", "categories": ["well", "ill"]}],
    }
    described = [Column(name=field.name, dtype=str(field.type), role=WARD_ROLES[field.name]) for field in WARD.schema]
    for typed in ({}, {"dtype": "float16"}):
        preprocessor = Preprocessor.model_validate(keys | typed)

        table, roles = prepare(WARD, WARD_ROLES, preprocessor)

        foreseen = foresee(described, preprocessor, guard=Guard())
        assert {column.name: column.role for column in foreseen} == roles
        assert [kind_of(column.dtype) for column in foreseen] == [kind_of(str(dtype)) for dtype in table.schema.types]


def party(module: str, initiator: str, folder: Path, **keys: Any) -> LocalParty:
    """Mercy's part in a job on its one table."""
    pa.parquet.write_table(WARD, folder / "ward.parquet")
    asset_id = "9c9c2f5e-0000-4000-8000-000000000000"
    task = Task(
        job_id=asset_id, me="mercy", initiator=initiator, module=module, params={}, dataset=[asset_id], model=None,
        preprocessor=[keys], owners={asset_id: "mercy"}, peers=[], mailbox="", mailbox_token="", folder=str(folder),
        held={asset_id: Held(path=str(folder / "ward.parquet"), roles=WARD_ROLES)},
    )  # fmt: skip
    return LocalParty(task, post=Post(task), out=BytesIO())


def test_an_owner_guards_its_table_against_others_and_not_against_itself(tmp_path: Path) -> None:
    """What an operation may reveal is known at the Access Point, whatever the Router has let through."""
    freed = {"add_column": [{"name": "target"}, {"name": "age"}]}
    few = {"all_columns": True, "handle_nulls": [{"strategy": "drop"}]}
    score, fit = OPERATIONS["EXECUTE"].module, OPERATIONS["REGRESSION"].module

    def roles(module: str, initiator: str, **keys: Any) -> dict[str, str]:
        mine = party(module, initiator, tmp_path, **keys)
        return dict(mine.roles(mine.datasets[0]))

    assert roles(score, "globex", **freed)["target"] == "target"
    assert roles(score, "mercy", **freed)["target"] == "feature"
    assert roles(fit, "globex", **freed)["target"] == "feature"
    assert roles(fit, "mercy", **few)["age"] == "feature"
    with pytest.raises(JobFailed, match="fewer than 10 rows"):
        roles(fit, "globex", **few)
    with pytest.raises(JobFailed, match="none that this operation takes"):
        roles(OPERATIONS["PRIVATE_SET_INTERSECTION"].module, "globex", **few)


@given(values=NUMBERS, mean=st.floats(-100, 100), scale=st.floats(0.01, 100))
def test_scaling_is_that_of_scikit_learn(values: list[float], mean: float, scale: float) -> None:
    """Fitted to two points that have this mean and this scale."""
    fitted = StandardScaler().fit(column([mean - scale, mean + scale]))

    ours = transformed(values, type="standard_scaler", mean=mean, scale=scale)

    assert np.allclose(ours, fitted.transform(column(values)), rtol=1e-6, atol=1e-6)


@given(values=NUMBERS, low=st.floats(-100, 100), width=st.floats(0.01, 100))
def test_the_range_is_that_of_scikit_learn(values: list[float], low: float, width: float) -> None:
    """What lies outside stays outside."""
    fitted = MinMaxScaler(feature_range=(-1, 1)).fit(column([low, low + width]))

    ours = transformed(values, type="min_max_scaler", min=low, max=low + width, feature_range=[-1, 1])

    assert np.allclose(ours, fitted.transform(column(values)), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("encode", ["ordinal", "onehot"])
@given(values=NUMBERS, n_bins=st.integers(2, 9))
def test_the_bins_are_those_of_scikit_learn(values: list[float], n_bins: int, encode: str) -> None:
    """Of equal width over the range that is given."""
    how = {"ordinal": "ordinal", "onehot": "onehot-dense"}[encode]
    fitted = KBinsDiscretizer(n_bins, encode=how, strategy="uniform").fit(column([-500.0, 500.0]))

    ours = transformed(values, type="binning", n_bins=n_bins, range=[-500, 500], encode=encode)

    assert (ours == fitted.transform(column(values))).all()


@given(codes=st.lists(st.integers(0, 3), min_size=1, max_size=30), drop=st.sampled_from([None, "first"]))
def test_the_encoders_are_those_of_scikit_learn(codes: list[int], drop: str | None) -> None:
    """Over the categories in the order that is given."""
    words = ["b", "d", "a", "c"]
    table = pa.table({"x": [words[code] for code in codes]})
    matrix = np.array(table["x"].to_pylist(), dtype=object)[:, np.newaxis]

    def ours(**step: Any) -> np.typing.NDArray[np.int64]:
        keys = {"all_columns": True, "add_data_transformer": [{"column": "x", "categories": words} | step]}
        made, _ = prepare(table, {"x": "feature"}, Preprocessor.model_validate(keys))
        return np.column_stack([column.to_numpy() for column in made.columns])

    one_hot = OneHotEncoder(categories=[words], drop=drop, sparse_output=False).fit_transform(matrix)
    assert (ours(type="one_hot_encoder", drop=drop) == one_hot).all()
    assert (ours(type="ordinal_encoder") == OrdinalEncoder(categories=[words]).fit_transform(matrix)).all()
