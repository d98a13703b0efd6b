"""The status stream of a job, and its mail."""

import asyncio

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import feeds, passes, queries, refusals, wire
from network.access_point import streams
from network.access_point.mail import MAX_MAIL_BYTES, Mark, Room
from network.access_point.station import Station, station_of
from network.access_point.streams import Shown

_LONGEST_LOOK_S = 30.0
_SHOWN: dict[str, Shown] = {passes.STREAM: streams.whole, passes.SHARED_STREAM: streams.without_result}


class Letter(BaseModel):
    """Which mail."""

    model_config = ConfigDict(extra="forbid")

    sender: str
    topic: str
    sequence: int

    def mark(self) -> Mark:
        """As the mail room knows it."""
        return Mark(self.sender, self.topic, self.sequence)


class Look(BaseModel):
    """What a job's process waits for, which mail it is done with, and what it has sent itself."""

    model_config = ConfigDict(extra="forbid")

    mark: Letter
    done: Letter | None
    sent: int
    within_s: float


async def stream(request: Request) -> Response:
    """The job's lines past `after`, then new ones, up to its end."""
    station = station_of(request)
    job_id, shown = _admitted(request, station)
    after = queries.position(request, epoch=station.ledger.epoch)
    reading = streams.Reading(station.ledger, job_id, after=after, shown=shown)
    lines = feeds.follow(station.ledger.bell, reading.read, beat=lambda: b"\n", ended=reading.ended)
    return wire.ndjson(lines)


async def status(request: Request) -> Response:
    """The latest status."""
    station = station_of(request)
    job_id, shown = _admitted(request, station)
    return wire.reply({"status": streams.latest_status(station.ledger, job_id, shown=shown)})


async def put_mail(request: Request) -> Response:
    """From a peer's process into the mailbox."""
    job_id, sender = wire.path_id(request, "job"), request.path_params["sender"]
    room = station_of(request).rooms.of_sender(job_id, sender, token=wire.bearer(request))
    sequence = queries.whole_number(request, "sequence", default=0, most=2**53)
    content = await wire.body_bytes(request, MAX_MAIL_BYTES)
    room.put(Mark(sender, request.query_params.get("topic", ""), sequence), content)
    total = request.headers.get("x-communications", "0")
    room.count(sender, int(total) if total.isascii() and total.isdigit() else 0)
    return wire.reply({})


async def look(request: Request) -> Response:
    """The job's process waits for a mail: 200 with it, or 204 when it has not come for a while."""
    station = station_of(request)
    room = station.rooms.of_worker(wire.path_id(request, "job"), token=wire.bearer(request))
    asked = wire.checked(Look, await wire.json_body(request))
    if asked.done is not None:
        room.done(asked.done.mark())
    room.count(station.team, asked.sent)
    content = await _await_mail(room, asked)
    if content is None:
        return Response(status_code=204)
    return Response(content, media_type="application/octet-stream")


ROUTES = [
    Route("/v1/jobs/{id}/stream", stream, methods=["GET"]),
    Route("/v1/jobs/{id}/status", status, methods=["GET"]),
    Route("/internal/mail/{id}/{sender}", put_mail, methods=["PUT"]),
    Route("/internal/mailbox/{id}", look, methods=["POST"]),
]


def _admitted(request: Request, station: Station) -> tuple[str, Shown]:
    job_id, token = wire.path_id(request, "job"), wire.bearer(request)
    for purpose, shown in _SHOWN.items():
        if passes.admits(station.settings.pass_key, token, purpose=purpose, subject=job_id):
            return job_id, shown
    raise refusals.unauthorized()


async def _await_mail(room: Room, asked: Look) -> bytes | None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + min(asked.within_s, _LONGEST_LOOK_S)
    while (content := room.look(asked.mark.mark())) is None:
        if room.bell.closed or not await room.bell.heard(within_s=deadline - clock()):
            return None
    return content
