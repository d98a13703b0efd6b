"""What the initiator knows of the pool, and what it makes of a point of the search: messages, a model, a summary."""

from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.model_file import Model
from network.protocols.parameters import RegressionParams
from network.protocols.party import JobFailed
from network.protocols.regression.columns import Columns
from network.protocols.regression.moments import Standard
from network.protocols.regression.newton import Point


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """All rows taken together, of which only sums are known; the target is the last column of `standard`."""

    columns: Columns
    records: int
    standard: Standard
    params: RegressionParams

    @property
    def logistic(self) -> bool:
        """Whether the target is a class, 0 or 1, and not a number."""
        return self.params.regression_type == "LOGISTIC"

    @property
    def varies(self) -> np.typing.NDArray[np.bool_]:
        """Which features are not constant; only these have a coefficient to fit, the others' is 0."""
        return self.standard.scale[:-1] > 0

    def check(self) -> None:
        """Raise JobFailed when there is nothing to predict or nothing to predict it from."""
        if self.standard.scale[-1] == 0:
            raise JobFailed(f"the target {self.columns.target!r} has the same value in every row of every owner")
        if not self.varies.any():
            raise JobFailed("every feature has the same value in every row of every owner")

    def penalty(self) -> Reals:
        """The L2 penalty on each standardised coefficient, and 0 on the intercept, the last.

        A coefficient in its own units is the standardised one divided by the feature's scale.
        """
        settings = self.params.model_params
        strength = 1 / settings.C if self.logistic else settings.alpha
        scale = self.standard.scale[:-1][self.varies]
        each = np.full(len(scale), strength) if settings.standardize else strength / scale**2
        return np.append(each, 0.0)

    def quality(self, point: Point) -> dict[str, float]:
        """How good a point is: `gradient_norm`, `loss`, and `accuracy` or `r2`, on the rows trained on.

        `loss` is the minimised function per record: LOGISTIC the mean log loss plus penalty / (2 C records), LINEAR the
        mean squared error plus alpha penalty / records. `gradient_norm` is the largest component, per record.
        """
        measured = {"gradient_norm": float(np.abs(point.gradient).max()) / self.records}
        per_record = point.objective / self.records
        if self.logistic:
            return measured | {"loss": per_record, "accuracy": round(point.sums.hits) / self.records}
        squared = 2 * self.standard.scale[-1] ** 2
        return measured | {"loss": float(squared) * per_record, "r2": 1 - 2 * point.sums.loss / self.records}

    def model(self, coefficients: Reals) -> Model:
        """The model with these standardised coefficients and intercept, in the features' own units."""
        mean, scale = self.standard.mean, self.standard.scale
        target_mean, target_scale = (0.0, 1.0) if self.logistic else (float(mean[-1]), float(scale[-1]))
        weights = np.zeros(len(self.columns.features))
        weights[self.varies] = target_scale * coefficients[:-1] / scale[:-1][self.varies]
        return Model(
            kind=self.params.regression_type,
            features=self.columns.features,
            target=self.columns.target,
            coefficients=weights,
            intercept=float(target_mean + target_scale * coefficients[-1] - weights @ mean[:-1]),
            mean=mean[:-1],
            scale=scale[:-1],
        )

    def constant_features(self) -> list[str]:
        """The names of the features whose coefficient is 0 because they never change."""
        return [name for name, varies in zip(self.columns.features, self.varies, strict=True) if not varies]
