"""One job, row by row: what the gateway kept and told of it against what the Router and the Access Point have on record."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

from tests.soak.differences import Difference
from tests.soak.records import JobRecord
from tests.soak.router import FINAL, Json

# docs/architecture.md, "Phases": the Router's word, and what the Access Point's stream may tell before it.
PHASES = {
    "created": "created",
    "perm": "waiting_on_permission",
    "queue": "waiting_on_queue",
    "starting": "starting",
    "running": "in_progress",
    "stopping": "stopping",
    "complete": "complete",
    "error": "error",
    "cancelled": "cancelled",
    "killed": "killed",
    "denied": "denied",
}
_IN_PROGRESS = 3
_ROWS_OF_STREAM = ("status", "message")
_TIMES = ("created", "submitted", "started", "finished")
_SAME = ("job_name", "market_status", "error", "error_code", "owner", "labels", "params")

Row = tuple[Any, ...]


def answers(job: JobRecord) -> Iterator[Difference]:
    """Whoever was told that it is done finds it done, and who was told that it could not be, not done by them."""
    final = job.documents[-1]["market_status"]
    for answer in job.answers:
        if answer.said not in _possible(answer.verb, final):
            told = f"{answer.verb}: {answer.said}, after {answer.tries} tries"
            yield Difference(what="a definitive answer", ours=told, theirs=f"the job is {final}", job_id=job.id)


def stream(job: JobRecord) -> Iterator[Difference]:
    """None is missing, none is told twice, none is too late to be streamed, and the order is the Access Point's."""
    there = [_line(line) for line in job.lines if line["kind"] in _ROWS_OF_STREAM]
    here = [_row(row) for row in job.history if row["event"] in _ROWS_OF_STREAM]
    for number, (ours, theirs) in enumerate(zip_longest(here, there), start=1):
        if ours != theirs:
            what = f"row {number} of {len(here)} here, of {len(there)} there"
            yield Difference(what=what, ours=ours, theirs=theirs, job_id=job.id)
            return


def phases(job: JobRecord) -> Iterator[Difference]:
    """Each phase that was told is one the Router or the stream had told, in that order; none of the Router's is lost."""
    router, by_stream = [PHASES[document["market_status"]] for document in moves(job)], _of_stream(job)
    rows = [row for row in job.history if row["event"] == "phase"]
    told = _runs(row["data"]["phase"] for row in rows if not row["late"])
    yield from unequal("the last phase", told[-1:], router[-1:], job)
    if not _is_explained(told, router, by_stream):
        sides = f"the Router's {router}, the stream's {by_stream}"
        yield Difference(what="a phase nobody told, or not in that order", ours=told, theirs=sides, job_id=job.id)
    if missing := set(router) - {row["data"]["phase"] for row in rows}:
        what = f"{', '.join(sorted(missing))}: told by the Router, not even late here"
        yield Difference(what=what, ours=_sketch(rows), theirs=router, job_id=job.id)
    previous = [row["data"]["previous"] for row in rows if not row["late"]]
    phases = [row["data"]["phase"] for row in rows if not row["late"]]
    yield from unequal("each phase follows the one before", previous, [None, *phases[:-1]], job)


def origins(job: JobRecord) -> Iterator[Difference]:
    """Who brought the job to a phase, when and why, is what the Router says, and who of us the one who asked for it.

    What the Router does not say at all, another comparison finds.
    """
    for row in job.history:
        told = row["data"]
        if row["event"] != "phase" or row["source"] != "router" or told["phase"] == told["previous"]:
            continue
        # A gateway that was down may have heard of a phase by any document that said it.
        there = [document for document in job.documents if PHASES[document["market_status"]] == told["phase"]]
        origins = [_origin(document, told) for document in there]
        ours = {"actor": _actor(told), "when": _time(told["when"]), "reason": told["reason"]}
        if there and ours not in origins:
            what = f"who brought it to {told['phase']}, when and why"
            yield Difference(what=what, ours=ours, theirs=origins, job_id=job.id)
        if there and not any(_may_have_been(told, document, job) for document in there):
            what = f"who of us brought it to {told['phase']}"
            asked = [(action["user"], action["verb"], action["reason"]) for action in job.actions]
            yield Difference(what=what, ours=told["actor"], theirs=asked, job_id=job.id)


def ends(job: JobRecord) -> Iterator[Difference]:
    """There is one `end`; it is the last that was told, and says what the last phase says."""
    told = job.told
    last = [row for row in told if row["event"] == "end"]
    if len(last) != 1 or told[-1] is not last[0]:
        yield Difference(what="its end", ours=_sketch(told[-5:]), theirs="one end, the last event", job_id=job.id)
        return
    phases = [row["data"]["phase"] for row in told if row["event"] == "phase"]
    yield from unequal("the phase it ended in", last[0]["data"]["phase"], phases[-1], job)


def shown(job: JobRecord) -> Iterator[Difference]:
    """What the gateway says of it now is what the Router's last document says."""
    last = job.documents[-1]
    yield from unequal("phase", job.shown["phase"], PHASES[last["market_status"]], job)
    for name in _SAME:
        yield from unequal(name, job.shown[name], last[name], job)
    for name in _TIMES:
        yield from unequal(name, _time(job.shown[name]), _time(last[name]), job)
    if last["result"] is not None:
        made = (job.shown["result"] or {}).get("asset_id")
        yield from unequal("the asset it made", made, last["result"]["asset_id"], job)


def stops(job: JobRecord) -> Iterator[Difference]:
    """What the Access Points answered to the cancel or kill that took effect is what the Router heard from them."""
    stop = job.documents[-1]["stop"]
    for action in told_stops(job):
        if stop is not None and stop["wanted"] == action["verb"]:
            here, there = (_stop_answers(answers) for answers in (action["answers"], stop["answers"]))
            yield from unequal(f"answers to the {action['verb']} of {action['user']}", here, there, job)


def moves(job: JobRecord) -> list[Json]:
    """The documents with which the market status changed."""
    before = [None, *(document["market_status"] for document in job.documents)]
    return [document for document, was in zip(job.documents, before, strict=False) if document["market_status"] != was]


def told_stops(job: JobRecord) -> list[Json]:
    """The cancels and kills that somebody was told are done."""
    return [action for action in job.actions if action["verb"] in ("cancel", "kill") and action["outcome"] == "done"]


def unequal(what: str, ours: object, theirs: object, job: JobRecord) -> Iterator[Difference]:
    """Nothing where they are equal."""
    if ours != theirs:
        yield Difference(what=what, ours=ours, theirs=theirs, job_id=job.id)


def _possible(verb: str, final: str) -> set[str]:
    if verb == "cancel":
        return {"200"} if final == "cancelled" else {"409 job-not-pending", "409 job-finished"}
    if verb == "kill":
        return {"200", "202"} if final == "killed" else {"202", "409 job-finished"}
    return {"201"} if verb == "create" else {"202"}


def _line(line: Json) -> Row:
    content = line[line["kind"]]
    return (line["kind"], _status(content) if line["kind"] == "status" else content, False)


def _row(row: Json) -> Row:
    return (row["event"], _status(row["data"]) if row["event"] == "status" else row["data"], row["late"])


def _status(status: Json) -> Json:
    return {**{name: value for name, value in status.items() if name != "job_id"}, "when": _time(status["when"])}


def _is_explained(told: Sequence[str], *sources: Sequence[str]) -> bool:
    """Whether it can be had by reading the sources, each in its order, and leaving things out."""
    places = {tuple(0 for _ in sources)}
    for phase in told:
        places = {
            (*place[:number], source.index(phase, place[number]) + 1, *place[number + 1 :])
            for place in places
            for number, source in enumerate(sources)
            if phase in source[place[number] :]
        }
    return bool(places)


def _of_stream(job: JobRecord) -> list[str]:
    told = []
    for line in job.lines:
        if line["kind"] == "message" and line["message"] == "starting":
            told.append("starting")
        if line["kind"] == "status" and line["status"]["code"] == _IN_PROGRESS:
            told.append("in_progress")
    return told


def _origin(document: Json, told: Json) -> Json:
    """What the Router has of a phase; a reason of its own is said where the Router gives none."""
    dated = {"created": "created"} | dict.fromkeys(FINAL, "finished")
    when = document[dated.get(document["market_status"], "changed")]
    actor = document["actor"] and {name: document["actor"][name] for name in ("user", "team")}
    return {"actor": actor, "when": _time(when), "reason": document["reason"] or told["reason"]}


def _actor(told: Json) -> Json | None:
    """As the Router names them."""
    actor = told["actor"]
    return None if actor is None else {"user": actor["router_user"], "team": actor["team"]}


def _may_have_been(told: Json, document: Json, job: JobRecord) -> bool:
    """Whether the caller named is one who asked for it here, with that reason; and nobody, where nobody did."""
    user: str | None = told["actor"] and told["actor"]["user"]
    asked_here = document["actor"] is not None and document["actor"]["client_ref"] is not None
    if document["market_status"] == "created":
        return user == job.created_by
    if user is None or not asked_here:
        return user is None and not asked_here
    said: str = document["reason"] or ""
    return any(action["user"] == user and said.endswith(action["reason"] or "") for action in job.actions)


def _stop_answers(answers: Iterable[Json]) -> list[Row]:
    return [(answer["team"], answer["answer"], _time(answer["when"])) for answer in answers]


def _runs(phases: Iterable[str]) -> list[str]:
    """Without those that only repeat the one before."""
    told: list[str] = []
    for phase in phases:
        if told[-1:] != [phase]:
            told.append(phase)
    return told


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _sketch(rows: Iterable[Json]) -> str:
    named = (row["data"]["phase"] if row["event"] in ("phase", "end") else "" for row in rows)
    return ", ".join(
        f"{row['id']} {row['event']} {name}{' late' if row['late'] else ''}"
        for row, name in zip(rows, named, strict=True)
    )
