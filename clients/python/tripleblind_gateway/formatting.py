"""Messages of Access Points as people read them, and how far a training has come."""

import re
from collections.abc import Iterator, Mapping

Json = Mapping[str, object]

_TYPE = "__type"
# Where a training stands, and what says how far it goes.
_PLACES = {
    "epoch": ("epoch_count", "epochs"),
    "iteration": ("max_iter", "iterations"),
    "round": ("round_count", "rounds"),
}
_CONTROLS = {"waiting on permission": "Waiting on permission", "starting": "Starting at the Access Points"}
_BREAKING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_BETWEEN_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_LONGEST, _MOST = 500, 10
_BAR = 30


def lines_and_line(message: object) -> tuple[list[str], str]:
    """All of a message, line by line, and the gist of it in one."""
    if not isinstance(message, Mapping):
        line = _one_line(_CONTROLS.get(str(message), str(message)))
        return [line], line
    title = " ".join(_BETWEEN_WORDS.split(str(message.get(_TYPE) or "Message").removesuffix("Metrics")))
    place, placing = _place(message)
    head = ", ".join(filter(None, (title, place)))
    fields = {name: value for name, value in message.items() if name not in (_TYPE, *placing)}
    lines = [_one_line(line) for name, value in fields.items() for line in _of_field(name, value)]
    brief = ", ".join(f"{_named(name)} {_value(value)}" for name, value in fields.items() if _is_brief(value))
    return [_one_line(head), *filter(None, lines)], _one_line(": ".join(filter(None, (head, brief))))


def progress_of(message: object) -> str | None:
    """`[######----] epoch 3 of 5`. None where a message tells no such thing."""
    if not isinstance(message, Mapping):
        return None
    for name, limits in _PLACES.items():
        limit = next((message[one] for one in limits if one in message), None)
        at = message.get(name)
        if isinstance(at, int) and isinstance(limit, int) and limit > 0:
            done = min(max(_counted(name, at, limit), 0), limit)
            filled = _BAR * done // limit
            return f"[{'#' * filled}{'-' * (_BAR - filled)}] {name} {done} of {limit}"
    return None


def _place(message: Json) -> tuple[str, tuple[str, ...]]:
    """Where it stands, and the fields that say so."""
    for name, limits in _PLACES.items():
        at = message.get(name)
        if isinstance(at, int):
            limit = next((one for one in limits if isinstance(message.get(one), int)), None)
            if limit is None:
                return f"{name} {at}", (name,)
            return f"{name} {_counted(name, at, message[limit])} of {message[limit]}", (name, limit)
    return "", ()


def _counted(name: str, at: int, limit: object) -> int:
    """The reference counts epochs from 0 where it says how many there are."""
    return at + 1 if name == "epoch" and isinstance(limit, int) and at < limit else at


def _of_field(name: str, value: object) -> Iterator[str]:
    if isinstance(value, str) and "\n" in value.strip():
        yield from value.split("\n")
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        yield from (_report(one) for one in value)
    else:
        yield f"{_named(name).capitalize()}: {_value(value)}"


def _report(report: Json) -> str:
    """Who, and what."""
    who = next((f"{_named(name)} {report[name]}: " for name in ("client_id", "party", "team") if name in report), "")
    known = {_TYPE, "client_id", "party", "team"}
    return who + ", ".join(f"{_named(name)} {_value(value)}" for name, value in report.items() if name not in known)


def _is_brief(value: object) -> bool:
    return not isinstance(value, list | Mapping) and not (isinstance(value, str) and "\n" in value.strip())


def _value(value: object) -> str:
    if isinstance(value, list):
        shown = ", ".join(_value(one[0] if isinstance(one, list) and len(one) == 1 else one) for one in value[:_MOST])
        return shown + (", …" if len(value) > _MOST else "")
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _named(name: str) -> str:
    return name.removesuffix("_id").replace("_", " ")


def _one_line(text: str) -> str:
    line = _BREAKING.sub(" ", text).strip()
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
