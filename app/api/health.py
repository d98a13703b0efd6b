"""Whether the gateway lives and whether it can be used."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.api.rooms import RoomsDep
from app.api.schemas import Health
from app.domain.errors import Unreachable

router = APIRouter(tags=["health"])

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tripleblind-gateway</title></head>
<body><h1>tripleblind-gateway</h1>
<p>REST and Server-Sent Events in front of a Router.</p>
<ul>
<li><a href="/docs">The API, to read and to try</a></li>
<li><a href="/openapi.json">The API as an OpenAPI document</a></li>
<li><a href="/v1/jobs">Jobs</a></li>
<li><a href="/v1/operations">Operations</a></li>
<li><a href="/v1/assets">Assets</a></li>
</ul></body></html>
"""


@router.get("/", operation_id="front", include_in_schema=False)
async def front() -> HTMLResponse:
    """Links to what there is."""
    return HTMLResponse(_PAGE)


@router.get("/livez", operation_id="livez")
async def livez() -> Health:
    """The process answers."""
    return Health(status="alive")


@router.get("/readyz", operation_id="readyz")
async def readyz(rooms: RoomsDep) -> Health:
    """Reads can be answered: the Router was in touch once, and the history can be read."""
    if rooms.contact.observed_at is None:
        raise Unreachable("The Router has not been in touch yet.")
    await rooms.history.head()
    return Health(status="ready")
