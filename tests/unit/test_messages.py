"""Messages pass unchanged, in one line."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.messages import is_metrics, one_line

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_message_keeps_every_character(value: object) -> None:
    """Passed through unchanged, so that nobody depends on what the gateway understands."""
    text = msgspec.json.encode(value)

    assert one_line(msgspec.Raw(text)) == text.decode()


def test_a_carriage_return_between_values_becomes_a_space() -> None:
    """In an event stream it would end the line; in JSON it means the same as a space."""
    line = one_line(msgspec.Raw(b'{"a":\r1,\r\t"b": "c\\r"}'))

    assert line == '{"a": 1, \t"b": "c\\r"}'


def test_other_line_separators_stay() -> None:
    """They end no line of an event stream, and changing them would change the message."""
    line = one_line(msgspec.Raw('"a\u2028b\u0085c"'.encode()))

    assert line == '"a\u2028b\u0085c"'


def test_what_is_not_utf_8_is_refused() -> None:
    """It cannot be passed on as JSON."""
    with pytest.raises(UnicodeDecodeError):
        one_line(msgspec.Raw(b'"\xff"'))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"__type":"EpochMetrics"}', True),
        ('{"__type":"Metrics","loss":[1]}', True),
        ('{"loss":{"__type":"Metrics"}}', False),
        ('{"__type":"MetricsOfOld"}', False),
        ('{"__type":null}', False),
        ('{"__type":3}', False),
        ('{"__type":"Metrics","__type":3}', False),
        ('{"loss":1e999}', False),
        ("{}", False),
        ('"Metrics"', False),
        ('["Metrics"]', False),
        ("null", False),
        ("7", False),
        ("", False),
    ],
)
def test_metrics_are_objects_whose_type_ends_so(text: str, expected: bool) -> None:
    """Whatever an Access Point sends, looking at it must not fail."""
    assert is_metrics(text) is expected
