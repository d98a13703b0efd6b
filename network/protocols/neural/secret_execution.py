"""EXECUTE with security smpc: a model run on a table, of which neither owner sees the other's, nor the predictions.

The table's and the model's owner compute on shares. The initiator deals the random numbers they need, which is why it may
own neither, and alone puts the results together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from network.protocols.aggregation.fixed_point import Reals, Words
from network.protocols.model_file import Model, any_from_bytes
from network.protocols.neural import ring
from network.protocols.neural.layers import Layer
from network.protocols.neural.network import Network, probabilities, standardised
from network.protocols.neural.secret_outline import (
    COUNT_TOPIC,
    NEEDS_TOPIC,
    OUTLINE_TOPIC,
    Count,
    Needs,
    Outline,
    heard,
    tell,
)
from network.protocols.neural.shared_layers import Side
from network.protocols.neural.triples import deal
from network.protocols.parameters import InferenceParams
from network.protocols.party import JobFailed, Outcome, Party
from network.protocols.predictions import About, keep
from network.protocols.scoring import features_of

DEALT_TOPIC, RESULT_TOPIC = "dealt", "result-share"

ACTIVATIONS = ("linear", "square")
MAX_DEVIATIONS = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Roles:
    table: str
    model: str
    dealer: str


def run(party: Party, *, model_team: str) -> Outcome:
    """Bring the table, bring the model, or deal and put together. Raises JobFailed unless three teams do the three."""
    roles = _Roles(table=party.datasets[0].team, model=model_team, dealer=party.initiator)
    _refuse_unsafe(roles)
    params = InferenceParams.model_validate(party.params)
    if party.me == roles.dealer:
        return _deal(party, roles, params=params)
    if party.me == roles.model:
        _bring_model(party, roles, params=params)
    else:
        _bring_table(party, roles, params=params)
    return Outcome(raw_status="")


def _refuse_unsafe(roles: _Roles) -> None:
    if roles.dealer in {roles.table, roles.model}:
        raise JobFailed(
            f"with security smpc {roles.dealer}, the team that starts the job, deals the random numbers that hide table "
            "and model, so it can own neither of them; use a table and a model of two other teams, or security fed"
        )
    if roles.table == roles.model:
        raise JobFailed(f"table and model both belong to {roles.table}: there is nothing to hide; use security fed")


def _bring_model(party: Party, roles: _Roles, *, params: InferenceParams) -> None:
    model = any_from_bytes(party.model())
    network = _as_network(model)
    _check(network)
    outline = Outline(
        kind=model.kind,
        classifies=network.classifies,
        inputs=len(network.features),
        units=tuple(len(layer.bias) for layer in network.layers),
        squares=tuple(layer.activation == "square" for layer in network.layers),
    )
    needs = Needs(features=network.features, mean=tuple(network.mean), scale=tuple(network.scale))
    tell(party, (roles.table,), NEEDS_TOPIC, needs)
    tell(party, (roles.table, roles.dealer), OUTLINE_TOPIC, outline)
    records = heard(party, roles.table, COUNT_TOPIC, Count).records
    side = Side(party=party, peer=roles.table, leads=False)
    for batch in outline.batches(records, batch_size=params.batch_size):
        nothing = np.zeros((batch.stop - batch.start, outline.inputs), dtype=np.uint64)
        _compute(side, roles, outline, values=nothing, layers=network.layers)


def _as_network(model: Model | Network) -> Network:
    """A regression is a network of one layer."""
    if isinstance(model, Network):
        return model
    scale = np.where(model.scale > 0, model.scale, 1.0)
    weights = (model.coefficients * scale)[:, np.newaxis]
    bias = np.array([model.intercept + model.coefficients @ model.mean])
    return Network(
        model_output="binary" if model.classifies else "regression",
        features=model.features,
        target=model.target,
        mean=model.mean,
        scale=scale,
        layers=(Layer(weights=weights, bias=bias, activation="linear"),),
    )


def _check(network: Network) -> None:
    """Raise JobFailed for layers that cannot be computed on shares, or whose numbers might be too large for it."""
    other = sorted({layer.activation for layer in network.layers} - set(ACTIVATIONS))
    if other:
        allowed = ", ".join(ACTIVATIONS)
        raise JobFailed(
            f"security smpc cannot compute {', '.join(other)}; the activations of a model may be: {allowed}"
        )
    largest = np.full(len(network.features), MAX_DEVIATIONS)
    for layer in network.layers:
        largest = largest @ np.abs(layer.weights) + np.abs(layer.bias)
        largest = largest**2 if layer.activation == "square" else largest
        if not (largest < ring.RANGE).all() or not (np.abs(layer.weights) < ring.RANGE).all():
            raise JobFailed(
                "the model's numbers could leave the range of security smpc, ±2^21, for features up to "
                f"{MAX_DEVIATIONS:.0f} deviations from their mean; use fewer square layers, or security fed"
            )


def _bring_table(party: Party, roles: _Roles, *, params: InferenceParams) -> None:
    needs = heard(party, roles.model, NEEDS_TOPIC, Needs)
    outline = heard(party, roles.model, OUTLINE_TOPIC, Outline)
    rows = _rows(party, needs)
    if rows.shape[1] != outline.inputs:
        raise JobFailed(f"{roles.model} described a model that does not fit its features")
    tell(party, (roles.model, roles.dealer), COUNT_TOPIC, Count(records=len(rows)))
    side = Side(party=party, peer=roles.model, leads=True)
    for batch in outline.batches(len(rows), batch_size=params.batch_size):
        _compute(side, roles, outline, values=ring.encode(rows[batch]), layers=None)


def _rows(party: Party, needs: Needs) -> Reals:
    dataset = party.datasets[0]
    matrix = features_of(party.table(dataset), party.roles(dataset), features=needs.features, team=party.me)
    rows = standardised(matrix, mean=np.array(needs.mean), scale=np.array(needs.scale))
    if not (np.abs(rows) <= MAX_DEVIATIONS).all():
        raise JobFailed(
            f"a feature of {party.me} lies more than {MAX_DEVIATIONS:.0f} deviations from the mean that the model was "
            "trained with, too far for security smpc; use security fed"
        )
    return rows


def _compute(side: Side, roles: _Roles, outline: Outline, *, values: Words, layers: Sequence[Layer] | None) -> None:
    """One batch, from this side's share of the rows; `layers` None: this side has no share of those but zeros."""
    for place, size in enumerate(outline.sizes(len(values))):
        dealt = ring.from_bytes(side.party.receive(roles.dealer, DEALT_TOPIC), shapes=size.shapes)
        if dealt is None:
            raise JobFailed(f"{roles.dealer} dealt random numbers of another size than expected")
        weights = np.zeros((size.inputs, size.units), dtype=np.uint64)
        bias = np.zeros(size.units, dtype=np.uint64)
        if layers is not None:
            weights = ring.encode(layers[place].weights)
            bias = ring.encode(layers[place].bias, bits=2 * ring.FRACTION_BITS)
        values = side.layer(values, weights, bias, size=size, dealt=dealt)
    side.party.send(roles.dealer, RESULT_TOPIC, ring.to_bytes([values]))


def _deal(party: Party, roles: _Roles, *, params: InferenceParams) -> Outcome:
    outline = heard(party, roles.model, OUTLINE_TOPIC, Outline)
    records = heard(party, roles.table, COUNT_TOPIC, Count).records
    about = About(
        classifies=outline.classifies,
        width=outline.units[-1],
        summary={"kind": outline.kind, "security": "smpc"},
        last_words={"__type": "NNSMPCMetrics", "fraction_bits": ring.FRACTION_BITS},
    )
    results = _results(party, roles, outline, records=records, batch_size=params.batch_size)
    return keep(party, results, about, stream_output=params.stream_output)


def _results(party: Party, roles: _Roles, outline: Outline, *, records: int, batch_size: int) -> Iterator[Reals]:
    for batch in outline.batches(records, batch_size=batch_size):
        rows = batch.stop - batch.start
        for size in outline.sizes(rows):
            for team, share in zip((roles.table, roles.model), deal(size), strict=True):
                party.send(team, DEALT_TOPIC, ring.to_bytes(share))
        # Only now the next: mail that nobody has read yet is bounded.
        shape = (rows, outline.units[-1])
        outputs = ring.decode(_share(party, roles.table, shape=shape) + _share(party, roles.model, shape=shape))
        yield probabilities(outputs) if outline.classifies else outputs


def _share(party: Party, team: str, *, shape: tuple[int, int]) -> Words:
    shares = ring.from_bytes(party.receive(team, RESULT_TOPIC), shapes=[shape])
    if shares is None:
        raise JobFailed(f"{team} sent a share of the results of another size than expected")
    return shares[0]
