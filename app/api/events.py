"""Streams: one job's, and the feed over all."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.api.accepting import preferred
from app.api.access import CallerDep
from app.api.frames import Frames
from app.api.rooms import Rooms, RoomsDep
from app.api.schemas.common import LARGEST_ID
from app.api.schemas.jobs import job_view
from app.api.streams import NDJSON, SSE, EventStream
from app.domain.access import Caller
from app.domain.errors import Invalid, StreamNotShared
from app.domain.jobs import Job
from app.services.gatekeeper import Passed

router = APIRouter(tags=["events"])

_DIGITS = 20  # more than the largest id has: a longer number is ahead of the log, however it goes on
_STREAM = {
    "description": "Server-Sent Events, or newline-delimited JSON when that is accepted",
    "content": {"text/event-stream": {}, "application/x-ndjson": {}},
}

After = Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="Go on after this event; the header wins")]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Go on after this event")]
Ticket = Annotated[
    str | None, Query(alias="ticket", description="Of POST /v1/stream-tickets, for browsers; others send a key")
]
Form = Annotated[
    Literal["json", "text"],
    Query(alias="format", description="`text`: each message as lines that people read, in a `text` event in its place"),
]
Accept = Annotated[str, Header(include_in_schema=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who watches. `cookie` is None where a key was sent, or none was needed."""

    caller: Caller
    cookie: str | None


async def _watcher(request: Request, caller: CallerDep, _ticket: Ticket = None) -> Watcher:
    passed: Passed | None = request.scope.get("passed")
    return Watcher(caller=caller, cookie=passed.cookie if passed else None)


WatcherDep = Annotated[Watcher, Depends(_watcher)]


@router.get(
    "/v1/jobs/{job_id}/events",
    operation_id="jobEvents",
    response_class=Response,
    responses={200: _STREAM, 204: {"description": "Nothing comes after this position: the job is over"}},
)
async def job_events(
    *,
    job_id: UUID,
    rooms: RoomsDep,
    watcher: WatcherDep,
    after: After = None,
    last_event_id: LastEventId = None,
    form: Form = "json",
    accept: Accept = "",
) -> Response:
    """A job's events from the first on (or after a position), live until its `end`."""
    # The position before the job: whoever skips what the snapshot holds must not skip what came between the two looks.
    as_of = await rooms.history.head()
    job = _shared(await rooms.jobs.job(job_id))
    position = await _position(rooms, after, last_event_id, otherwise=0)
    end = await rooms.history.end_of(job_id)
    if end is not None and position >= end:
        return Response(status_code=204)
    snapshot = f'{{"job":{job_view(job).model_dump_json()},"as_of":{as_of}}}'
    return EventStream(
        rooms.streams,
        job_id,
        position=position,
        snapshot=snapshot,
        frames=_frames(accept),
        form=form,
        visiting=_visiting(rooms, watcher),
    )


@router.get("/v1/events", operation_id="events", response_class=Response, responses={200: _STREAM})
async def events(
    *,
    rooms: RoomsDep,
    watcher: WatcherDep,
    after: After = None,
    last_event_id: LastEventId = None,
    form: Form = "json",
    accept: Accept = "",
) -> Response:
    """The events of every job, from now on (or after a position), for as long as one listens."""
    head = await rooms.history.head()
    position = await _position(rooms, after, last_event_id, otherwise=head)
    snapshot = msgspec.json.encode({"as_of": head}).decode()
    return EventStream(
        rooms.streams,
        None,
        position=position,
        snapshot=snapshot,
        frames=_frames(accept),
        form=form,
        visiting=_visiting(rooms, watcher),
    )


def _shared(job: Job) -> Job:
    """The job, whose stream this gateway may read."""
    if not job.streamed:
        team = job.owner.team
        raise StreamNotShared(
            f"{team} does not share this job's stream; its phases stand in /history and come with the feed.",
            owner_team=team,
        )
    return job


async def _position(rooms: Rooms, after: int | None, last_event_id: str | None, *, otherwise: int) -> int:
    """Where to go on. A position ahead of the log (of another database) counts as its head."""
    if last_event_id is None:
        wanted = otherwise if after is None else after
    elif last_event_id.isascii() and last_event_id.isdecimal():
        wanted = int(last_event_id[:_DIGITS])
    else:
        raise Invalid("Last-Event-ID is the id of an event of this stream: a whole number.", field="Last-Event-ID")
    return min(wanted, await rooms.history.head())


def _frames(accept: str) -> Frames:
    kind = preferred(accept, (SSE.media_type, NDJSON.media_type))
    return NDJSON if kind == NDJSON.media_type else SSE


def _visiting(rooms: Rooms, watcher: Watcher) -> Callable[[Callable[[], None]], AbstractContextManager[object]]:
    """A stay, which ends with the watcher's key."""
    return lambda leave: rooms.gatekeeper.visiting(watcher.caller, cookie=watcher.cookie, leave=leave)
