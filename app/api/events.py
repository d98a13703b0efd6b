"""Streams: one job's, and the feed over all."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response

from app.api.accepting import preferred
from app.api.access import ASKED, CallerDep
from app.api.frames import Frames
from app.api.rooms import Rooms, RoomsDep
from app.api.schemas.events import EventsQuery, StreamQuery
from app.api.streams import NDJSON, OF_ALL, OF_JOB, SSE, EventStream, Standing
from app.domain.access import Caller
from app.domain.errors import Invalid, StreamNotShared
from app.domain.jobs import Job
from app.domain.shown import shown
from app.services.channels import Watched
from app.services.gatekeeper import Passed

router = APIRouter(tags=["events"], dependencies=ASKED)

_DIGITS = 20  # more than the largest id has: a longer number is ahead of the log, however it goes on
_STREAM = {
    "description": "Server-Sent Events, or newline-delimited JSON when that is accepted",
    "content": {"text/event-stream": {}, "application/x-ndjson": {}},
}

LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", description="Go on after this event")]
Accept = Annotated[str, Header(include_in_schema=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who watches, and for whom streams are counted. `cookie` is None where a key was sent, or none was needed."""

    caller: Caller
    client: str
    cookie: str | None


async def _watcher(request: Request, caller: CallerDep) -> Watcher:
    passed: Passed | None = request.scope.get("passed")
    host = request.client.host if request.client else ""
    return Watcher(caller=caller, client=caller.key_id or host, cookie=passed.cookie if passed else None)


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
    asked: Annotated[StreamQuery, Query()],
    rooms: RoomsDep,
    watcher: WatcherDep,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response:
    """A job's events from the first on (or after a position), live until its `end`."""
    # The position before the job: whoever skips what the snapshot holds must not skip what came between the two looks.
    as_of = await rooms.history.head()
    job = _shared(await rooms.jobs.job(job_id))
    position = await _position(rooms, asked.after, last_event_id, otherwise=0)
    end = await rooms.history.end_of(job_id)
    if end is not None and position >= end:
        return Response(status_code=204)
    frames = _frames(accept)
    snapshot = f'{{"job":{shown(job).decode()},"as_of":{as_of}}}'
    watched = Watched(render=OF_JOB[frames, asked.format], job_id=job_id)
    standing = Standing(position=position, snapshot=snapshot)
    return _stream(rooms, watched, watcher, standing=standing, frames=frames)


@router.get("/v1/events", operation_id="events", response_class=Response, responses={200: _STREAM})
async def events(
    *,
    asked: Annotated[EventsQuery, Query()],
    rooms: RoomsDep,
    watcher: WatcherDep,
    last_event_id: LastEventId = None,
    accept: Accept = "",
) -> Response:
    """The events of every job that fits, from now on (or after a position), for as long as one listens."""
    head = await rooms.history.head()
    position = await _position(rooms, asked.after, last_event_id, otherwise=head)
    whole_after = await rooms.history.missing_through()
    wanted = asked.wanted()
    if wanted is not None and (wanted.name_regex is not None or wanted.words is not None):
        await rooms.history.page(wanted, limit=1, cursor=None)  # what nobody understands is told at once
    frames = _frames(accept)
    watched = Watched(render=OF_ALL[frames, asked.format], wanted=wanted)
    standing = Standing(position=position, snapshot=f'{{"as_of":{head}}}', whole_after=whole_after)
    return _stream(rooms, watched, watcher, standing=standing, frames=frames)


def _stream(rooms: Rooms, watched: Watched, watcher: Watcher, *, standing: Standing, frames: Frames) -> EventStream:
    return EventStream(
        rooms.streams,
        watched,
        standing=standing,
        frames=frames,
        client=watcher.client,
        visiting=lambda leave: rooms.gatekeeper.visiting(watcher.caller, cookie=watcher.cookie, leave=leave),
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
