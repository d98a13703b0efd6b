"""What routes are handed."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.domain.errors import Invalid
from app.domain.ports import Actions, History, Storage
from app.services.agreements import Agreements
from app.services.assets import Assets
from app.services.contact import Contact
from app.services.gatekeeper import Gatekeeper
from app.services.jobs import Jobs
from app.services.once import Once
from app.services.permissions import Permissions
from app.services.refresh import Refresher
from app.services.results import Results
from app.services.streams import Streams


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """The services, and the few numbers that routes need."""

    jobs: Jobs
    once: Once
    refresher: Refresher
    results: Results
    permissions: Permissions
    agreements: Agreements
    assets: Assets
    streams: Streams
    history: History
    storage: Storage
    actions: Actions
    gatekeeper: Gatekeeper
    contact: Contact
    upload_limit: int


async def rooms_of(request: Request) -> Rooms:
    """The rooms that the application was started with."""
    rooms: Rooms = request.app.state.rooms
    return rooms


def refuse_unknown_queries(request: Request) -> None:
    """Refuse a query parameter that the route does not have: misspelt, it would silently widen the answer."""
    if not request.query_params:
        return
    path = getattr(request.scope["route"], "path_format", "")
    operation = request.app.openapi()["paths"].get(path, {}).get(request.method.lower())
    if operation is None:
        return  # no part of the API
    known = sorted(one["name"] for one in operation.get("parameters", ()) if one["in"] == "query")
    for name in request.query_params:
        if name not in known:
            raise Invalid(f"There is no query parameter {name!r} here.", field=name, allowed=known)


RoomsDep = Annotated[Rooms, Depends(rooms_of)]
