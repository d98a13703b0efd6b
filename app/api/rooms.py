"""What routes are handed."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.domain.ports import History
from app.services.assets import Assets
from app.services.contact import Contact
from app.services.hub import Streams
from app.services.jobs import Jobs
from app.services.permissions import Permissions
from app.services.results import Results


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The services, and the few numbers that routes need."""

    jobs: Jobs
    results: Results
    permissions: Permissions
    assets: Assets
    streams: Streams
    history: History
    contact: Contact
    ping_s: float
    upload_limit: int


def rooms_of(request: Request) -> Rooms:
    """The rooms that the application was started with."""
    rooms: Rooms = request.app.state.rooms
    return rooms


RoomsDep = Annotated[Rooms, Depends(rooms_of)]
