"""News for tests: what a Router reports and what an Access Point streams; a test names only what it is about."""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from app.domain.course import first_heard
from app.domain.events import Event, Kind, NewEvent, Source, Told
from app.domain.jobs import Actor, Ending, Job, Mark, NewJob, Owner, Permission, Place, Result, Stop, StopAnswer
from app.domain.metrics import with_metrics
from app.domain.phases import Phase
from app.domain.reports import EndLine, JobReport, MessageLine, Status, StatusLine, StreamAddress

JOB = UUID("11111111-1111-4111-8111-111111111111")
OTHER_JOB = UUID("22222222-2222-4222-8222-222222222222")
ASSET = UUID("33333333-3333-4333-8333-333333333333")
NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NEW_JOB = NewJob(job_name="a job", operation="REGRESSION", dataset=(), preprocessor=None, params={}, labels={})
PERMISSION = Permission(asset_id=ASSET, asset="mercy/patients", team="mercy", since=NOON)
PLACE = Place(team="mercy", place=2, of=3, since=NOON, away_since=None)
RESULT = Result(raw_status='{"accuracy": 0.9}', asset_id=ASSET)
ADDRESS = StreamAddress(url="http://access-point.test/stream", token="stream-token")  # noqa: S106  (opens nothing)
ACTOR = Actor(user="ada", router_user="ann", team="globex")
STOP = Stop(wanted="kill", since=NOON, answers=(StopAnswer(team="mercy", answer="acknowledged", when=NOON),))
FINAL = ("complete", "error", "cancelled", "killed", "denied")

_CREATED = JobReport(
    epoch="router",
    sequence=1,
    id=JOB,
    job_name="a job",
    operation="REGRESSION",
    dataset=(ASSET,),
    preprocessor=msgspec.Raw(b"null"),
    params=msgspec.Raw(b'{"a": 1.0}'),
    labels={"who": "me"},
    owner=Owner(user="ann", team="globex"),
    market_status="created",
    changed=NOON,
    created=NOON,
    submitted=None,
    started=None,
    finished=None,
    waiting_on=(),
    queue=(),
    reason=None,
    error="",
    error_code=None,
    result=None,
    stream=None,
)


def report(sequence: int = 1, market_status: str = "created", **said: Any) -> JobReport:
    """The Router's word after the change `sequence`; times are as the market status makes them."""
    times: dict[str, datetime] = {}
    if market_status != "created":
        times["submitted"] = NOON + timedelta(seconds=1)
    if market_status in ("starting", "running", "stopping"):
        times["started"] = NOON + timedelta(seconds=2)
    if market_status in FINAL:
        times["finished"] = NOON + timedelta(seconds=3)
    times["changed"] = NOON + timedelta(minutes=sequence)
    return replace(_CREATED, sequence=sequence, market_status=market_status, **{**times, **said})


def status_line(sequence: int, code: int = 3, *, epoch: str = "point", **said: Any) -> StatusLine:
    """A line that tells a code."""
    status = Status(id=ASSET, code=code, status="", when=NOON, communications=0, error="", error_code=None, result=None)
    return StatusLine(mark=Mark(epoch=epoch, sequence=sequence), when=NOON, status=replace(status, **said))


def message_line(sequence: int, text: str = '"hello"', *, epoch: str = "point") -> MessageLine:
    """A line that holds a message."""
    return MessageLine(mark=Mark(epoch=epoch, sequence=sequence), when=NOON, text=text)


def end_line(sequence: int, *, epoch: str = "point") -> EndLine:
    """The marker after the last line."""
    return EndLine(mark=Mark(epoch=epoch, sequence=sequence), when=NOON)


def job_in(phase: Phase, **known: Any) -> Job:
    """A job in a phase, whichever way it came there."""
    return replace(first_heard(report(), streamed=True).job, phase=phase, **known)


def full_job() -> Job:
    """A job with every field filled."""
    return job_in(
        Phase.IN_PROGRESS,
        dataset=(ASSET, OTHER_JOB),
        preprocessor=msgspec.Raw(b'[{"columns":["a"]}]'),
        submitted=NOON,
        started=NOON,
        finished=NOON,
        market_status="complete",
        stream_to=("mercy",),
        code=77,
        waiting_on=(PERMISSION,),
        queue=(PLACE, replace(PLACE, away_since=NOON)),
        reason="because",
        model_status=with_metrics(msgspec.Raw(b"null"), '{"__type":"EpochMetrics","loss":0.5}'),
        error="failed",
        error_code=12,
        result=RESULT,
        stream=Mark(epoch="point", sequence=7),
        stream_ended=True,
        upstream_lost_since=NOON,
        held=Ending(phase=Phase.COMPLETE, when=NOON, reason="done", asset_id=None, actor=ACTOR),
        stop=STOP,
        listed=Mark(epoch="router", sequence=1),
        listed_status="queue",
        ahead=(2, 3),
        past_epochs=("before",),
        forgotten_since=NOON,
        put_back=True,
    )


def told_messages(job: Job, *sequences: int) -> Told:
    """Messages with these numbers, as news of the job."""
    return Told(job=job, events=tuple(message_event(sequence) for sequence in sequences))


def message_event(sequence: int, *, late: bool = False) -> NewEvent:
    """A message that the Access Point numbered so."""
    line = message_line(sequence, str(sequence))
    return NewEvent(kind=Kind.MESSAGE, source=Source.ACCESS_POINT, when=NOON, data=line.text, mark=line.mark, late=late)


def kinds(events: Iterable[Event | NewEvent]) -> list[str]:
    """What each event is."""
    return [event.kind.value for event in events]


def data_of(event: Event | NewEvent) -> Any:
    """An event's data, parsed."""
    return json.loads(event.data)


def phases(events: Sequence[Event | NewEvent]) -> list[str]:
    """The phases told, in order; late ones apart."""
    return [data_of(event)["phase"] for event in events if event.kind is Kind.PHASE and not event.late]
