"""The reference's `status_list`: the latest JobStatus of each job."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.api.access import ASKED
from app.api.fresh import UNCHANGED, answer
from app.api.paging import page_body
from app.api.rooms import RoomsDep
from app.api.schemas.log import StatusPage

router = APIRouter(prefix="/v1/statuses", tags=["jobs"], dependencies=ASKED)


@router.get("", operation_id="statuses", response_model=StatusPage, responses=UNCHANGED)
async def statuses(
    *,
    request: Request,
    rooms: RoomsDep,
    job_id: Annotated[UUID | None, Query(description="Of this job alone")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(description="next_cursor of the page before")] = None,
) -> Response:
    """The latest JobStatus of each job that has one, newest job first."""
    page = await rooms.jobs.latest_statuses(job_id, limit=limit, cursor=cursor)
    return answer(request, page_body(page, rooms.contact), digest=page.digest)
