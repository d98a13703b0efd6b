"""What happens to a table where it is, when a model has come to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.model_file import Model
from network.protocols.neural.network import Network
from network.protocols.numeric_columns import MIN_RECORDS, is_numeric, numbers_of, plain_numbers
from network.protocols.party import JobFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A row of scores per row, in the table's order; `quality` is about all of them and may be empty."""

    scores: Reals
    quality: dict[str, float]


def score(table: pa.Table, roles: Mapping[str, str], *, model: Model | Network, team: str) -> Scored:
    """Run the model over every row. Raises JobFailed naming a feature that the table of `team` does not have,
    and where a score is not finite.
    """
    matrix = features_of(table, roles, features=model.features, team=team)
    with np.errstate(over="ignore", invalid="ignore"):
        scores = model.scores(matrix).reshape(len(matrix), model.width)
    if not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores).all(axis=1)).sum())
        raise JobFailed(f"the model has no finite result for {bad} of the rows of {team}")
    return Scored(scores=scores, quality=_quality(table, scores, model=model))


def features_of(table: pa.Table, roles: Mapping[str, str], *, features: Sequence[str], team: str) -> Reals:
    """A row per record and a column per feature. Raises JobFailed naming one that the table of `team` does not have."""
    for name in features:
        _check_feature(table, roles, name=name, team=team)
    return numbers_of(table, features, team=team)


def _check_feature(table: pa.Table, roles: Mapping[str, str], *, name: str, team: str) -> None:
    if name not in table.column_names:
        raise JobFailed(f"the table of {team} has no column {name!r}, which the model needs")
    # A made-up model could copy a column into its results: identifiers and targets are not for models.
    if roles.get(name) != "feature":
        raise JobFailed(f"the column {name!r} of {team} is no feature: its role is {roles.get(name)}")
    if not is_numeric(table.schema.field(name).type):
        raise JobFailed(f"the column {name!r} of {team} is not numeric, which the model needs")


def _quality(table: pa.Table, scores: Reals, *, model: Model | Network) -> dict[str, float]:
    """Accuracy or r2 where the table has the model's target, complete, in enough rows; else nothing."""
    if model.target not in table.column_names or not is_numeric(table.schema.field(model.target).type):
        return {}
    actual = plain_numbers(table, model.target)
    if len(actual) < MIN_RECORDS or not np.isfinite(actual).all():
        return {}
    return _accuracy(actual, scores) if model.classifies else _r2(actual, scores[:, 0])


def _accuracy(actual: Reals, probabilities: Reals) -> dict[str, float]:
    return {"accuracy": float((classes(probabilities) == actual).mean())}


def classes(probabilities: Reals) -> np.typing.NDArray[np.int64]:
    """The class that is most probable. A single column is the probability of class 1, and the other class is 0."""
    if probabilities.shape[1] == 1:
        return (probabilities[:, 0] > 0.5).astype(np.int64)
    return np.asarray(probabilities.argmax(axis=1), dtype=np.int64)


def _r2(actual: Reals, predicted: Reals) -> dict[str, float]:
    spread = float(((actual - actual.mean()) ** 2).sum())
    return {} if spread == 0 else {"r2": 1 - float(((actual - predicted) ** 2).sum()) / spread}
