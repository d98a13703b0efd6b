"""What an Access Point streams while a job runs. Passed through unchanged; only its kind is looked at."""

from collections.abc import Iterable

import msgspec

METRICS = "Metrics"
STARTING = '"starting"'

_DEEPEST = 100


class _Typed(msgspec.Struct):
    type_: str = msgspec.field(name="__type", default="")


def one_line(message: msgspec.Raw) -> str:
    """The message's JSON, character for character, fit to stand in one line of an event stream.

    Outside of strings JSON allows a carriage return as white space, which would end a line of an event stream.
    Raises UnicodeDecodeError when it is not UTF-8.
    """
    return bytes(message).decode().replace("\r", " ")


def is_metrics(text: str) -> bool:
    """Whether the message holds metrics on model training, as the reference's `model_status` does."""
    if not text.startswith("{"):
        return False
    try:
        return msgspec.json.decode(text, type=_Typed).type_.endswith(METRICS) and is_readable(text)
    except (msgspec.DecodeError, RecursionError):  # a __type that is no text: an unknown kind of message
        return False


def is_readable(text: str) -> bool:
    """Whether any JSON reader can hold it: not so a number out of range, half a surrogate, or nesting without end."""
    try:
        values = [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return False
    for _ in range(_DEEPEST):
        values = [inner for value in values for inner in _within(value)]
        if not values:
            return True
    return False


def _within(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
