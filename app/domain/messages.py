"""What an Access Point streams while a job runs. Passed through unchanged; only its kind is looked at."""

import msgspec

METRICS = "Metrics"
STARTING = '"starting"'


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
        return msgspec.json.decode(text, type=_Typed).type_.endswith(METRICS)
    except msgspec.ValidationError:  # a __type that is no text: an unknown kind of message
        return False
