"""The comparison itself: it finds nothing where both sides agree, and every kind of thing that could be wrong."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.soak.asking import Answer
from tests.soak.comparison import compare
from tests.soak.jobs import Begun
from tests.soak.records import JobRecord
from tests.soak.viewers import Watched

_ID = "11111111-1111-4111-8111-111111111111"
_WHEN = "2026-03-01T09:30:00.123456Z"
_NOBODY: dict[str, Any] = {"user": None, "router_user": None, "team": None}
_OWNER = {"user": "owner@globex", "team": "globex"}
_OURS = {**_OWNER, "client_ref": "key-1"}
_SHOWN = {"job_name": "soak 1", "error": "", "error_code": None, "owner": _OWNER, "labels": {}, "params": {}}
_TIMES = dict.fromkeys(("created", "submitted", "started", "finished"), _WHEN)
_MADE = {"asset_id": "22222222-2222-4222-8222-222222222222"}

Row = dict[str, Any]


def _document(market_status: str, actor: Row | None = None) -> Row:
    whole = {"id": _ID, "market_status": market_status, "actor": actor, "stop": None, "result": _MADE}
    whole |= {"changed": _WHEN, "reason": None}
    return {**whole, **_SHOWN, **_TIMES}


def _row(number: int, event: str, data: object, *, source: str = "access_point", late: bool = False) -> Row:
    return {"id": number, "event": event, "data": data, "source": source, "late": late}


def _phase(number: int, phase: str, previous: str | None, *, source: str = "router", late: bool = False) -> Row:
    asked = phase in ("created", "waiting_on_queue")
    actor = {"user": "sam", "router_user": "owner@globex", "team": "globex"} if asked else None
    data = {"phase": phase, "previous": previous, "actor": actor, "when": _WHEN, "reason": None}
    return _row(number, "phase", data, source=source, late=late)


def _status(code: int) -> Row:
    return {"id": f"status {code}", "code": code, "when": _WHEN}


def _record() -> JobRecord:
    """A job that ran, of which the gateway heard by its stream that it starts, and late by the Router."""
    return JobRecord(
        id=_ID,
        created_by="sam",
        answers=(Answer(verb="create", said="201", content={}, tries=1),),
        documents=(
            _document("created", _OURS),
            _document("queue", _OURS),
            _document("starting"),
            _document("running"),
            _document("complete"),
        ),
        lines=(
            {"kind": "message", "message": "starting"},
            {"kind": "status", "status": _status(3)},
            {"kind": "message", "message": {"__type": "PSIMetrics", "n": 1}},
            {"kind": "status", "status": _status(4)},
            {"kind": "end", "outcome": "complete"},
        ),
        history=(
            _phase(1, "created", None),
            _phase(2, "waiting_on_queue", "created"),
            _row(3, "message", "starting"),
            _phase(4, "starting", "waiting_on_queue", source="access_point"),
            _row(5, "status", {**_status(3), "job_id": _ID}),
            _phase(6, "in_progress", "starting", source="access_point"),
            _row(7, "message", {"__type": "PSIMetrics", "n": 1}),
            _phase(8, "starting", "in_progress", late=True),
            _row(9, "status", {**_status(4), "job_id": _ID}),
            _phase(10, "complete", "in_progress"),
            _row(11, "end", {"phase": "complete"}, source="gateway"),
        ),
        shown={**_SHOWN, **_TIMES, "created_by": "sam", "phase": "complete", "market_status": "complete"}
        | {"result": _MADE},
        actions=tuple(
            {"verb": verb, "user": "sam", "reason": None, "outcome": "done"} for verb in ("create", "submit")
        ),
    )


def _watched(job_id: str | None) -> Watched:
    told = [row for row in _record().told if job_id is not None or row["id"] > 4]
    heard = [
        (row["id"], row["event"], json.dumps(_on_the_feed(row) if job_id is None else row["data"])) for row in told
    ]
    return Watched(viewer="viewer 1", job_id=job_id, start=0 if job_id else 4, heard=heard)


def _on_the_feed(row: Row) -> object:
    return {"job_id": _ID, "message": row["data"]} if row["event"] == "message" else row["data"]


def _found(record: JobRecord, *watched: Watched, names: tuple[str, ...] = ("soak 1",)) -> set[str]:
    """Which comparisons find something."""
    begun = [Begun(name=name, course="runs", created_by="sam", id=_ID) for name in names]
    return {one.what for one in compare([record], begun, watched) if one.differences}


def test_records_that_agree_show_no_difference() -> None:
    """Else nobody would look at those it shows."""
    assert _found(_record(), _watched(_ID), _watched(None)) == set()


@pytest.mark.parametrize(
    ("place", "what"),
    [(6, "a message"), (4, "a status"), (8, "the last status")],
)
def test_a_line_that_was_not_kept_is_found(place: int, what: str) -> None:
    """One of several thousand."""
    record = _record()
    history = tuple(row for number, row in enumerate(record.history) if number != place)

    assert "lines of the Access Points' streams" in _found(replace(record, history=history)), what


@pytest.mark.parametrize("spoil", ["twice", "swapped", "late", "other"])
def test_a_line_that_was_kept_wrongly_is_found(spoil: str) -> None:
    """Twice, in another order, too late to be streamed, or not as it came."""
    record = _record()
    rows = [copy.deepcopy(row) for row in record.history]
    if spoil == "twice":
        rows.insert(7, rows[6])
    elif spoil == "swapped":
        rows[6], rows[8] = rows[8], rows[6]
    elif spoil == "late":
        rows[6]["late"] = True
    else:
        rows[6]["data"]["n"] = 2

    assert _found(replace(record, history=tuple(rows))) >= {"lines of the Access Points' streams"}


_MARKET = "changes of market status at the Router"
_ORIGIN = "who brought the job there, when and why"


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(lambda rows: rows.pop(1), _MARKET, id="news of the Router that is nowhere"),
        pytest.param(lambda rows: rows.insert(6, _phase(6, "stopping", "in_progress")), _MARKET, id="told by nobody"),
        pytest.param(lambda rows: rows.insert(6, _phase(6, "created", "in_progress")), _MARKET, id="back again"),
        pytest.param(lambda rows: rows[9]["data"].update(phase="error"), _MARKET, id="another end"),
        pytest.param(lambda rows: rows[9]["data"].update(previous="starting"), _MARKET, id="not after the one before"),
        pytest.param(lambda rows: rows[1]["data"].update(actor=_NOBODY), _ORIGIN, id="by nobody"),
        pytest.param(lambda rows: rows[1]["data"]["actor"].update(user="ann"), _ORIGIN, id="by another of us"),
        pytest.param(lambda rows: rows[1]["data"]["actor"].update(user=None), _ORIGIN, id="by none of us"),
        pytest.param(lambda rows: rows[1]["data"].update(when="2026-03-01T09:30:09Z"), _ORIGIN, id="at another time"),
        pytest.param(lambda rows: rows.pop(), "ends", id="no end"),
        pytest.param(lambda rows: rows.append(rows[-1]), "ends", id="two ends"),
        pytest.param(lambda rows: rows.append(_row(12, "upstream", {})), "ends", id="something after the end"),
        pytest.param(lambda rows: rows[10]["data"].update(phase="error"), "ends", id="an end of another phase"),
    ],
)
def test_a_phase_that_is_not_the_routers_is_found(spoil: Callable[[list[Row]], object], expected: str) -> None:
    """The order, the set, and the end of phases."""
    record = _record()
    rows = [copy.deepcopy(row) for row in record.history]
    spoil(rows)

    assert expected in _found(replace(record, history=tuple(rows)))


@pytest.mark.parametrize("name", ["error", "market_status", "finished", "result", "phase"])
def test_a_job_that_is_shown_otherwise_is_found(name: str) -> None:
    """A stale answer may have overwritten a newer one."""
    record = _record()
    other = {"finished": "2026-03-01T09:30:01Z", "result": None}.get(name, "other")

    assert _found(replace(record, shown={**record.shown, name: other})) == {"jobs as they are shown"}


@pytest.mark.parametrize("names", [(), ("soak 1", "soak 2"), ("soak 1", "soak 1")])
def test_a_job_too_many_or_too_few_is_found(names: tuple[str, ...]) -> None:
    """Created twice, lost, or nobody's."""
    assert "jobs asked for, jobs at the Router and at the gateway" in _found(_record(), names=names)


@pytest.mark.parametrize(
    ("verb", "said"), [("kill", "200"), ("cancel", "200"), ("submit", "409 job-already-submitted")]
)
def test_an_answer_that_does_not_hold_is_found(verb: str, said: str) -> None:
    """The job is complete; nobody may have been told that they ended it."""
    answer = Answer(verb=verb, said=said, content={}, tries=2)

    assert _found(replace(_record(), answers=(answer,))) == {"definitive answers, and what became of the job"}


@pytest.mark.parametrize("job_id", [_ID, None])
@pytest.mark.parametrize("spoil", ["missing", "twice", "other", "last"])
def test_a_viewer_who_heard_something_else_is_found(job_id: str | None, spoil: str) -> None:
    """An event missing, twice, changed, or the last one not yet there."""
    watched = _watched(job_id)
    if spoil == "missing":
        watched.heard.pop(2)
    elif spoil == "twice":
        watched.heard.insert(2, watched.heard[2])
    elif spoil == "other":
        watched.heard[2] = (watched.heard[2][0], "status", watched.heard[2][2])
    else:
        watched.heard.pop()

    assert len(_found(_record(), watched)) == 1
