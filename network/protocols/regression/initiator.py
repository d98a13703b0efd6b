"""What the initiator does in a regression: it holds no rows, and computes on sums over all owners."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import collect
from network.protocols.model_file import to_bytes
from network.protocols.parameters import RegressionParams
from network.protocols.party import Outcome, Party
from network.protocols.regression.announcements import announce
from network.protocols.regression.columns import choose_columns
from network.protocols.regression.families import Sums, flat_size
from network.protocols.regression.moments import gather_moments
from network.protocols.regression.newton import Evaluate, Point, iterate
from network.protocols.regression.owner import COEFFICIENTS_TOPIC, SUMS_TOPIC
from network.protocols.regression.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    point: Point
    iterations: int
    converged: bool


def train(party: Party, owners: Sequence[str], *, params: RegressionParams) -> Outcome:
    """Fit, tell the stream about every iteration, and keep the model. Raises JobFailed when there is no fit."""
    columns = choose_columns(party, owners)
    records, standard = gather_moments(party, owners, size=len(columns.features) + 1)
    pool = Pool(columns=columns, records=records, standard=standard, params=params)
    pool.check()
    fit = _fit(party, owners, pool=pool)
    announce(party, owners, topic=COEFFICIENTS_TOPIC, values=np.empty(0))
    asset_id = party.save_model(to_bytes(pool.model(fit.point.coefficients)))
    return Outcome(raw_status=json.dumps(_summary(pool, fit)), asset_id=asset_id)


def _fit(party: Party, owners: Sequence[str], *, pool: Pool) -> _Fit:
    settings = pool.params.model_params
    points = islice(iterate(_evaluate(party, owners), penalty=pool.penalty()), settings.max_iter)
    for iteration, point in enumerate(points, start=1):
        quality = pool.quality(point)
        _tell(party, pool, iteration=iteration, quality=quality)
        # Strictly below: a tolerance of 0 never stops early, as the params say.
        converged = quality["gradient_norm"] < settings.tol
        if converged or iteration == settings.max_iter:
            break
    return _Fit(point=point, iterations=iteration, converged=converged)


def _evaluate(party: Party, owners: Sequence[str]) -> Evaluate:
    def evaluate(coefficients: Reals) -> Sums:
        announce(party, owners, topic=COEFFICIENTS_TOPIC, values=coefficients)
        numbers = collect(party, owners, topic=SUMS_TOPIC, size=flat_size(len(coefficients)))
        return Sums.unflatten(numbers, size=len(coefficients))

    return evaluate


def _tell(party: Party, pool: Pool, *, iteration: int, quality: dict[str, float]) -> None:
    party.emit(
        {
            "__type": "RegressionTrainingMetrics",
            "iteration": iteration,
            "max_iter": pool.params.model_params.max_iter,
            "records": pool.records,
            **quality,
        }
    )


def _summary(pool: Pool, fit: _Fit) -> dict[str, object]:
    return {
        "operation": "REGRESSION",
        "regression_type": pool.params.regression_type,
        "target": pool.columns.target,
        "features": len(pool.columns.features),
        "constant_features": pool.constant_features(),
        "records": pool.records,
        "iterations": fit.iterations,
        "converged": fit.converged,
        **pool.quality(fit.point),
    }
