"""What an owner does in blind learning: it runs the first layers over its rows, and learns from the slopes it is sent."""

from collections.abc import Sequence

import numpy as np

from network.protocols.aggregation.fixed_point import Reals
from network.protocols.aggregation.secure_sum import Contributor
from network.protocols.neural import halves
from network.protocols.neural.halves import Counts, batches, cut_units, stepped
from network.protocols.neural.layers import Layers, backward, flat, output, unflatten
from network.protocols.neural.matrices import receive_matrix, send_matrix
from network.protocols.neural.parts import DIVERGED, OwnRows, bring_rows
from network.protocols.parameters import BlindLearningParams, TargetParams
from network.protocols.party import JobFailed, Party
from network.protocols.regression.announcements import hear


def contribute(party: Party, owners: Sequence[str], *, params: BlindLearningParams) -> None:
    """Take part in every epoch. Raises JobFailed when the rows here cannot, or would be told too much of."""
    contributor = Contributor(party, owners)
    rows = bring_rows(party, contributor, params=TargetParams(), model_output="binary")
    _refuse_telling_rows(party, rows, params=params)
    rng = np.random.default_rng([params.seed, owners.index(party.me)])
    training, test = _divided(rows, rng, share=params.test_size)
    counts = Counts(training=len(training.target), test=len(test.target))
    party.send(party.initiator, halves.COUNTS_TOPIC, counts.to_bytes())
    layers, _ = halves.halves(rows.features.shape[1], params=params)
    for _ in range(params.epochs):
        layers = _epoch(party, layers, _taken(training, rng.permutation(counts.training)), params=params)
        contributor.contribute(halves.HALF_TOPIC, flat(layers) * counts.training)
        layers = unflatten(hear(party, halves.AVERAGE_TOPIC, size=flat(layers).size), like=layers)
        _test(party, layers, test, params=params)


def _refuse_telling_rows(party: Party, rows: OwnRows, *, params: BlindLearningParams) -> None:
    # Of each row the initiator gets so many numbers, by layers that it knows: as many as features, and it could solve.
    told, varying = params.epochs * cut_units(params), int((rows.features != rows.features[0]).any(axis=0).sum())
    if told >= varying:
        raise JobFailed(
            f"{party.me} would tell {told} numbers of each row (epochs times units of the last client layer), and its rows "
            f"have {varying} features that vary; they must be fewer, or the rows could be worked out"
        )


def _divided(rows: OwnRows, rng: np.random.Generator, *, share: float) -> tuple[OwnRows, OwnRows]:
    """The rows to train on, and those to test with."""
    order = rng.permutation(len(rows.target))
    kept = max(1, round(share * len(order)))
    return _taken(rows, order[kept:]), _taken(rows, order[:kept])


def _taken(rows: OwnRows, places: np.typing.NDArray[np.int64]) -> OwnRows:
    return OwnRows(columns=rows.columns, features=rows.features[places], target=rows.target[places])


def _epoch(party: Party, layers: Layers, rows: OwnRows, *, params: BlindLearningParams) -> Layers:
    for batch in batches(len(rows.target), size=params.batch_size):
        features = rows.features[batch]
        _tell(party, halves.ACTIVATIONS_TOPIC, layers, features, target=rows.target[batch])
        shape = (len(features), cut_units(params))
        slopes = receive_matrix(party, party.initiator, halves.SLOPES_TOPIC, shape=shape)
        gradient, _ = backward(layers, features, slopes)
        layers = stepped(layers, gradient / len(features), rate=params.learning_rate)
    return layers


def _test(party: Party, layers: Layers, rows: OwnRows, *, params: BlindLearningParams) -> None:
    for batch in batches(len(rows.target), size=params.batch_size):
        _tell(party, halves.TEST_TOPIC, layers, rows.features[batch], target=rows.target[batch])


def _tell(party: Party, topic: str, layers: Layers, features: Reals, *, target: Reals) -> None:
    activations = output(layers, features)
    if not np.isfinite(activations).all():
        raise JobFailed(DIVERGED)
    send_matrix(party, party.initiator, topic, np.column_stack([activations, target]))
