"""The rows of one owner as numbers. They never leave this process; only sums over them do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.numeric_columns import MIN_RECORDS, numbers_of
from network.protocols.party import JobFailed, Party
from network.protocols.regression.columns import Columns

RegressionType = Literal["LINEAR", "LOGISTIC"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """`features` has a row per record and a column per feature, `target` one number per record."""

    features: Reals
    target: Reals

    @property
    def all_columns(self) -> Reals:
        """The features, and the target as the last column."""
        return np.column_stack([self.features, self.target])


def read_rows(party: Party, columns: Columns, *, regression_type: RegressionType) -> Rows:
    """All rows held here. Raises JobFailed when they are too few, have gaps, or cannot be a target."""
    tables = [party.table(dataset) for dataset in party.datasets if dataset.team == party.me]
    names = [*columns.features, columns.target]
    numbers = np.vstack([numbers_of(table, names, team=party.me) for table in tables])
    if len(numbers) < MIN_RECORDS:
        raise JobFailed(f"{party.me} holds fewer than {MIN_RECORDS} rows; sums over so few would tell too much of them")
    rows = Rows(features=numbers[:, :-1], target=numbers[:, -1])
    if regression_type == "LOGISTIC" and not np.isin(rows.target, (0.0, 1.0)).all():
        raise JobFailed(f"the target {columns.target!r} of a LOGISTIC regression must hold 0 and 1 only")
    return rows
