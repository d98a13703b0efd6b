"""What an owner's rows add to loss, gradient and curvature at given coefficients.

The design has a column per standardised feature and a last one of ones, for the intercept.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.regression.rows import RegressionType


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """Sums over records. `hits` counts those predicted right (LOGISTIC; 0 for LINEAR); `curvature` is symmetric."""

    loss: float
    hits: float
    gradient: Reals
    curvature: Reals

    def flat(self) -> Reals:
        """All numbers in a row; of the curvature the upper triangle."""
        upper = self.curvature[np.triu_indices(len(self.gradient))]
        return np.concatenate([[self.loss, self.hits], self.gradient, upper])

    @classmethod
    def unflatten(cls, numbers: Reals, *, size: int) -> Self:
        """The sums of which `numbers` is the flat form, for `size` coefficients."""
        curvature = np.zeros((size, size))
        curvature[np.triu_indices(size)] = numbers[2 + size :]
        mirrored = curvature + np.triu(curvature, 1).T
        return cls(loss=float(numbers[0]), hits=float(numbers[1]), gradient=numbers[2 : 2 + size], curvature=mirrored)


def flat_size(size: int) -> int:
    """How many numbers the sums for `size` coefficients have."""
    return 2 + size + size * (size + 1) // 2


def sums_at(coefficients: Reals, *, design: Reals, target: Reals, regression_type: RegressionType) -> Sums:
    """The sums over these rows: of the log loss for LOGISTIC, of half the squared error for LINEAR."""
    family = _logistic if regression_type == "LOGISTIC" else _linear
    return family(design @ coefficients, design=design, target=target)


def _logistic(margin: Reals, *, design: Reals, target: Reals) -> Sums:
    signed = np.where(target > 0, margin, -margin)
    probability = np.exp(-np.logaddexp(0.0, -margin))
    weight = np.exp(-np.logaddexp(0.0, margin) - np.logaddexp(0.0, -margin))
    return Sums(
        loss=float(np.logaddexp(0.0, -signed).sum()),
        hits=float(((margin > 0) == (target > 0)).sum()),
        gradient=design.T @ (probability - target),
        curvature=(design.T * weight) @ design,
    )


def _linear(margin: Reals, *, design: Reals, target: Reals) -> Sums:
    residual = margin - target
    return Sums(
        loss=float(residual @ residual) / 2,
        hits=0.0,
        gradient=design.T @ residual,
        curvature=design.T @ design,
    )
