"""The ready-made tables of each team, the same on every machine and at every start.

The rows are those of the Breast Cancer Wisconsin (Diagnostic) data set that scikit-learn carries: 569 rows, 30 features,
target 1 for benign. The patient ids are made up. No row is in two of the tables with features.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

SEED = 1995
HOLDOUT_SHARE = 0.2
LAKESIDE_SHARE = 0.4
KNOWN_PATIENTS = 1000
MERCY_PATIENTS = slice(0, 420)
GLOBEX_PATIENTS = slice(283, 593)

_SPECIAL_ROLES = {"patient_id": "identifier", "target": "target"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoTable:
    """A table a team holds from the start; `roles` gives each column's: identifier, feature or target."""

    name: str
    table: pa.Table
    roles: dict[str, str]


def tables_of(team: str) -> list[DemoTable]:
    """The tables that `team` holds from the start; none for a team other than mercy, lakeside and globex."""
    return [demo for owner, demo in _all_tables() if owner == team]


def _all_tables() -> Iterator[tuple[str, DemoTable]]:
    ids = _patient_ids()
    cancer = _cancer_table(ids)
    mercy, lakeside, holdout = _split(cancer["target"].to_numpy())
    yield "mercy", _demo("breast-cancer", cancer.take(mercy))
    yield "lakeside", _demo("breast-cancer", cancer.take(lakeside))
    yield "globex", _demo("holdout", cancer.take(holdout))
    yield "mercy", _demo("patients", _patients(ids[MERCY_PATIENTS], seed=SEED + 1))
    yield "globex", _demo("patients", _patients(ids[GLOBEX_PATIENTS], seed=SEED + 2))


def _demo(name: str, table: pa.Table) -> DemoTable:
    roles = {column: _SPECIAL_ROLES.get(column, "feature") for column in table.column_names}
    return DemoTable(name=name, table=table, roles=roles)


def _patient_ids() -> list[str]:
    numbers = np.random.default_rng(SEED).choice(10_000, size=KNOWN_PATIENTS, replace=False)
    return [f"P-{number:06d}" for number in numbers]


def _cancer_table(ids: list[str]) -> pa.Table:
    bunch = load_breast_cancer()
    columns = {"patient_id": pa.array(ids[: len(bunch.target)])}
    columns |= {str(name): pa.array(bunch.data[:, place]) for place, name in enumerate(bunch.feature_names)}
    columns["target"] = pa.array(bunch.target)
    return pa.table(columns)


def _split(target: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    rows = np.arange(len(target))
    rest, holdout = train_test_split(rows, test_size=HOLDOUT_SHARE, stratify=target, random_state=SEED)
    mercy, lakeside = train_test_split(rest, test_size=LAKESIDE_SHARE, random_state=SEED)
    return mercy, lakeside, holdout


def _patients(ids: list[str], *, seed: int) -> pa.Table:
    shuffled = np.random.default_rng(seed).permutation(ids)
    return pa.table({"patient_id": pa.array([str(value) for value in shuffled])})
