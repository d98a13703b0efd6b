"""Tickets for browsers' streams: EventSource can send no key."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, ConfigDict

from app.api.access import ASKED, CallerDep
from app.api.rooms import RoomsDep

router = APIRouter(prefix="/v1/stream-tickets", tags=["events"], dependencies=ASKED)


class StreamWanted(BaseModel):
    """Which stream: a job's, or without one the feed over all."""

    model_config = ConfigDict(extra="forbid")

    job_id: UUID | None = None


class StreamTicket(BaseModel):
    """Good once, until it expires, for the stream at `url`, which carries it."""

    ticket: str
    url: str
    expires: datetime


@router.post("", operation_id="createStreamTicket", status_code=201)
async def create(
    rooms: RoomsDep, caller: CallerDep, wanted: Annotated[StreamWanted | None, Body()] = None
) -> StreamTicket:
    """A ticket to open an EventSource with. Its first use sets a cookie for this one path, which lets reconnects in."""
    job_id = wanted.job_id if wanted else None
    if job_id is not None:
        await rooms.jobs.job(job_id)
    path = "/v1/events" if job_id is None else f"/v1/jobs/{job_id}/events"
    ticket = await rooms.gatekeeper.ticket(caller, path=path)
    return StreamTicket(ticket=ticket.text, url=f"{path}?ticket={ticket.text}", expires=ticket.expires)
