"""Whether the gateway lives and whether it can be used."""

from fastapi import APIRouter

from app.api.access import ASKED
from app.api.rooms import RoomsDep
from app.api.schemas.common import Health
from app.domain.errors import Unreachable

router = APIRouter(tags=["health"], dependencies=ASKED)


@router.get("/livez", operation_id="livez")
async def livez() -> Health:
    """The process answers."""
    return Health(status="alive")


@router.get("/readyz", operation_id="readyz")
async def readyz(rooms: RoomsDep) -> Health:
    """Reads can be answered: the Router was in touch once, and the history can be read. It is not damaged."""
    rooms.storage.check()
    if rooms.contact.observed_at is None:
        raise Unreachable("The Router has not been in touch yet.")
    await rooms.history.head()
    return Health(status="ready")
