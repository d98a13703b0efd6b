"""Messages as people read them: the reference's `format_status_message`. Pure; whatever comes, it does not fail."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice
from typing import TypeGuard

import msgspec

from app.domain.metrics import EPOCH_FIELDS, PARTY_FIELDS, name_in
from app.domain.wording import (
    IN_LINE,
    IN_LINES,
    begun,
    counted,
    in_words,
    is_number,
    moment,
    named,
    one_line,
    pairs,
    percent,
    some,
)

MOST_LINES = 50

_EMPTY = "An empty message"
_TYPE = "__type"

Json = Mapping[str, object]


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """The output, of several lines perhaps, and the same in one line."""

    lines: tuple[str, ...]
    line: str


def text_of(data: str) -> Text:
    """A message's JSON as people read it; where it is more than can be held, as it stands."""
    try:
        message = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return _text([data], data)
    return format_status_message(message)


def format_status_message(message: object) -> Text:
    """A message as people read it."""
    if isinstance(message, dict):
        kind = message.get(_TYPE)
        name = kind if isinstance(kind, str) else ""
        return FORMATS.get(name, partial(_progress, name))(message)
    if isinstance(message, str):
        return _sentences(CONTROLS.get(message, message))
    if isinstance(message, list):
        shown, line = (begun(counted(message, "value", shown=most)) for most in (IN_LINES, IN_LINE))
        return _text([shown], line)
    return _sentences(in_words(message))


def _progress(title: str, message: Json) -> Text:
    """Its title and where it stands, then each field on a line of its own; and all that in short."""
    place, placing = _place(message)
    fields = _without(message, _TYPE, *placing)
    head = begun(", ".join(filter(None, (title, place))))
    return _text(chain([head], _details(fields)), begun(": ".join(filter(None, (head, _brief(fields))))))


def _inference(message: Json) -> Text:
    fields = _without(message, "result")
    when = moment(message.get("data_gathered_timestamp"))
    if when is not None:
        fields = {"calculated_at": when, **_without(fields, "data_gathered_timestamp")}
    shown, line = (_results(message.get("result"), shown=most) for most in (IN_LINES, IN_LINE))
    return _text(chain([shown], _details(_without(fields, _TYPE))), line)


def _split_training(message: Json) -> Text:
    """How training went stands before what the tests said."""
    reports = message.get("train_reports")
    if isinstance(reports, list):
        message = {
            "train_reports": [_in_percent(one) if isinstance(one, dict) else one for one in reports],
            **_without(message, "train_reports"),
        }
    return _progress("Split training", message)


def _split_report(message: Json) -> Text:
    return _sentences(_report(_in_percent(message)))


def _unreadable(message: Json) -> Text:
    return _sentences(f"A message that cannot be read: {in_words(message.get('detail'))}")


def _sentences(text: str) -> Text:
    lines = [begun(line) for line in map(one_line, text.split("\n")) if line]
    return _text(lines, lines[0] if lines else "")


def _place(message: Json) -> tuple[str, tuple[str, ...]]:
    """Where a training stands, and the fields that say so."""
    found = name_in(message, EPOCH_FIELDS)
    if found is None:
        return "", ()
    name, at = found
    limit = name_in(message, EPOCH_FIELDS[name])
    if limit is None:
        return f"{name} {at}", (name,)
    if name == "epoch" and _is_below(at, limit[1]):  # where it says how many, the reference counts them from 0
        at = str(int(at) + 1)
    return f"{name} {at} of {limit[1]}", (name, limit[0])


def _is_below(at: str, limit: str) -> bool:
    return at.isdecimal() and limit.isdecimal() and int(at) < int(limit)


def _results(result: object, *, shown: int) -> str:
    if isinstance(result, list):
        return begun(counted(result, "result", shown=shown))
    return f"Result: {in_words(result, shown=shown)}"


def _details(fields: Json) -> Iterator[str]:
    for name, value in fields.items():
        if _are_reports(value):
            yield from (begun(_report(one)) for one in value)
        elif _is_long(value):
            yield from value.split("\n")
        else:
            yield f"{begun(named(name))}: {in_words(value)}"


def _brief(fields: Json) -> str:
    """What fits in one line: values, then reports. A text of several lines does not."""
    values = {name: value for name, value in fields.items() if not (_are_reports(value) or _is_long(value))}
    reports = (_report(one, between=" ") for value in fields.values() if _are_reports(value) for one in value)
    return "; ".join(filter(None, (some(pairs(values), ", "), some(reports, "; "))))


def _report(report: Json, *, between: str = ": ") -> str:
    """Who, and what: `client 0: accuracy 10.04%, loss 2.402`."""
    party = name_in(report, PARTY_FIELDS)
    if party is None:
        return some(pairs(_without(report, _TYPE)), ", ") or "an empty report"
    who = f"client {party[1]}" if party[0] == "client_id" else party[1]
    return between.join(filter(None, (who, some(pairs(_without(report, _TYPE, party[0])), ", "))))


def _in_percent(report: Json) -> Json:
    """The reports of split training give their accuracy so."""
    accuracy = report.get("accuracy")
    return {**report, "accuracy": percent(accuracy)} if is_number(accuracy) else report


def _are_reports(value: object) -> TypeGuard[list[dict[str, object]]]:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def _is_long(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and "\n" in value.strip()


def _without(fields: Json, *names: str) -> dict[str, object]:
    return {name: value for name, value in fields.items() if name not in names}


def _text(lines: Iterable[str], line: str) -> Text:
    kept = [*islice(filter(None, map(one_line, lines)), MOST_LINES + 1)]
    if len(kept) > MOST_LINES:
        kept = [*kept[: MOST_LINES - 1], "…"]
    short = one_line(line) or _EMPTY
    return Text(lines=tuple(kept or [short]), line=short)


# By the message's `__type`. Others stand under the name of theirs.
FORMATS: Mapping[str, Callable[[Json], Text]] = {
    "InferenceResults": _inference,
    "SplitTrainMetrics": _split_training,
    "SplitTrainClassificationReport": _split_report,
    "FederatedTrainMetrics": partial(_progress, "Federated training"),
    "NNSMPCMetrics": partial(_progress, "Neural network under SMPC"),
    "NNFEDMetrics": partial(_progress, "Federated neural network"),
    "RegressionTrainingMetrics": partial(_progress, "Regression"),
    "PSIMetrics": partial(_progress, "Private set intersection"),
    "RecommenderTrainMetrics": partial(_progress, "Training of a recommender"),
    "UnreadableMessage": _unreadable,
}
# What is told in plain words of a job's course.
CONTROLS: Mapping[str, str] = {
    "waiting on permission": "Waiting on permission",
    "starting": "Starting at the Access Points",
}
