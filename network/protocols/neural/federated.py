"""FEDERATED_LEARNING_PROTOCOL: a network trained by federated averaging (McMahan et al. 2017), on secure sums.

What an owner's steps add up to is a gradient. After one step over all its rows, the sum over the owners is the gradient
that plain training on the pooled rows would step along.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import Contributor, collect
from network.protocols.neural.layers import Layers, backward, flat, initial, output, unflatten
from network.protocols.neural.losses import compare
from network.protocols.neural.network import Network
from network.protocols.neural.network_file import to_bytes
from network.protocols.neural.parts import DIVERGED, OwnRows, Pool, bring_rows, meet_pool, owners_of, shape_of
from network.protocols.parameters import FederatedParams
from network.protocols.party import JobFailed, Outcome, Party
from network.protocols.regression.announcements import announce, hear_or_end

WEIGHTS_TOPIC, SUMS_TOPIC = "weights", "sums"

_LIMIT = 2.0**45


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    loss: float
    hits: float
    gradient: Reals


def run(party: Party) -> Outcome:
    """Train or contribute, whichever is this party's part. Raises JobFailed when there is no network, saying why."""
    params = FederatedParams.model_validate(party.params)
    owners = owners_of(party, what="federated learning")
    if party.me == party.initiator:
        return _train(party, owners, params=params)
    _contribute(party, owners, params=params)
    return Outcome(raw_status="")


def _contribute(party: Party, owners: Sequence[str], *, params: FederatedParams) -> None:
    contributor = Contributor(party, owners)
    rows = bring_rows(party, contributor, params=params, model_output=params.model_output, outputs=params.outputs)
    layers = initial(rows.features.shape[1], shape_of(params.layers, outputs=params.outputs), seed=params.seed)
    while (weights := hear_or_end(party, WEIGHTS_TOPIC, size=flat(layers).size)) is not None:
        contributor.contribute(SUMS_TOPIC, _sums_here(unflatten(weights, like=layers), rows, params=params))


@np.errstate(over="ignore", invalid="ignore")
def _sums_here(layers: Layers, rows: OwnRows, *, params: FederatedParams) -> Reals:
    compared = compare(output(layers, rows.features), rows.target, model_output=params.model_output)
    gradient, _ = backward(layers, rows.features, compared.slope)
    for _ in range(params.local_steps - 1):
        gradient = gradient + _gradient_here(_moved(layers, gradient, rows, params=params), rows, params=params)
    sums = np.concatenate([[compared.loss, compared.hits], gradient])
    # Written so that what is not a number is refused as well.
    if not (np.abs(sums) < _LIMIT).all():
        raise JobFailed(DIVERGED)
    return sums


def _moved(layers: Layers, gradient: Reals, rows: OwnRows, *, params: FederatedParams) -> Layers:
    return unflatten(flat(layers) - params.learning_rate * gradient / len(rows.target), like=layers)


def _gradient_here(layers: Layers, rows: OwnRows, *, params: FederatedParams) -> Reals:
    compared = compare(output(layers, rows.features), rows.target, model_output=params.model_output)
    return backward(layers, rows.features, compared.slope)[0]


def _train(party: Party, owners: Sequence[str], *, params: FederatedParams) -> Outcome:
    pool = meet_pool(party, owners)
    shape = shape_of(params.layers, outputs=params.outputs)
    layers = initial(len(pool.columns.features), shape, seed=params.seed)
    sums = _evaluate(party, owners, layers=layers)
    for epoch in range(params.epochs):
        layers = _stepped(layers, sums, pool=pool, params=params)
        sums = _evaluate(party, owners, layers=layers)
        quality = _quality(sums, pool=pool, params=params)
        _tell(party, pool, epoch=epoch, epoch_count=params.epochs, quality=quality)
    announce(party, owners, topic=WEIGHTS_TOPIC, values=np.empty(0))
    asset_id = party.save_model(to_bytes(_network(layers, pool=pool, params=params)))
    summary = {"operation": "FEDERATED_LEARNING_PROTOCOL", "target": pool.columns.target, "records": pool.records}
    summary |= {"features": len(pool.columns.features), "epochs": params.epochs, **quality}
    return Outcome(raw_status=json.dumps(summary), asset_id=asset_id)


def _evaluate(party: Party, owners: Sequence[str], *, layers: Layers) -> _Sums:
    weights = flat(layers)
    announce(party, owners, topic=WEIGHTS_TOPIC, values=weights)
    sums = collect(party, owners, topic=SUMS_TOPIC, size=2 + weights.size)
    return _Sums(loss=float(sums[0]), hits=float(sums[1]), gradient=sums[2:])


def _stepped(layers: Layers, sums: _Sums, *, pool: Pool, params: FederatedParams) -> Layers:
    return unflatten(flat(layers) - params.learning_rate * sums.gradient / pool.records, like=layers)


def _quality(sums: _Sums, *, pool: Pool, params: FederatedParams) -> dict[str, float]:
    """`loss` per record, for regression the mean squared error, and `accuracy` or `r2`, on the rows trained on."""
    per_record = sums.loss / pool.records
    if params.model_output == "regression":
        return {"loss": 2 * per_record * float(pool.standard.scale[-1]) ** 2, "r2": 1 - 2 * per_record}
    return {"loss": per_record, "accuracy": round(sums.hits) / pool.records}


def _tell(party: Party, pool: Pool, *, epoch: int, epoch_count: int, quality: dict[str, float]) -> None:
    message = {"__type": "FederatedTrainMetrics", "epoch": epoch, "epoch_count": epoch_count}
    party.emit({**message, "records": pool.records, **quality})


def _network(layers: Layers, *, pool: Pool, params: FederatedParams) -> Network:
    mean, scale = pool.standard.mean, pool.standard.scale
    if params.model_output == "regression":
        *hidden, last = layers
        last = replace(last, weights=last.weights * scale[-1], bias=last.bias * scale[-1] + mean[-1])
        layers = (*hidden, last)
    return Network(
        model_output=params.model_output,
        features=pool.columns.features,
        target=pool.columns.target,
        mean=mean[:-1],
        scale=scale[:-1],
        layers=layers,
    )
