"""Newton's method with step halving, for a sum of losses plus an L2 penalty. It knows no parties.

Minimises F(b) = Σ loss(b) + ½ Σ penalty_j b_j². With the log loss and penalty 1/C on all but the intercept this is 1/C
times scikit-learn's objective for LogisticRegression, C Σ loss + ½ |w|², so the minimum is the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.party import JobFailed
from network.protocols.regression.families import Sums

Evaluate = Callable[[Reals], Sums]

MAX_HALVINGS = 30
_MAX_CONDITION = 1e13
_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """Where the search stands: coefficients, the sums there, and F with its gradient and curvature."""

    coefficients: Reals
    sums: Sums
    objective: float
    gradient: Reals
    curvature: Reals


def iterate(evaluate: Evaluate, *, penalty: Reals) -> Iterator[Point]:
    """The points after each iteration, from zero coefficients on, without end; F never grows.

    Raises JobFailed when the curvature is singular: the coefficients are not determined.
    """
    point = _at(np.zeros_like(penalty), evaluate, penalty=penalty)
    while True:
        point = _next(point, evaluate, penalty=penalty)
        yield point


def _next(point: Point, evaluate: Evaluate, *, penalty: Reals) -> Point:
    step = _newton_step(point)
    for halvings in range(MAX_HALVINGS):
        trial = _at(point.coefficients - step * 0.5**halvings, evaluate, penalty=penalty)
        if trial.objective <= point.objective + _ROUNDING * max(1.0, point.objective):
            return trial
    return point


def _at(coefficients: Reals, evaluate: Evaluate, *, penalty: Reals) -> Point:
    sums = evaluate(coefficients)
    return Point(
        coefficients=coefficients,
        sums=sums,
        objective=sums.loss + float(penalty @ coefficients**2) / 2,
        gradient=sums.gradient + penalty * coefficients,
        curvature=sums.curvature + np.diag(penalty),
    )


def _newton_step(point: Point) -> Reals:
    diagonal = np.diag(point.curvature)
    if (diagonal <= 0).any():
        raise JobFailed("the coefficients are not determined: the loss is flat in one of them; use a stronger penalty")
    # Scaled to a unit diagonal, the condition tells of dependence between features and not of their units.
    size = np.sqrt(diagonal)
    scaled = point.curvature / np.outer(size, size)
    if np.linalg.cond(scaled) > _MAX_CONDITION:
        raise JobFailed(
            "the coefficients are not determined: features depend linearly on each other; drop some, or use a penalty"
        )
    return np.asarray(np.linalg.solve(scaled, point.gradient / size) / size, dtype=np.float64)
