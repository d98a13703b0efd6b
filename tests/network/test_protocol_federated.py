"""FEDERATED_LEARNING_PROTOCOL: what it trains, compared with plain training on the pooled rows; what it tells and refuses."""

import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from pydantic import ValidationError

from network.protocols.model_file import any_from_bytes
from network.protocols.neural.federated import run
from network.protocols.neural.layers import backward, flat, initial, output, unflatten
from network.protocols.neural.losses import compare
from network.protocols.neural.network import Network
from network.protocols.parameters import FederatedParams
from network.protocols.party import JobFailed
from tests.support.network import RunningNetwork
from tests.support.parties import FakeJob, Input

OWNERS = ("mercy", "lakeside")
Numbers = NDArray[np.float64]


def federated(*inputs: Input, **params: object) -> FakeJob:
    return FakeJob(inputs=inputs or [Input.drawn(owner) for owner in OWNERS], params={"epochs": 5, **params})


def trained(job: FakeJob) -> Network:
    outcome = job.run(run)
    assert outcome.asset_id is not None
    network = any_from_bytes(job.models[outcome.asset_id])
    assert isinstance(network, Network)
    return network


def refusal(*inputs: Input, **params: object) -> str:
    job = federated(*inputs, **params)
    with pytest.raises(JobFailed) as raised:
        job.run(run)
    assert not job.models
    return str(raised.value)


def pooled(inputs: Sequence[Input]) -> tuple[Numbers, Numbers]:
    table = pa.concat_tables([given.table for given in inputs])
    features = [name for name in table.column_names if inputs[0].roles[name] == "feature"]
    return np.column_stack([table[name].to_numpy() for name in features]), table["target"].to_numpy().astype(float)


def plain_training(features: Numbers, target: Numbers, *, epochs: int, rate: float) -> list[Numbers]:
    """One tanh layer of 8 units and a logit, written out: not a line of what is tested but the initial weights."""
    w1, w2 = (layer.weights for layer in initial(features.shape[1], [(8, "tanh"), (1, "linear")], seed=7))
    b1, b2 = np.zeros(8), np.zeros(1)
    x, y = (features - features.mean(axis=0)) / features.std(axis=0), target[:, np.newaxis]
    for _ in range(epochs):
        hidden = np.tanh(x @ w1 + b1)
        wrong = (1 / (1 + np.exp(-(hidden @ w2 + b2))) - y) / len(y)
        back = (wrong @ w2.T) * (1 - hidden**2)
        w2, b2 = w2 - rate * hidden.T @ wrong, b2 - rate * wrong.sum(axis=0)
        w1, b1 = w1 - rate * x.T @ back, b1 - rate * back.sum(axis=0)
    return [w1, b1, w2, b2]


def test_the_network_is_the_one_plain_training_finds_on_the_pooled_rows() -> None:
    """Keeping the rows apart costs no accuracy: the difference is one of rounding."""
    inputs = [Input.ready_made(f"{owner}/breast-cancer") for owner in OWNERS]
    expected = plain_training(*pooled(inputs), epochs=20, rate=0.3)

    network = trained(federated(*inputs, epochs=20, learning_rate=0.3, seed=7))

    found = [part for layer in network.layers for part in (layer.weights, layer.bias)]
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-9)


def test_a_regression_without_hidden_layers_becomes_least_squares() -> None:
    """Its predictions are in the target's own unit."""
    rng = np.random.default_rng(3)
    inputs = [Input.drawn(owner, target=pa.array(rng.normal(50, 20, 40))) for owner in OWNERS]
    features, target = pooled(inputs)
    design = np.column_stack([features, np.ones(len(features))])
    expected = design @ np.linalg.lstsq(design, target)[0]

    job = federated(*inputs, model_output="regression", layers=[], epochs=200)
    network = trained(job)

    np.testing.assert_allclose(network.scores(features), expected, atol=1e-9)
    told = json.loads(job.run(run).raw_status)
    assert told["loss"] == pytest.approx(((expected - target) ** 2).mean())
    assert told["r2"] == pytest.approx(1 - ((expected - target) ** 2).mean() / target.var())


def three_classes(owner: str) -> Input:
    """Two classes by the features, a third of what lies far out."""
    drawn = Input.drawn(owner, rows=60)
    far = drawn.table["a"].to_numpy() > 4
    return replace(drawn, table=drawn.table.set_column(2, "target", pa.array(np.where(far, 2, drawn.table["target"]))))


def plain_softmax(features: Numbers, target: Numbers, *, epochs: int, rate: float) -> Numbers:
    """One linear layer into three classes, written out; the probabilities at the end."""
    [layer] = initial(features.shape[1], [(3, "linear")], seed=7)
    w, b = layer.weights, np.zeros(3)
    x, right = (features - features.mean(axis=0)) / features.std(axis=0), np.eye(3)[target.astype(int)]
    for _ in range(epochs):
        wrong = (odds(x @ w + b) - right) / len(x)
        w, b = w - rate * x.T @ wrong, b - rate * wrong.sum(axis=0)
    return odds(x @ w + b)


def odds(outputs: Numbers) -> Numbers:
    grown = np.exp(outputs)
    return np.asarray(grown / grown.sum(axis=1, keepdims=True))


def test_many_classes_are_told_apart_as_plain_training_on_the_pooled_rows_does() -> None:
    """A unit for each class, and the log loss over all of them."""
    inputs = [three_classes(owner) for owner in OWNERS]
    features, target = pooled(inputs)
    expected = plain_softmax(features, target, epochs=30, rate=0.5)
    params = {"model_output": "multiclass", "classes": 3, "layers": [], "epochs": 30, "seed": 7}
    job = federated(*inputs, **params)

    network = trained(job)

    np.testing.assert_allclose(network.scores(features), expected, atol=1e-9)
    last = job.messages[-1]
    assert last["accuracy"] == pytest.approx((expected.argmax(axis=1) == target).mean())
    assert last["loss"] == pytest.approx(-np.log(expected[np.arange(120), target.astype(int)]).mean())


def test_several_local_steps_are_averaged_by_the_number_of_rows() -> None:
    """Federated averaging, written out: each owner steps on its own rows, and the larger one counts more."""
    inputs = [Input.drawn("mercy", rows=90), Input.drawn("lakeside", rows=30)]
    features, _ = pooled(inputs)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    [layer] = initial(2, [(1, "linear")], seed=0)
    w, b = layer.weights, np.zeros(1)
    for _ in range(4):
        stepped = []
        for given in inputs:
            x, y = pooled([given])
            x, own_w, own_b = (x - mean) / deviation, w, b
            for _ in range(3):
                wrong = (1 / (1 + np.exp(-(x @ own_w + own_b))) - y[:, np.newaxis]) / len(y)
                own_w, own_b = own_w - 0.5 * x.T @ wrong, own_b - 0.5 * wrong.sum(axis=0)
            stepped.append((own_w, own_b))
        w, b = (np.average(np.array(parts), axis=0, weights=[90, 30]) for parts in zip(*stepped, strict=True))

    [found] = trained(federated(*inputs, layers=[], epochs=4, local_steps=3)).layers

    np.testing.assert_allclose(found.weights, w, atol=1e-9)
    np.testing.assert_allclose(found.bias, b, atol=1e-9)


def test_a_target_of_another_class_is_refused() -> None:
    """The values themselves stay untold."""
    inputs = [three_classes("mercy"), Input.drawn("lakeside", target=pa.array([0, 1, 7] * 13 + [0]))]

    assert refusal(*inputs, model_output="multiclass", classes=3) == (
        "the target 'target' of 3 classes must hold the numbers 0 to 2 only"
    )


@pytest.mark.parametrize("params", [{"model_output": "multiclass"}, {"classes": 3}, {"layers": [{"units": 129}]}])
def test_params_that_do_not_fit_together_are_refused(params: dict[str, object]) -> None:
    """Before any owner is asked."""
    with pytest.raises(ValidationError):
        FederatedParams.model_validate(params)


def test_every_epoch_is_told_with_what_it_came_to() -> None:
    """The fields are those of every training, the numbers those of the pool after the step."""
    inputs = [Input.drawn(owner) for owner in OWNERS]
    job = federated(*inputs)
    features, target = pooled(inputs)

    network = trained(job)

    assert [(message["epoch"], message["epoch_count"]) for message in job.messages] == [(e, 5) for e in range(5)]
    assert set(job.messages[0]) == {"__type", "epoch", "epoch_count", "records", "loss", "accuracy"}
    last = job.messages[-1]
    assert (last["__type"], last["records"]) == ("FederatedTrainMetrics", 80)
    probability = network.scores(features)
    assert last["accuracy"] == pytest.approx(((probability > 0.5) == target).mean())
    log_loss = -np.where(target > 0, np.log(probability), np.log(1 - probability)).mean()
    assert last["loss"] == pytest.approx(log_loss, abs=1e-9)


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    """To the last bit: masks cancel exactly."""
    first, again, other = (flat(trained(federated(seed=seed)).layers) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


@pytest.mark.parametrize("activation", ["linear", "relu", "sigmoid", "square", "tanh"])
def test_the_gradient_is_the_slope_of_the_loss(activation: str) -> None:
    """For every activation, by differences."""
    rng = np.random.default_rng(5)
    inputs, target = rng.normal(size=(12, 3)), rng.integers(0, 2, 12).astype(float)
    layers = initial(3, [(4, activation), (3, activation), (1, "linear")], seed=1)  # type: ignore[list-item]  # a name

    def loss(numbers: Numbers) -> float:
        return compare(output(unflatten(numbers, like=layers), inputs), target, model_output="binary").loss

    slope = compare(output(layers, inputs), target, model_output="binary").slope
    gradient, _ = backward(layers, inputs, slope)

    steps = np.eye(len(gradient)) * 1e-6
    differences = [(loss(flat(layers) + step) - loss(flat(layers) - step)) / 2e-6 for step in steps]
    np.testing.assert_allclose(gradient, differences, atol=1e-6)


def test_owners_send_names_keys_and_masked_sums_only() -> None:
    """The gradient of one owner alone would tell of its rows."""
    job = federated()
    job.run(run)

    left = {sent.topic for sent in job.post.transcript if sent.sender in OWNERS}
    between = {sent.topic for sent in job.post.transcript if {sent.sender, sent.receiver} == set(OWNERS)}
    payloads = [sent.payload for sent in job.post.transcript if sent.sender in OWNERS and sent.topic == "sums"]

    assert left == {"columns", "public-key", "count-and-sum", "distance", "spread", "sums"}
    assert between == {"public-key"}
    words = np.frombuffer(b"".join(payloads), dtype="<u8")
    assert len(np.unique(words)) == len(words)


def test_a_constant_feature_changes_nothing() -> None:
    """It cannot be standardised, and says nothing about the target."""
    dull = [Input.drawn(owner, dull=pa.array([0.1] * 40)) for owner in OWNERS]

    network = trained(federated(*dull))

    assert network.features == ("a", "b", "dull")
    features, _ = pooled(dull)
    moved = features + np.array([0.0, 0.0, 1.0])
    np.testing.assert_array_equal(network.scores(features), network.scores(moved))


def test_a_step_that_is_too_long_is_named_as_the_reason() -> None:
    """Numbers without end are no network."""
    for epochs, local_steps in ((50, 1), (1, 50)):
        told = refusal(
            layers=[{"units": 8, "activation": "square"}], learning_rate=100.0, epochs=epochs, local_steps=local_steps
        )
        assert "smaller learning_rate" in told


def test_a_binary_target_must_hold_zero_and_one() -> None:
    """The values themselves stay untold."""
    three = Input.drawn("mercy", target=pa.array([0, 1, 7] * 13 + [0]))

    assert refusal(three, Input.drawn("lakeside")) == (
        "the target 'target' of a network with a binary output must hold 0 and 1 only"
    )


def test_an_owner_with_few_rows_refuses() -> None:
    """A sum over few rows tells much of each."""
    assert refusal(Input.drawn("mercy", rows=9), Input.drawn("lakeside")).startswith("mercy holds fewer than 10 rows")


def test_a_target_with_one_value_is_refused() -> None:
    """There is nothing to learn."""
    ones = pa.array([1] * 40)

    assert "same value in every row" in refusal(*[Input.drawn(owner, target=ones) for owner in OWNERS])


@pytest.mark.parametrize("teams", [("globex", "mercy"), ("mercy", "mercy")])
def test_an_owner_does_not_take_the_routers_word_for_it(teams: tuple[str, ...]) -> None:
    """Were the initiator among two owners, it could subtract its own part from every sum."""
    told = refusal(*[Input.drawn(team, seed=seed) for seed, team in enumerate(teams)])

    assert told == ("federated learning needs tables of at least two teams, none of them the one that starts the job")


def test_the_network_trains_and_runs_on_real_access_points(running_network: RunningNetwork) -> None:
    """Trained on two owners' rows and run on the initiator's own."""
    datasets = [f"{owner}/breast-cancer" for owner in OWNERS]
    body = {"operation": "FEDERATED_LEARNING_PROTOCOL", "dataset": datasets, "params": {"epochs": 3}}
    training = running_network.reached(running_network.run(body)["id"], {"complete", "error"})
    assert training["market_status"] == "complete", training["error"]
    asset_id = training["result"]["asset_id"]

    running = running_network.run({"operation": asset_id, "dataset": ["globex/holdout"]})

    assert running_network.reached(running["id"], {"complete", "error"})["market_status"] == "complete"
    assert [told["epoch"] for told in _told(running_network, training["id"], "FederatedTrainMetrics")] == [0, 1, 2]
    [metrics] = _told(running_network, running["id"], "NNFEDMetrics")
    assert (metrics["records"], metrics["batches"]) == (114, 1)
    assert 0 <= float(str(metrics["accuracy"])) <= 1


def _told(network: RunningNetwork, job_id: str, message_type: str) -> list[dict[str, object]]:
    messages = [json.loads(line).get("message") for line in network.stream(job_id)]
    return [told for told in messages if isinstance(told, dict) and told["__type"] == message_type]
