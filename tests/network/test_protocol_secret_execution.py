"""EXECUTE with security smpc: it predicts what the model in clear predicts, and neither side's numbers travel."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as with_all
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from network.protocols.aggregation.fixed_point import Words
from network.protocols.inference import run
from network.protocols.model_file import Model, to_bytes
from network.protocols.neural import network_file, ring
from network.protocols.neural.layers import Layers, initial
from network.protocols.neural.network import Network, standardised
from network.protocols.neural.shared_layers import Side
from network.protocols.neural.triples import LayerSize, deal
from network.protocols.party import JobFailed, Outcome, Party
from tests.support.network import RunningNetwork
from tests.support.parties import FakeJob, Input

PRECISION = 1e-4
TABLE = Input.ready_made("lakeside/breast-cancer")
Numbers = NDArray[np.float64]


def rows(given: Input = TABLE) -> Numbers:
    return np.column_stack([given.table[name].to_numpy() for name in names(given)])


def names(given: Input = TABLE) -> tuple[str, ...]:
    return tuple(name for name in given.table.column_names if given.roles[name] == "feature")


def network(*shape: tuple[int, str], model_output: str = "binary") -> Network:
    return Network(
        model_output=model_output,  # type: ignore[arg-type]  # a name
        features=names(),
        target="target",
        mean=rows().mean(axis=0),
        scale=rows().std(axis=0),
        layers=initial(30, [*shape, (1, "linear")], seed=8),  # type: ignore[list-item]  # names
    )


SQUARE = network((6, "square"))
REGRESSION = Model(
    kind="LINEAR",
    features=names(),
    target="target",
    coefficients=np.linspace(-1, 1, 30) / rows().std(axis=0),
    intercept=0.25,
    mean=rows().mean(axis=0),
    scale=rows().std(axis=0),
)


def hidden(
    model: Network | Model = SQUARE, *, model_team: str = "mercy", table: Input = TABLE, **params: object
) -> FakeJob:
    content = to_bytes(model) if isinstance(model, Model) else network_file.to_bytes(model)
    return FakeJob(inputs=[table], content=content, model_team=model_team, params={"security": "smpc", **params})


def predicted(job: FakeJob, column: str) -> Numbers:
    asset_id = job.run(run).asset_id
    assert asset_id is not None
    return np.asarray(job.tables[asset_id][column].to_numpy(), dtype=np.float64)


def refusal(job: FakeJob) -> str:
    with pytest.raises(JobFailed) as raised:
        job.run(run)
    assert not job.tables
    return str(raised.value)


@pytest.mark.parametrize("shape", [[], [(5, "linear")], [(6, "square")], [(4, "square"), (3, "linear")]])
def test_it_predicts_what_the_network_in_clear_predicts(shape: list[tuple[int, str]]) -> None:
    """To the precision that the documentation names."""
    model = network(*shape)

    found = predicted(hidden(model), "probability")

    np.testing.assert_allclose(found, model.scores(rows()), atol=PRECISION)


def test_many_classes_have_a_probability_each() -> None:
    """The result holds that of the most probable one."""
    model = replace(SQUARE, model_output="multiclass", layers=initial(30, [(4, "square"), (3, "linear")], seed=8))
    expected = model.scores(rows())

    found = predicted(hidden(model), "probability")

    np.testing.assert_allclose(found, expected.max(axis=1), atol=PRECISION)


def test_a_regression_is_a_network_of_one_layer() -> None:
    """Both kinds of model can be run so."""
    np.testing.assert_allclose(predicted(hidden(REGRESSION), "prediction"), REGRESSION.scores(rows()), atol=PRECISION)


def test_the_size_of_a_batch_changes_nothing() -> None:
    """But how many there are."""
    job = hidden(batch_size=50, stream_output=True)

    found = predicted(job, "probability")

    np.testing.assert_allclose(found, SQUARE.scores(rows()), atol=PRECISION)
    assert [message["__type"] for message in job.messages] == ["InferenceResults"] * 4 + ["NNSMPCMetrics"]


def test_one_message_at_the_end_counts() -> None:
    """There is no quality: the target stays where it is."""
    job = hidden(batch_size=100)

    summary = json.loads(job.run(run).raw_status)

    assert job.messages == [{"__type": "NNSMPCMetrics", "fraction_bits": 20, "records": 182, "batches": 2}]
    assert summary == {"operation": "EXECUTE", "kind": "NETWORK", "security": "smpc", "records": 182}


def everything(job: FakeJob) -> Words:
    """All that looks like words, in what the two owners and the dealer send each other."""
    topics = {"dealt", "opened", "result-share"}
    payloads = [sent.payload for sent in job.post.transcript if sent.topic in topics]
    return np.frombuffer(b"".join(payloads), dtype="<u8").astype(np.uint64)


def test_neither_rows_nor_weights_travel_in_clear() -> None:
    """Not as words, nor their negatives, nor as floats. What is zero has no secret and is everywhere by chance."""
    job = hidden()
    job.run(run)
    standard = standardised(rows(), mean=SQUARE.mean, scale=SQUARE.scale)
    weights = np.concatenate([layer.weights.ravel() for layer in SQUARE.layers])

    for secret in (standard.ravel(), weights):
        words = ring.encode(secret)
        assert not np.isin(np.concatenate([words, -words]), everything(job)).any()
        payloads = b"\n".join(sent.payload for sent in job.post.transcript)
        assert not [value for value in secret.tolist() if np.float64(value).tobytes() in payloads]


def test_what_is_told_besides_is_the_outline_the_columns_and_the_number_of_rows() -> None:
    """Everything else is hidden by a random word that the receiver does not know."""
    job = hidden()

    job.run(run)

    told = {(sent.sender, sent.receiver, sent.topic) for sent in job.post.transcript}
    assert told == {
        ("mercy", "lakeside", "needs"),
        ("mercy", "lakeside", "outline"),
        ("mercy", "globex", "outline"),
        ("lakeside", "mercy", "count"),
        ("lakeside", "globex", "count"),
        ("globex", "mercy", "dealt"),
        ("globex", "lakeside", "dealt"),
        ("mercy", "lakeside", "opened"),
        ("lakeside", "mercy", "opened"),
        ("mercy", "globex", "result-share"),
        ("lakeside", "globex", "result-share"),
    }
    [outline] = job.sent(sender="mercy", receiver="globex", topic="outline")
    assert json.loads(outline) == {
        "kind": "NETWORK",
        "classifies": True,
        "inputs": 30,
        "units": [6, 1],
        "squares": [True, False],
    }


def test_no_word_is_used_twice() -> None:
    """Two numbers under one random word would tell their difference."""
    words = everything_of(hidden(batch_size=20))

    # Among half a million words of 64 bits, two alike by chance are not to be met.
    assert len(np.unique(words)) == len(words)


def everything_of(job: FakeJob) -> Words:
    job.run(run)
    return everything(job)


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
def test_an_activation_that_shares_cannot_compute_is_named_with_those_they_can(activation: str) -> None:
    """Whoever trains for this must know before."""
    told = refusal(hidden(network((6, activation))))

    assert told == (f"security smpc cannot compute {activation}; the activations of a model may be: linear, square")


@pytest.mark.parametrize(("table_team", "model_team"), [("globex", "mercy"), ("lakeside", "globex")])
def test_the_dealer_may_own_neither(table_team: str, model_team: str) -> None:
    """It knows every random word, so it could take the mask off whatever it sees."""
    told = refusal(hidden(model_team=model_team, table=replace(TABLE, team=table_team)))

    assert "globex, the team that starts the job, deals the random numbers" in told


def test_one_owner_of_both_has_nothing_to_hide() -> None:
    """And would open everything to itself."""
    assert "both belong to lakeside" in refusal(hidden(model_team="lakeside"))


def test_a_row_that_is_too_far_out_is_refused_and_not_told() -> None:
    """Its square might wrap around and be a wrong result."""
    narrow = replace(SQUARE, scale=SQUARE.scale / 100)

    told = refusal(hidden(narrow))

    assert told.startswith("a feature of lakeside lies more than 16 deviations from the mean")


def test_a_model_whose_numbers_might_wrap_around_is_refused() -> None:
    """By the worst case, before anything is computed."""
    first, last = SQUARE.layers
    large: Layers = (replace(first, weights=first.weights * 100), last)

    assert "could leave the range of security smpc" in refusal(hidden(replace(SQUARE, layers=large)))


@settings(deadline=None, max_examples=50)
@with_all(st.lists(st.floats(min_value=-(2.0**20.9), max_value=2.0**20.9), min_size=1, max_size=40))
def test_a_product_is_exact_to_the_last_step_whatever_its_size_and_sign(values: list[float]) -> None:
    """No chance of a wrap: a truncation that fails once in a million rows would be a wrong prediction."""
    column = np.array(values)[:, np.newaxis]
    size = LayerSize(rows=len(values), inputs=1, units=1, square=False)
    dealt = dict(zip(("lakeside", "mercy"), deal(size), strict=True))
    shares = {}

    def layer(party: Party) -> Outcome:
        if party.me != party.initiator:
            leads = party.me == "lakeside"
            peer = "mercy" if leads else "lakeside"
            mine = ring.encode(column if leads else np.zeros_like(column))
            weight = ring.encode(np.full((1, 1), 0.0 if leads else -1.0))
            side = Side(party=party, peer=peer, leads=leads)
            nothing = np.zeros(1, dtype=np.uint64)
            shares[party.me] = side.layer(mine, weight, nothing, size=size, dealt=dealt[party.me])
        return Outcome(raw_status="")

    FakeJob(inputs=[Input.drawn(team) for team in dealt]).run(layer)

    error = ring.decode(shares["lakeside"] + shares["mercy"]) + ring.decode(ring.encode(column))
    assert error.min() >= 0
    assert error.max() <= 2.0**-ring.FRACTION_BITS


def test_it_runs_on_real_access_points(running_network: RunningNetwork) -> None:
    """A model of mercy on a table of lakeside, for globex."""
    params = {"layers": [{"units": 4, "activation": "square"}], "epochs": 2, "learning_rate": 0.01}
    datasets = ["globex/holdout", "lakeside/breast-cancer"]
    body = {"operation": "FEDERATED_LEARNING_PROTOCOL", "dataset": datasets, "params": params}
    training = running_network.run(body, team="mercy")
    model = running_network.reached(training["id"], {"complete", "error"}, team="mercy")["result"]["asset_id"]

    running = running_network.run(
        {"operation": model, "dataset": ["lakeside/breast-cancer"], "params": {"security": "smpc"}}
    )

    job = running_network.reached(running["id"], {"complete", "error"})
    assert job["market_status"] == "complete", job["error"]
    messages = [json.loads(line).get("message") for line in running_network.stream(job["id"])]
    assert {"__type": "NNSMPCMetrics", "fraction_bits": 20, "records": 182, "batches": 1} in messages
