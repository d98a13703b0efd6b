"""Messages as people read them: every type of the reference, and whatever else may come."""

import json
import math
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.description.examples import EXAMPLES
from app.domain.formatting import FORMATS, MOST_LINES, Text, format_status_message, text_of
from app.domain.metrics import with_metrics
from app.domain.wording import LONGEST_LINE

SPLIT_REPORTS = [
    {"accuracy": 10.035555555555556, "loss": 2.4022168402777777, "client_id": 0, "__type": "SplitTrainReport"},
    {"accuracy": 9.933333333333334, "loss": 2.3709133680555556, "client_id": 1, "__type": "SplitTrainReport"},
]
SPLIT: dict[str, Any] = {
    "__type": "SplitTrainMetrics",
    "test_results": "Client0: Test records: 2500, Accuracy: 10.08%, Loss: 2.30\n"
    "Client1: Test records: 2500, Accuracy: 10.48%, Loss: 2.30\n",
    "train_reports": SPLIT_REPORTS,
    "epoch_count": 1,
    "epoch": 0,
}
INFERENCE = {"__type": "InferenceResults", "data_gathered_timestamp": 1680441227.5509229, "result": [[5.0]] * 10}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FIELDS = [
    *("result", "data_gathered_timestamp", "test_results", "train_reports", "epoch", "epoch_count", "iteration"),
    *("max_iter", "client_id", "accuracy", "hash_table_size", "detail"),
]
messages = st.builds(
    lambda kind, fields: {"__type": kind, **fields},
    st.sampled_from([*FORMATS, "NewMetrics"]) | values,
    st.dictionaries(st.sampled_from(FIELDS) | st.text(), values, max_size=5),
)


def lines_of(message: object) -> list[str]:
    return list(format_status_message(message).lines)


def line_of(message: object) -> str:
    return format_status_message(message).line


def metrics(kind: str, **fields: Any) -> dict[str, Any]:
    return {"__type": kind, **fields}


# Whatever comes


@given(messages | values)
def test_no_message_fails_and_none_breaks_its_lines(message: object) -> None:
    """Fields may be missing, garbled, without end, or hold what ends a line."""
    text = format_status_message(message)

    assert text == format_status_message(message)
    assert 1 <= len(text.lines) <= MOST_LINES
    for line in (*text.lines, text.line):
        assert 1 <= len(line) <= LONGEST_LINE
        assert line.splitlines() == [line]
        assert not re.search("[\x00-\x1f\x7f-\x9f]", line)


@given(values.map(json.dumps) | st.text())
def test_no_text_fails_whether_it_is_json_or_not(data: str) -> None:
    """What stands in the log is read as it is."""
    text = text_of(data)

    assert json.loads(msgspec.json.encode(text)) == {"lines": list(text.lines), "line": text.line}


@pytest.mark.parametrize(
    "data", ['{"__type":"DeepMetrics","a":' + "[" * 2000 + "]" * 2000 + "}", '{"__type":"BigMetrics","loss":1E400}']
)
def test_what_no_reader_can_hold_stands_as_it_is(data: str) -> None:
    """As much of it as fits in a line."""
    line = text_of(data).line

    assert data.startswith(line.removesuffix("…"))
    assert len(line) == min(len(data), LONGEST_LINE)


def test_numbers_beyond_measure_do_not_fail() -> None:
    """Python refuses to write whole numbers of that length."""
    for message in (10**5000, {"epoch": 10**5000, "a": -(10**400)}, {"a": math.nan, "b": math.inf}):
        assert line_of(message)


@pytest.mark.parametrize("character", ["\n", "\r", "\x00", "\x1b", "\x85", "\u2028", "\u202e", "\u2066"])
def test_what_ends_or_turns_a_line_becomes_a_space(character: str) -> None:
    """In a terminal, a log and a page a line stays a line."""
    message = {
        "__type": f"A{character}B",
        f"na{character}me": {"a": f"b{character}c"},
        "reports": [{"team": character}],
    }

    text = format_status_message(message)

    assert character not in "".join((*text.lines, text.line))
    assert text.lines[0] == "A B"
    assert text.lines[1] == "Na me: (a b c)"


def test_long_messages_are_cut_in_lines_and_length() -> None:
    """A megabyte is no line."""
    text = format_status_message(metrics("LongMetrics", test_results="x\n" * 1000, note="y" * 1_000_000))

    assert len(text.lines) == MOST_LINES
    assert text.lines[-1] == "…"
    assert text.line == f"LongMetrics: note {'y' * (LONGEST_LINE - 19)}…"


# Every type of the reference


def test_every_type_of_the_reference_has_its_form() -> None:
    """A type that is added there is missed here."""
    reference = {
        *("InferenceResults", "SplitTrainMetrics", "SplitTrainClassificationReport", "FederatedTrainMetrics"),
        *("NNSMPCMetrics", "NNFEDMetrics", "RegressionTrainingMetrics", "PSIMetrics", "RecommenderTrainMetrics"),
    }

    assert FORMATS.keys() == {*reference, "UnreadableMessage"}


def test_every_type_that_the_carried_network_sends_has_its_form() -> None:
    """What `make demo` shows is what people see first."""
    protocols = Path(__file__).parents[2] / "network" / "protocols"
    sent = {kind for path in protocols.rglob("*.py") for kind in re.findall(r'"__type": "(\w+)"', path.read_text())}

    assert len(sent) > 2
    assert sent <= FORMATS.keys()


def test_inference_tells_its_results() -> None:
    """How many, the first of them, and what moment they are of."""
    assert lines_of(INFERENCE) == [
        "10 results: 5, 5, 5, 5, 5, 5, 5, 5, 5, 5",
        "Calculated at: 2023-04-02 13:13:47 UTC",
    ]
    assert line_of(INFERENCE) == "10 results: 5, 5, 5, …"


@pytest.mark.parametrize(
    ("result", "line"),
    [
        ([], "No results"),
        ([[0.25]], "1 result: 0.25"),
        ([[0.1, 0.9], [0.8, 0.2]], "2 results: (0.1, 0.9), (0.8, 0.2)"),
        (["cat", "dog"], "2 results: cat, dog"),
        ([[5.0]] * 12_000, "12,000 results: 5, 5, 5, …"),
        (7, "Result: 7"),
        (None, "Result: none"),
    ],
)
def test_results_of_any_form_are_shown(result: object, line: str) -> None:
    """What a model answers is the model's own business."""
    assert line_of({**INFERENCE, "result": result}) == line


@pytest.mark.parametrize("when", [1e300, -1e300, "yesterday", True, None, [1]])
def test_a_moment_that_is_none_is_shown_as_it_came(when: object) -> None:
    """And the results all the same."""
    shown, gathered = lines_of({**INFERENCE, "data_gathered_timestamp": when})

    assert shown.startswith("10 results")
    assert gathered.startswith("Data gathered timestamp: ")


def test_inference_tells_the_protocols_own_fields_too() -> None:
    """The reference calls them protocol specific data."""
    assert lines_of({**INFERENCE, "batch": 3})[-1] == "Batch: 3"


def test_split_training_tells_each_client_and_the_lines_of_its_tests() -> None:
    """In the reference's example the first of one epoch has the number 0."""
    assert lines_of(SPLIT) == [
        "Split training, epoch 1 of 1",
        "Client 0: accuracy 10.04%, loss 2.402",
        "Client 1: accuracy 9.93%, loss 2.371",
        "Client0: Test records: 2500, Accuracy: 10.08%, Loss: 2.30",
        "Client1: Test records: 2500, Accuracy: 10.48%, Loss: 2.30",
    ]
    assert line_of(SPLIT) == (
        "Split training, epoch 1 of 1: client 0 accuracy 10.04%, loss 2.402; client 1 accuracy 9.93%, loss 2.371"
    )


def test_a_report_by_itself_is_a_line() -> None:
    """It has a type of its own, so it may come so."""
    report = {**SPLIT_REPORTS[0], "__type": "SplitTrainClassificationReport"}

    assert format_status_message(report) == Text(
        lines=("Client 0: accuracy 10.04%, loss 2.402",), line="Client 0: accuracy 10.04%, loss 2.402"
    )


@pytest.mark.parametrize("reports", [None, 7, [], [7], [[]], [{}], {"a": 1}, "x"])
def test_split_training_without_sound_reports_tells_the_rest(reports: object) -> None:
    """One field that is garbled does not hide the others."""
    lines = lines_of({**SPLIT, "train_reports": reports})

    assert lines[0] == "Split training, epoch 1 of 1"
    assert [line for line in lines if "Test records" in line] == SPLIT["test_results"].splitlines()


@pytest.mark.parametrize(
    ("kind", "title"),
    [
        ("FederatedTrainMetrics", "Federated training"),
        ("NNSMPCMetrics", "Neural network under SMPC"),
        ("NNFEDMetrics", "Federated neural network"),
        ("RegressionTrainingMetrics", "Regression"),
        ("PSIMetrics", "Private set intersection"),
        ("RecommenderTrainMetrics", "Training of a recommender"),
    ],
)
def test_types_without_fields_in_the_reference_tell_what_they_hold(kind: str, title: str) -> None:
    """The reference leaves open what that is."""
    assert format_status_message(metrics(kind)) == Text(lines=(title,), line=title)
    assert lines_of(metrics(kind, round=2, loss=0.5)) == [f"{title}, round 2", "Loss: 0.5"]
    assert line_of(metrics(kind, round=2, loss=0.5)) == f"{title}, round 2: loss 0.5"


def test_an_intersection_tells_its_table() -> None:
    """The reference's example."""
    assert line_of(metrics("PSIMetrics", hash_table_size=100)) == "Private set intersection: hash table size 100"


def test_what_could_not_be_read_is_told_as_such() -> None:
    """The gateway says so itself, in place of the message."""
    assert line_of(metrics("UnreadableMessage", detail="too long")) == "A message that cannot be read: too long"


def test_the_examples_of_the_description_are_what_is_said() -> None:
    """An example that is made up misleads."""
    (item,) = EXAMPLES["HistoryPage"]["items"]
    status = EXAMPLES["JobSeen"]["model_status"]

    assert json.loads(msgspec.json.encode(format_status_message(item["data"]))) == item["text"]
    assert msgspec.json.decode(with_metrics(msgspec.Raw(b"null"), json.dumps(item["data"]))) == status


# Everything else


def test_an_unknown_type_stands_under_its_name() -> None:
    """New protocols come without asking."""
    message = metrics(
        "BoostMetrics", epoch=3, loss=0.1, trees=[1, 2, 3, 4], done=False, note="so far", rest={"a": None}
    )

    assert lines_of(message) == [
        "BoostMetrics, epoch 3",
        "Loss: 0.1",
        "Trees: 4 values: 1, 2, 3, 4",
        "Done: no",
        "Note: so far",
        "Rest: (a none)",
    ]
    assert line_of(message) == (
        "BoostMetrics, epoch 3: loss 0.1, trees 4 values: 1, 2, 3, …, done no, note so far, rest (a none)"
    )


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("waiting on permission", "Waiting on permission"),
        ("starting", "Starting at the Access Points"),
        ("all is well", "All is well"),
        ("", "An empty message"),
        ("\r\n", "An empty message"),
        ({}, "An empty message"),
        ([], "No values"),
        ([1, [2], [3, [4, [5]]], {"a": 1}], "4 values: 1, 2, (3, …), …"),
        (None, "None"),
        (True, "Yes"),
        (17, "17"),
        ({"loss": 0.5}, "Loss 0.5"),
    ],
)
def test_any_json_is_a_line(message: object, line: str) -> None:
    """A string is a word on the job's course, and the rest is what it is."""
    assert line_of(message) == line


def test_a_text_of_several_lines_keeps_them() -> None:
    """And its first is the short form."""
    assert format_status_message("one\ntwo\n") == Text(lines=("One", "Two"), line="One")


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0"),
        (2500, "2500"),
        (1234567, "1,234,567"),
        (-0.0532, "-0.0532"),
        (2.4022168, "2.402"),
        (2.1e-9, "2.1e-09"),
        (5.0, "5"),
        (123456.7, "123,457"),
        (10**40, "1e+40"),
        (1e308, "1e+308"),
        (-(10**400), "A number beyond measure"),
    ],
)
def test_numbers_are_written_as_people_read_them(number: float, shown: str) -> None:
    """Four digits that count are enough for the eye."""
    assert line_of(number) == shown
