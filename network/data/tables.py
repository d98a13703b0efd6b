"""The ready-made tables of each team, the same on every machine and at every start.

The rows are those of the Breast Cancer Wisconsin (Diagnostic) data set that scikit-learn carries: 569 rows, 30 features,
target 1 for benign. They are read from its file: importing its loader would take an Access Point's first start seconds.
The patient ids are made up. No row is in two of the tables with features.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa

SEED = 1995
HOLDOUT_ROWS = 114
LAKESIDE_ROWS = 182
KNOWN_PATIENTS = 1000
MERCY_PATIENTS = slice(0, 420)
GLOBEX_PATIENTS = slice(283, 593)

_MEASURES = (
    *("radius", "texture", "perimeter", "area", "smoothness"),
    *("compactness", "concavity", "concave points", "symmetry", "fractal dimension"),
)
FEATURES = (
    *(f"mean {measure}" for measure in _MEASURES),
    *(f"{measure} error" for measure in _MEASURES),
    *(f"worst {measure}" for measure in _MEASURES),
)
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
    shuffled = np.random.default_rng(SEED + 5).permutation(len(cancer))
    holdout, lakeside, mercy = np.split(shuffled, [HOLDOUT_ROWS, HOLDOUT_ROWS + LAKESIDE_ROWS])
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
    rows = np.loadtxt(_cancer_file(), delimiter=",", skiprows=1)
    columns = {"patient_id": pa.array(ids[: len(rows)])}
    columns |= {name: pa.array(rows[:, place]) for place, name in enumerate(FEATURES)}
    columns["target"] = pa.array(rows[:, -1].astype(np.int64))
    return pa.table(columns)


def _cancer_file() -> Path:
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise FileNotFoundError("The tables are scikit-learn's, which is not installed: pip install scikit-learn")
    return Path(package.origin).with_name("datasets") / "data" / "breast_cancer.csv"


def _patients(ids: list[str], *, seed: int) -> pa.Table:
    shuffled = np.random.default_rng(seed).permutation(ids)
    return pa.table({"patient_id": pa.array([str(value) for value in shuffled])})
