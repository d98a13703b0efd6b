"""Metrics by party and epoch, whatever messages hold."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.messages import is_metrics
from app.domain.metrics import KEPT_EPOCHS, KEPT_METRICS, KEPT_PARTIES, in_parties, with_metrics
from app.store.rows import kept_job
from tests.support.news import full_job

NOTHING = msgspec.Raw(b"null")
SPLIT = {
    "__type": "SplitTrainMetrics",
    "test_results": "Client0: Test records: 2500, Accuracy: 10.08%, Loss: 2.30\n",
    "train_reports": [
        {"accuracy": 10.035, "loss": 2.402, "client_id": 0, "__type": "SplitTrainClassificationReport"},
        {"accuracy": 9.933, "loss": 2.371, "client_id": 1, "__type": "SplitTrainClassificationReport"},
    ],
    "epoch_count": 1,
    "epoch": 0,
}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)
names = st.sampled_from(
    ["client_id", "party", "team", "epoch", "iteration", "round", "epoch_count", "loss", "accuracy", "reports"]
)
reports = st.lists(st.dictionaries(names, values, max_size=4) | values, max_size=3)
messages = st.dictionaries(names, values | reports, max_size=5).map(lambda fields: {**fields, "__type": "DrawnMetrics"})


def folded(*told: dict[str, Any]) -> Any:
    status = NOTHING
    for message in told:
        status = with_metrics(status, json.dumps(message))
    return msgspec.json.decode(status)


def metrics(**fields: object) -> dict[str, object]:
    return {"__type": "TrainMetrics", **fields}


@given(st.lists(messages, min_size=1, max_size=8))
def test_whatever_comes_numbers_are_held_in_bounds_and_the_last_message_unchanged(told: list[dict[str, Any]]) -> None:
    """An Access Point may send anything; the job must be readable after it."""
    status = NOTHING
    for message in told:
        text = json.dumps(message)
        if is_metrics(text):
            status = with_metrics(status, text)

    if status == NOTHING:
        return
    held = json.loads(bytes(status))
    assert held.keys() == {"type", "latest", "parties"}
    assert held["latest"] in told
    assert len(held["parties"]) <= KEPT_PARTIES
    for epochs in held["parties"].values():
        assert 1 <= len(epochs) <= KEPT_EPOCHS
        for numbers in epochs.values():
            assert 1 <= len(numbers) <= KEPT_METRICS
            assert all(isinstance(one, int | float) and not isinstance(one, bool) for one in numbers.values())
            assert all(map(math.isfinite, numbers.values()))


@given(st.lists(messages, min_size=1, max_size=4))
def test_a_message_told_twice_changes_nothing(told: list[dict[str, Any]]) -> None:
    """The last word stands, however often it is said."""
    assert folded(*told, told[-1]) == folded(*told)


def test_reports_stand_by_client_and_epoch() -> None:
    """The reference's own example."""
    assert folded(SPLIT) == {
        "type": "SplitTrainMetrics",
        "latest": SPLIT,
        "parties": {"0": {"0": {"accuracy": 10.035, "loss": 2.402}}, "1": {"0": {"accuracy": 9.933, "loss": 2.371}}},
    }


@pytest.mark.parametrize("field", ["client_id", "party", "team"])
def test_a_report_is_its_partys_under_whatever_name(field: str) -> None:
    """Protocols differ in how they name one; a report that names none is nobody's."""
    told = metrics(reports=[{field: "mercy", "loss": 0.5}, {"loss": 0.1}])

    assert folded(told)["parties"] == {"mercy": {"0": {"loss": 0.5}}}


@pytest.mark.parametrize("field", ["epoch", "iteration", "round"])
def test_an_epoch_is_one_under_whatever_name(field: str) -> None:
    """And a report's own goes before its message's."""
    told = metrics(
        **{field: 7}, loss=0.5, reports=[{"team": "mercy", "loss": 0.4}, {"team": "lake", field: 6, "r2": 1}]
    )

    assert folded(told)["parties"] == {
        "mercy": {"7": {"loss": 0.4}},
        "lake": {"6": {"r2": 1}},
        "all": {"7": {"loss": 0.5}},
    }


def test_a_message_that_names_its_party_is_that_partys() -> None:
    """Under `all` one party's numbers would take the place of another's."""
    told = [metrics(client_id=number, epoch=1, loss=number / 10) for number in (1, 2)]

    assert folded(*told)["parties"] == {"1": {"1": {"loss": 0.1}}, "2": {"1": {"loss": 0.2}}}


def test_numbers_of_one_epoch_come_together() -> None:
    """One message tells the loss, the next the accuracy, the third a better loss."""
    told = [metrics(epoch=1, loss=0.5), metrics(epoch=1, accuracy=0.9), metrics(epoch=1, loss=0.4)]

    assert folded(*told)["parties"] == {"all": {"1": {"loss": 0.4, "accuracy": 0.9}}}


def test_only_numbers_that_measure_are_metrics() -> None:
    """How far training has come, texts, and yes or no are not."""
    told = metrics(epoch=1, epoch_count=3, max_iter=9, done=True, note="x", loss=0.5, records=455, none=None, rows=[1])

    assert folded(told)["parties"] == {"all": {"1": {"loss": 0.5, "records": 455}}}


def test_the_newest_epochs_and_parties_are_kept() -> None:
    """A long training must not make its job ever larger."""
    epochs = [metrics(epoch=number, loss=number) for number in range(30)]
    parties = metrics(reports=[{"client_id": number, "loss": 0.5} for number in range(150)], loss=0.1)

    assert list(folded(*epochs)["parties"]["all"]) == [str(number) for number in range(10, 30)]
    assert list(folded(parties)["parties"]) == [*map(str, range(51, 150)), "all"]


def test_long_names_and_many_metrics_are_left_out() -> None:
    """The same for what one message holds."""
    told = metrics(**{"x" * 101: 1}, **{f"m{number}": number for number in range(60)})

    assert list(folded(told)["parties"]["all"]["0"]) == [f"m{number}" for number in range(10, 60)]


def test_a_message_is_kept_character_for_character() -> None:
    """Spelling of numbers and order of fields are the Access Point's own business."""
    text = '{ "loss" : 1.50e0,"__type":"TrainMetrics" }'

    assert f'"latest":{text},'.encode() in bytes(with_metrics(NOTHING, text))


def test_what_an_older_database_holds_reads_as_of_now() -> None:
    """It held the bare message."""
    bare = msgspec.Raw(json.dumps(SPLIT).encode())

    assert msgspec.json.decode(in_parties(bare)) == folded(SPLIT)
    assert in_parties(in_parties(bare)) == in_parties(bare)
    assert in_parties(NOTHING) == NOTHING


def test_a_job_of_an_older_database_goes_on() -> None:
    """Its next metrics are added to what it held."""
    state = json.loads(msgspec.json.encode(full_job()))
    job = kept_job(json.dumps({**state, "model_status": SPLIT}), "{}", 0)

    went_on = msgspec.json.decode(with_metrics(job.model_status, json.dumps({**SPLIT, "epoch": 1})))

    assert went_on["parties"].keys() == {"0", "1"}
    assert went_on["parties"]["0"].keys() == {"0", "1"}
