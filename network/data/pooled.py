"""What scikit-learn gives when all rows lie in one place: the reference a federated regression is compared to.

`python -m network.data.pooled [LOGISTIC|LINEAR] [--against MODEL]` prints it as one JSON object.
"""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from network.data.tables import DemoTable, tables_of
from network.protocols.model_file import Model, from_bytes

RegressionType = Literal["LINEAR", "LOGISTIC"]
TARGET = "target"


class PooledFit(TypedDict):
    """A fit on the pooled rows. Coefficients by feature name and the intercept are for features in their own units.

    `accuracy` (LOGISTIC, None for LINEAR) and `r2` (the other way round) are those on globex/holdout.
    """

    regression_type: RegressionType
    records: int
    coefficients: dict[str, float]
    intercept: float
    accuracy: float | None
    r2: float | None


def pooled_fit(regression_type: RegressionType = "LOGISTIC", *, c: float = 1.0, alpha: float = 0.0) -> PooledFit:
    """Fit mercy/breast-cancer and lakeside/breast-cancer together, standardised.

    LOGISTIC is `make_pipeline(StandardScaler(), LogisticRegression(C=c))`, LINEAR the same with `Ridge(alpha=alpha)`.
    """
    pooled = pa.concat_tables([_table("mercy", "breast-cancer").table, _table("lakeside", "breast-cancer").table])
    names = [name for name, role in _table("globex", "holdout").roles.items() if role == "feature"]
    scaler = StandardScaler().fit(_matrix(pooled, names))
    model = _model(regression_type, c=c, alpha=alpha)
    model.fit(scaler.transform(_matrix(pooled, names)), pooled[TARGET].to_numpy())
    weights = np.ravel(model.coef_) / scaler.scale_
    quality = _quality(make_pipeline(scaler, model), names=names)
    return PooledFit(
        regression_type=regression_type,
        records=pooled.num_rows,
        coefficients=dict(zip(names, weights.tolist(), strict=True)),
        intercept=float(np.ravel(model.intercept_)[0] - scaler.mean_ @ weights),
        accuracy=quality if regression_type == "LOGISTIC" else None,
        r2=quality if regression_type == "LINEAR" else None,
    )


def largest_difference(fit: PooledFit, *, model: Model) -> float:
    """Between the coefficients of a model and of the fit, both for features of variance 1. Infinite for other features."""
    if set(model.features) != set(fit["coefficients"]):
        return float("inf")
    wanted = np.array([fit["coefficients"][name] for name in model.features])
    return float(np.max(np.abs(model.coefficients - wanted) * model.scale))


def _quality(fitted: Pipeline, *, names: list[str]) -> float:
    """What scikit-learn scores a model by: accuracy of a classifier, r2 of a regressor."""
    holdout = _table("globex", "holdout").table
    return float(fitted.score(_matrix(holdout, names), holdout[TARGET].to_numpy()))


def _model(regression_type: RegressionType, *, c: float, alpha: float) -> LogisticRegression | Ridge:
    if regression_type == "LOGISTIC":
        # The default tolerance stops some way from the optimum; the comparison is with the optimum itself.
        return LogisticRegression(C=c, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return Ridge(alpha=alpha, solver="svd")


def _table(team: str, name: str) -> DemoTable:
    return next(demo for demo in tables_of(team) if demo.name == name)


def _matrix(table: pa.Table, names: list[str]) -> NDArray[np.float64]:
    return np.column_stack([table[name].to_numpy() for name in names])


def main() -> None:
    """Print the fit named on the command line, LOGISTIC by default, and how far a trained model is from it."""
    parser = ArgumentParser(prog="python -m network.data.pooled", description=__doc__)
    parser.add_argument("regression_type", nargs="?", choices=["LOGISTIC", "LINEAR"], default="LOGISTIC")
    parser.add_argument("--against", type=Path, help="a model asset's bytes; adds `largest_difference`")
    given = parser.parse_args()
    fit = pooled_fit(given.regression_type)
    told: dict[str, object] = {**fit}
    if given.against is not None:
        told["largest_difference"] = largest_difference(fit, model=from_bytes(given.against.read_bytes()))
    json.dump(told, sys.stdout)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
