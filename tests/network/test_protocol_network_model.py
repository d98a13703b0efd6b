"""A trained network as a model asset: it comes back as it was written, is checked as strictly as a regression, and runs."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa
import pytest
from safetensors.numpy import save

from network.protocols.inference import run
from network.protocols.model_file import any_from_bytes, from_bytes
from network.protocols.neural.layers import initial
from network.protocols.neural.network import Network
from network.protocols.neural.network_file import to_bytes
from network.protocols.party import JobFailed
from tests.support.parties import FakeJob, Input

NETWORK = Network(
    model_output="binary",
    features=("a", "b"),
    target="target",
    mean=np.array([3.0, -1.0]),
    scale=np.array([2.0, 0.5]),
    layers=initial(2, [(3, "tanh"), (1, "linear")], seed=4),
)
METADATA = {
    "kind": "NETWORK",
    "model_output": "binary",
    "features": '["a", "b"]',
    "target": "target",
    "classes": "[0, 1]",
    "units": "[3, 1]",
    "activations": '["tanh", "linear"]',
    "library_version": "1",
}
TENSORS = {
    "mean": np.zeros(2),
    "scale": np.ones(2),
    "weights.0": np.zeros((2, 3)),
    "bias.0": np.zeros(3),
    "weights.1": np.zeros((3, 1)),
    "bias.1": np.zeros(1),
}


def executed(network: Network, **params: object) -> FakeJob:
    return FakeJob(inputs=[Input.drawn("mercy")], content=to_bytes(network), params=params)


def test_a_network_comes_back_as_it_was_written() -> None:
    """To the last bit."""
    np.testing.assert_equal(asdict(any_from_bytes(to_bytes(NETWORK))), asdict(NETWORK))


def test_a_network_is_no_regression() -> None:
    """Whoever asks for coefficients must not get layers."""
    with pytest.raises(JobFailed, match="not a regression"):
        from_bytes(to_bytes(NETWORK))


def test_the_predictions_are_those_of_the_layers_written_out() -> None:
    """Standardised, tanh, a logit, a probability; in the rows' order."""
    job = executed(NETWORK)
    given = job.inputs[0].table
    rows = np.column_stack([given["a"].to_numpy(), given["b"].to_numpy()])
    first, last = NETWORK.layers

    asset_id = job.run(run).asset_id

    assert asset_id is not None
    table = job.tables[asset_id]
    logit = np.tanh((rows - [3.0, -1.0]) / [2.0, 0.5] @ first.weights) @ last.weights
    np.testing.assert_allclose(table["probability"].to_numpy(), 1 / (1 + np.exp(-logit[:, 0])), atol=1e-12)
    assert table["prediction"].to_pylist() == (logit[:, 0] > 0).astype(int).tolist()


def test_a_network_that_predicts_a_number_gives_no_probability() -> None:
    """Only a class has one."""
    job = executed(replace(NETWORK, model_output="regression"))

    summary = json.loads(job.run(run).raw_status)

    assert next(iter(job.tables.values())).column_names == ["row", "prediction"]
    assert set(summary) == {"operation", "kind", "records", "r2"}


def test_a_network_of_many_classes_gives_the_most_probable_one() -> None:
    """The table has its probability; the stream has those of all, in no message more numbers than it can hold."""
    network = replace(NETWORK, model_output="multiclass", layers=initial(2, [(3, "tanh"), (4, "linear")], seed=4))
    job = executed(network, batch_size=25, stream_output=True)
    given = job.inputs[0].table
    expected = network.scores(np.column_stack([given["a"].to_numpy(), given["b"].to_numpy()]))

    summary = json.loads(job.run(run).raw_status)

    [table] = job.tables.values()
    assert table["prediction"].to_pylist() == expected.argmax(axis=1).tolist()
    np.testing.assert_array_equal(table["probability"].to_numpy(), expected.max(axis=1))
    told = [row for message in job.messages[:2] for row in message["result"]]  # type: ignore[attr-defined]  # JSON
    np.testing.assert_array_equal(told, expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1.0)
    assert summary["accuracy"] == pytest.approx((expected.argmax(axis=1) == given["target"].to_numpy()).mean())


def test_a_long_batch_of_wide_rows_is_told_in_several_messages() -> None:
    """A message on the stream has 1 MiB at most."""
    network = replace(NETWORK, model_output="multiclass", layers=initial(2, [(100, "linear")], seed=4))
    table = Input.drawn("mercy", rows=450)
    job = FakeJob(inputs=[table], content=to_bytes(network), params={"stream_output": True})

    job.run(run)

    sizes = [len(message.get("result", [])) for message in job.messages]  # type: ignore[arg-type]  # JSON
    assert sizes == [200, 200, 50, 0]
    assert job.messages[-1]["batches"] == 1


def test_one_message_at_the_end_counts_and_measures() -> None:
    """After the results, if those are told too."""
    job = executed(NETWORK, batch_size=15, stream_output=True)

    summary = json.loads(job.run(run).raw_status)

    assert [message["__type"] for message in job.messages] == ["InferenceResults"] * 3 + ["NNFEDMetrics"]
    expected = {"__type": "NNFEDMetrics", "records": 40, "batches": 3, "accuracy": summary["accuracy"]}
    assert job.messages[-1] == expected


def test_without_the_target_the_message_counts_only() -> None:
    """There is nothing to compare with."""
    job = FakeJob(inputs=[Input.drawn("mercy").without("target")], content=to_bytes(NETWORK))

    job.run(run)

    assert job.messages == [{"__type": "NNFEDMetrics", "records": 40, "batches": 1}]


def test_a_network_cannot_take_a_target_for_a_feature() -> None:
    """A made-up network could hand it out."""
    made_up = replace(NETWORK, features=("a", "target"))

    with pytest.raises(JobFailed, match="is no feature"):
        executed(made_up).run(run)


def test_numbers_too_large_for_the_network_are_refused_by_count_of_rows() -> None:
    """A prediction that is not finite is none, and its value is told to nobody."""
    square = replace(NETWORK, layers=initial(2, [(3, "square"), (1, "linear")], seed=4))
    job = FakeJob(inputs=[Input.drawn("mercy", a=pa.array([1e200] * 40))], content=to_bytes(square))

    with pytest.raises(JobFailed, match="no finite result for 40 of the rows of mercy"):
        job.run(run)


BAD: dict[str, Callable[[], bytes]] = {
    "no layer": lambda: save(TENSORS, metadata=METADATA | {"units": "[]", "activations": "[]"}),
    "more units than activations": lambda: save(TENSORS, metadata=METADATA | {"activations": '["linear"]'}),
    "an activation of its own": lambda: save(TENSORS, metadata=METADATA | {"activations": '["exec", "linear"]'}),
    "a last layer that is not linear": lambda: save(TENSORS, metadata=METADATA | {"activations": '["tanh", "tanh"]'}),
    "two outputs": lambda: save(TENSORS, metadata=METADATA | {"units": "[3, 2]"}),
    "too many units": lambda: save(TENSORS, metadata=METADATA | {"units": "[1000000000, 1]"}),
    "another number of units": lambda: save(TENSORS, metadata=METADATA | {"units": "[4, 1]"}),
    "a feature twice": lambda: save(TENSORS, metadata=METADATA | {"features": '["a", "a"]'}),
    "another number of features": lambda: save(TENSORS, metadata=METADATA | {"features": '["a"]'}),
    "a layer too many": lambda: save(TENSORS | {"bias.2": np.zeros(1)}, metadata=METADATA),
    "single precision": lambda: save(TENSORS | {"bias.1": np.zeros(1, dtype=np.float32)}, metadata=METADATA),
    "not a number": lambda: save(TENSORS | {"bias.1": np.array([np.inf])}, metadata=METADATA),
    "a negative scale": lambda: save(TENSORS | {"scale": np.array([1.0, -1.0])}, metadata=METADATA),
    "a key too many": lambda: save(TENSORS, metadata=METADATA | {"code": "import os"}),
    "classes of its own": lambda: save(TENSORS, metadata=METADATA | {"classes": "[1, 2]"}),
    "many classes in one unit": lambda: save(TENSORS, metadata=METADATA | {"model_output": "multiclass"}),
    "no model output": lambda: save(TENSORS, metadata=METADATA | {"model_output": "text"}),
    "cut short": lambda: to_bytes(NETWORK)[:-8],
    "too many bytes": lambda: bytes(16 * 1024 * 1024 + 1),
}


def test_the_good_one_of_which_the_bad_ones_are_made_is_taken() -> None:
    """Else they might be refused for another reason."""
    assert isinstance(any_from_bytes(save(TENSORS, metadata=METADATA)), Network)


@pytest.mark.parametrize("name", BAD)
def test_bytes_that_are_not_exactly_a_network_are_refused(name: str) -> None:
    """They come from another team, and are data only."""
    with pytest.raises(JobFailed, match="the model"):
        any_from_bytes(BAD[name]())
