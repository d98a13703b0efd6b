"""BLIND_LEARNING: what it trains, compared with split training written out; what it tells, and to whom; what it refuses."""

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from network.protocols import inference
from network.protocols.model_file import any_from_bytes
from network.protocols.neural.blind import run
from network.protocols.neural.layers import flat, initial
from network.protocols.neural.network import Network
from network.protocols.party import JobFailed
from tests.support.network import RunningNetwork
from tests.support.parties import FakeJob, Input

OWNERS = ("lakeside", "mercy")
Numbers = NDArray[np.float64]


def cancer() -> list[Input]:
    return [Input.ready_made(f"{owner}/breast-cancer") for owner in OWNERS]


def blind(*inputs: Input, **params: object) -> FakeJob:
    return FakeJob(inputs=inputs or cancer(), params=params)


def trained(job: FakeJob) -> Network:
    outcome = job.run(run)
    assert outcome.asset_id is not None
    network = any_from_bytes(job.models[outcome.asset_id])
    assert isinstance(network, Network)
    return network


def refusal(*inputs: Input, **params: object) -> str:
    job = blind(*inputs, **params)
    with pytest.raises(JobFailed) as raised:
        job.run(run)
    assert not job.models
    return str(raised.value)


def numbers(given: Input) -> tuple[Numbers, Numbers]:
    names = [name for name in given.table.column_names if given.roles[name] == "feature"]
    target = given.table["target"].to_numpy().astype(float)
    return np.column_stack([given.table[name].to_numpy() for name in names]), target


def split_training(inputs: Sequence[Input], *, epochs: int, rate: float, seed: int) -> list[Numbers]:
    """One tanh layer of 2 units at each owner, a logit at the initiator; one step an owner and epoch, written out."""
    tables = [numbers(given) for given in inputs]
    pooled = np.vstack([features for features, _ in tables])
    mean, deviation = pooled.mean(axis=0), pooled.std(axis=0)
    w, v = (layer.weights for layer in initial(pooled.shape[1], [(2, "tanh"), (1, "linear")], seed=seed))
    b, c = np.zeros(2), np.zeros(1)
    for _ in range(epochs):
        halves, counts = [], []
        for place, (features, target) in enumerate(tables):
            rows = np.random.default_rng([seed, place]).permutation(len(target))[round(0.2 * len(target)) :]
            x, y = ((features - mean) / deviation)[rows], target[rows, np.newaxis]
            hidden = np.tanh(x @ w + b)
            wrong = (1 / (1 + np.exp(-(hidden @ v + c))) - y) / len(y)
            back = (wrong @ v.T) * (1 - hidden**2)
            v, c = v - rate * hidden.T @ wrong, c - rate * wrong.sum(axis=0)
            halves.append((w - rate * x.T @ back, b - rate * back.sum(axis=0)))
            counts.append(len(y))
        w, b = (np.average(np.array(parts), axis=0, weights=counts) for parts in zip(*halves, strict=True))
    return [w, b, v, c]


def test_the_network_is_the_one_that_split_training_written_out_finds() -> None:
    """The order of the rows in a batch does not matter when a batch holds all of them."""
    expected = split_training(cancer(), epochs=6, rate=0.4, seed=9)

    job = blind(epochs=6, learning_rate=0.4, seed=9, batch_size=4096, server_layers=[])
    network = trained(job)

    found = [part for layer in network.layers for part in (layer.weights, layer.bias)]
    for part, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(part, wanted, atol=1e-9)


def test_it_learns() -> None:
    """Five epochs in small batches are enough for this data."""
    job = blind()

    summary = json.loads(job.run(run).raw_status)

    assert summary["accuracy"] > 0.93
    assert (summary["records"], summary["test_records"], summary["epochs"]) == (455, 91, 5)


def test_the_messages_are_those_of_the_reference() -> None:
    """Field for field, in the same order."""
    job = blind(epochs=2)

    job.run(run)

    assert [(message["epoch"], message["epoch_count"]) for message in job.messages] == [(0, 2), (1, 2)]
    last: dict[str, object] = dict(job.messages[-1])
    assert list(last) == ["__type", "test_results", "train_reports", "epoch_count", "epoch"]
    assert last["__type"] == "SplitTrainMetrics"
    reports = last["train_reports"]
    assert isinstance(reports, list)
    assert [list(report) for report in reports] == [["accuracy", "loss", "client_id", "__type"]] * 2
    assert [(report["client_id"], report["__type"]) for report in reports] == [
        (0, "SplitTrainClassificationReport"),
        (1, "SplitTrainClassificationReport"),
    ]
    assert all(50 < report["accuracy"] <= 100 for report in reports)


def test_the_test_results_are_those_of_the_network_on_the_rows_kept_aside() -> None:
    """One line a client, accuracy in percent."""
    job = blind(seed=3)

    network = trained(job)

    lines = []
    for place, (features, target) in enumerate(map(numbers, cancer())):
        aside = np.random.default_rng([3, place]).permutation(len(target))[: round(0.2 * len(target))]
        probability, actual = network.scores(features[aside]), target[aside]
        loss = -np.where(actual > 0, np.log(probability), np.log(1 - probability)).mean()
        accuracy = 100 * ((probability > 0.5) == actual).mean()
        lines.append(f"Client{place}: Test records: {len(aside)}, Accuracy: {accuracy:.2f}%, Loss: {loss:.2f}\n")
    assert job.messages[-1]["test_results"] == "".join(lines)


def test_the_same_seed_gives_the_same_network_and_another_seed_another() -> None:
    """To the last bit: weights and the order of rows come from it."""
    first, again, other = (flat(trained(blind(seed=seed, epochs=2)).layers) for seed in (1, 1, 2))

    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)


def test_the_network_can_be_executed() -> None:
    """Both halves are in one model."""
    job = blind()
    trained(job)

    execution = FakeJob(inputs=[Input.ready_made("globex/holdout")], content=next(iter(job.models.values())))
    execution.run(inference.run)

    assert float(str(execution.messages[-1]["accuracy"])) > 0.9


def test_what_leaves_an_owner_is_masked_or_as_narrow_as_the_cut() -> None:
    """Two numbers and a target a row; owners exchange keys and nothing else."""
    job = blind(epochs=1, batch_size=16)

    job.run(run)

    left = {sent.topic for sent in job.post.transcript if sent.sender == "mercy"}
    rows = [*job.sent(sender="mercy", receiver="globex", topic="activations")]
    rows += job.sent(sender="mercy", receiver="globex", topic="test-activations")
    between = {sent.topic for sent in job.post.transcript if {sent.sender, sent.receiver} == set(OWNERS)}
    assert sum(map(len, rows)) == 273 * 3 * 8
    assert between == {"public-key"}
    assert left == {
        *("columns", "public-key", "count-and-sum", "distance", "spread"),
        *("counts", "activations", "test-activations", "half"),
    }


def test_no_feature_and_no_identifier_is_in_any_payload() -> None:
    """Targets are: the documentation says so. Short numbers would match by chance, powers of two as units."""
    job = blind(epochs=2)
    job.run(run)
    everything = b"\n".join(sent.payload for sent in job.post.transcript)

    for given in job.inputs:
        features, _ = numbers(given)
        values = {value for value in features.ravel().tolist() if len(repr(value)) >= 6 and np.frexp(value)[0] != 0.5}
        assert not [value for value in values if np.float64(value).tobytes() in everything]
        assert not [name for name in given.table["patient_id"].to_pylist() if name.encode() in everything]


def test_as_many_numbers_of_a_row_as_it_has_features_are_not_told() -> None:
    """The initiator knows the layers: it could solve for the row."""
    layers = [{"units": 3}]

    told = refusal(client_layers=layers, epochs=10)

    assert "tell 30 numbers of each row" in told
    assert "have 30 features that vary" in told
    assert blind(client_layers=layers, epochs=9, batch_size=4096).run(run).asset_id is not None


def test_features_that_do_not_vary_are_not_counted_as_cover() -> None:
    """Nobody needs to work out what is the same in every row."""
    dull = {name: pa.array([1.0] * 40) for name in ("c", "d", "e")}
    inputs = [Input.drawn(owner, **dull) for owner in OWNERS]

    assert "have 2 features that vary" in refusal(*inputs, client_layers=[{"units": 1}], epochs=2)


def test_only_the_column_with_the_role_of_target_can_be_one() -> None:
    """It leaves its owner, so that the caller may not choose."""
    inputs = [Input.drawn(owner) for owner in OWNERS]
    turned = [Input(team=one.team, table=one.table, roles={**one.roles, "target": "feature"}) for one in inputs]

    assert "0 columns of" in refusal(*turned, client_layers=[{"units": 1}], epochs=1)


def test_an_owner_with_few_rows_refuses() -> None:
    """As everywhere."""
    told = refusal(Input.drawn("mercy", rows=9), Input.drawn("lakeside"), client_layers=[{"units": 1}], epochs=1)

    assert told.startswith("mercy holds fewer than 10 rows")


def test_a_target_of_more_than_two_classes_is_refused() -> None:
    """The values themselves stay untold."""
    three = Input.drawn("mercy", target=pa.array([0, 1, 7] * 13 + [0]))

    assert "must hold 0 and 1 only" in refusal(three, Input.drawn("lakeside"), epochs=1)


def test_a_step_that_is_too_long_is_named_as_the_reason() -> None:
    """Numbers without end are no network."""
    layers = [{"units": 8, "activation": "square"}] * 2

    assert "smaller learning_rate" in refusal(server_layers=layers, learning_rate=100.0)


def test_an_owner_does_not_take_the_routers_word_for_it() -> None:
    """With one owner there is nobody to hide amongst."""
    told = refusal(Input.drawn("mercy"), Input.drawn("mercy", seed=2))

    assert told == "blind learning needs tables of at least two teams, none of them the one that starts the job"


def test_it_trains_on_real_access_points(running_network: RunningNetwork) -> None:
    """Every batch goes there and back over the network."""
    datasets = [f"{owner}/breast-cancer" for owner in OWNERS]
    body = {"operation": "BLIND_LEARNING", "dataset": datasets, "params": {"epochs": 2, "batch_size": 128}}

    job = running_network.reached(running_network.run(body)["id"], {"complete", "error"})

    assert job["market_status"] == "complete", job["error"]
    assert job["result"]["asset_id"] is not None
    messages = [json.loads(line).get("message") for line in running_network.stream(job["id"])]
    told = [message for message in messages if isinstance(message, dict)]
    assert [(message["__type"], message["epoch"]) for message in told] == [
        ("SplitTrainMetrics", 0),
        ("SplitTrainMetrics", 1),
    ]
