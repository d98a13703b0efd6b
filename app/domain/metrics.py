"""Metrics of models in training: of each party the latest, epoch by epoch. Pure."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TypeVar

import msgspec

EVERYBODY = "all"
NO_EPOCH = "0"
KEPT_PARTIES = 100
KEPT_EPOCHS = 20
KEPT_METRICS = 50

# Who a report is of; the first of them that it has.
PARTY_FIELDS = ("client_id", "party", "team")
# Where a training stands, and what says how far it goes.
EPOCH_FIELDS: Mapping[str, tuple[str, ...]] = {
    "epoch": ("epoch_count", "epochs"),
    "iteration": ("max_iter", "iterations"),
    "round": ("round_count", "rounds"),
}

_NO_METRIC = frozenset(PARTY_FIELDS).union(EPOCH_FIELDS, *EPOCH_FIELDS.values())
_LONGEST_NAME = 100
_LARGEST_COUNT = 10**15
_NOTHING = msgspec.Raw(b"null")

Json = Mapping[str, object]
Metrics = dict[str, int | float]
_Kept = TypeVar("_Kept")


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The reference's `model_status`: the last metrics message unchanged, and the metrics by party and epoch."""

    type: str
    latest: msgspec.Raw
    parties: dict[str, dict[str, Metrics]]


class _Typed(msgspec.Struct):
    type_: str = msgspec.field(name="__type", default="")


def with_metrics(model_status: msgspec.Raw, text: str) -> msgspec.Raw:
    """The model status after one more metrics message; null before any."""
    held = msgspec.json.decode(model_status, type=ModelStatus | None)
    message = msgspec.json.decode(text)
    parties = _folded(held.parties if held else {}, message)
    status = ModelStatus(type=message["__type"], latest=msgspec.Raw(text), parties=parties)
    return msgspec.Raw(msgspec.json.encode(status))


def in_parties(model_status: msgspec.Raw) -> msgspec.Raw:
    """The same, also where an older database holds the bare message."""
    if model_status == _NOTHING or not msgspec.json.decode(model_status, type=_Typed).type_:
        return model_status
    return with_metrics(_NOTHING, bytes(model_status).decode())


def name_in(fields: Json, names: Iterable[str]) -> tuple[str, str] | None:
    """The first of these fields that holds a name or a whole number, and that as text. None: there is none."""
    for name in names:
        value = _as_name(fields.get(name))
        if value is not None:
            return name, value
    return None


def _folded(held: Mapping[str, dict[str, Metrics]], message: Json) -> dict[str, dict[str, Metrics]]:
    """What was told last stands last, so that what is too much is taken off the front."""
    parties = dict(held)
    for party, epoch, metrics in _told(message):
        epochs = dict(parties.pop(party, {}))
        latest = {**epochs.pop(epoch, {}), **metrics}
        epochs[epoch] = _newest(latest, KEPT_METRICS)
        parties[party] = _newest(epochs, KEPT_EPOCHS)
    return _newest(parties, KEPT_PARTIES)


def _told(message: Json) -> Iterator[tuple[str, str, Metrics]]:
    """Party, epoch and metrics: of each report in a list of reports, then of the message itself."""
    epoch = _text(message, EPOCH_FIELDS) or NO_EPOCH
    for report in _reports(message):
        party, metrics = _text(report, PARTY_FIELDS), _numbers(report)
        if party and metrics:
            yield party, _text(report, EPOCH_FIELDS) or epoch, metrics
    if metrics := _numbers(message):
        yield _text(message, PARTY_FIELDS) or EVERYBODY, epoch, metrics


def _reports(message: Json) -> Iterator[Json]:
    for value in message.values():
        if isinstance(value, list):
            yield from (one for one in value if isinstance(one, dict))


def _numbers(fields: Json) -> Metrics:
    return {
        name: value
        for name, value in fields.items()
        if isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= sys.float_info.max
        and name not in _NO_METRIC
        and len(name) <= _LONGEST_NAME
    }


def _text(fields: Json, names: Iterable[str]) -> str | None:
    found = name_in(fields, names)
    return found[1] if found else None


def _as_name(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        return value if 0 < len(value) <= _LONGEST_NAME else None
    return str(int(value)) if abs(value) < _LARGEST_COUNT and value == int(value) else None


def _newest(kept: dict[str, _Kept], most: int) -> dict[str, _Kept]:
    return kept if len(kept) <= most else dict(islice(kept.items(), len(kept) - most, None))
