"""What is counted of all jobs."""

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from app.api.access import ASKED
from app.api.fresh import UNCHANGED, answer, digest_of
from app.api.rooms import RoomsDep
from app.api.schemas.common import with_fields
from app.api.schemas.statistics import StatisticsView

router = APIRouter(prefix="/v1/stats", tags=["jobs"], dependencies=ASKED)


@router.get("", operation_id="statistics", response_model=StatisticsView, responses=UNCHANGED)
async def statistics(
    request: Request,
    rooms: RoomsDep,
    days: Annotated[int, Query(ge=1, le=366, description="How many days to tell of, one by one")] = 30,
) -> Response:
    """Jobs by phase, operation, owner and day, and how long they wait and run."""
    found = await rooms.history.statistics(days=days)
    content = msgspec.json.encode(found)
    fresh = {"observed_at": rooms.contact.observed_at, "stale": rooms.contact.stale}
    return answer(request, with_fields(content, fresh), digest=digest_of(content))
