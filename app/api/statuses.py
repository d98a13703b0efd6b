"""The reference's `status_list`: the latest JobStatus of each job."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.access import ASKED
from app.api.rooms import RoomsDep
from app.api.schemas.log import StatusPage, status_view

router = APIRouter(prefix="/v1/statuses", tags=["jobs"], dependencies=ASKED)


@router.get("", operation_id="statuses")
async def statuses(
    rooms: RoomsDep,
    job_id: Annotated[UUID | None, Query(description="Of this job alone")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> StatusPage:
    """The latest JobStatus of each job that has one, newest job first."""
    page = await rooms.jobs.latest_statuses(job_id, limit=limit, cursor=cursor)
    return StatusPage(
        items=[status_view(one) for one in page.statuses],
        next_cursor=page.next,
        as_of=page.as_of,
        observed_at=rooms.contact.observed_at,
        stale=rooms.contact.stale,
    )
