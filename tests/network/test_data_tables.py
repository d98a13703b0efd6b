"""The tables the network starts with, and the reference fit over them."""

import json
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
from sklearn.datasets import load_breast_cancer

from network.data.pooled import pooled_fit
from network.data.tables import DemoTable, tables_of

TEAMS = ("mercy", "lakeside", "globex")
WITH_FEATURES = ("mercy/breast-cancer", "lakeside/breast-cancer", "globex/holdout")


def by_alias() -> dict[str, DemoTable]:
    return {f"{team}/{demo.name}": demo for team in TEAMS for demo in tables_of(team)}


def test_each_team_holds_what_the_design_promises() -> None:
    """Demo, tests and documentation name them."""
    assert set(by_alias()) == {*WITH_FEATURES, "mercy/patients", "globex/patients"}
    assert tables_of("nobody") == []


def test_every_row_is_in_one_table_and_has_an_id_of_its_own() -> None:
    """A holdout that was trained on would measure nothing."""
    ids = [name for alias in WITH_FEATURES for name in by_alias()[alias].table["patient_id"].to_pylist()]

    assert len(ids) == len(set(ids)) == 569


def test_the_rows_are_those_of_the_data_set() -> None:
    """As scikit-learn's own loader gives them, under its names."""
    bunch = load_breast_cancer()
    tables = [by_alias()[alias].table for alias in WITH_FEATURES]
    rows = pa.concat_tables(tables).drop_columns("patient_id")

    assert rows.column_names == [*bunch.feature_names, "target"]
    there = np.column_stack([bunch.data, bunch.target])
    assert sorted(map(tuple, there)) == sorted(zip(*rows.to_pydict().values(), strict=True))


def test_a_fifth_is_held_out_and_the_rest_is_split_unevenly() -> None:
    """Equal shares would hide a fit that weighs owners and not rows."""
    assert [by_alias()[alias].table.num_rows for alias in WITH_FEATURES] == [273, 182, 114]


@pytest.mark.parametrize("alias", WITH_FEATURES)
def test_columns_have_the_roles_of_identifier_features_and_target(alias: str) -> None:
    """Thirty features, under the names scikit-learn gives them."""
    roles = list(by_alias()[alias].roles.items())

    assert roles[0] == ("patient_id", "identifier")
    assert roles[1] == ("mean radius", "feature")
    assert [role for _, role in roles[1:-1]] == ["feature"] * 30
    assert roles[-1] == ("target", "target")


def test_the_patients_of_two_teams_overlap_in_part() -> None:
    """Neither all nor nothing would show that matching works."""
    mercy, globex = (
        set(by_alias()[f"{team}/patients"].table["patient_id"].to_pylist()) for team in ("mercy", "globex")
    )

    assert (len(mercy), len(globex), len(mercy & globex)) == (420, 310, 137)


def test_the_tables_are_the_same_every_time() -> None:
    """An id shown today is found tomorrow."""
    first, again = ([demo.table for demo in tables_of("globex")] for _ in range(2))

    assert first == again


def test_the_reference_prints_as_one_json_object() -> None:
    """Another program reads it from standard output."""
    done = subprocess.run([sys.executable, "-m", "network.data.pooled"], capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == pooled_fit("LOGISTIC")
    assert done.stderr == ""
