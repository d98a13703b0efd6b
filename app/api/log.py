"""What was heard and done: statuses, history, actions."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.access import ASKED
from app.api.rooms import RoomsDep
from app.api.schemas.common import LARGEST_ID
from app.api.schemas.log import ActionList, EventView, HistoryPage, Statuses, action_view, status_view

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=ASKED)


@router.get("/{job_id}/statuses", operation_id="jobStatuses")
async def statuses(job_id: UUID, rooms: RoomsDep) -> Statuses:
    """Every JobStatus of a job, oldest first."""
    await rooms.jobs.job(job_id)
    return Statuses(items=[status_view(one) for one in await rooms.history.statuses(job_id)])


@router.get("/{job_id}/actions", operation_id="jobActions")
async def actions(job_id: UUID, rooms: RoomsDep) -> ActionList:
    """Who did what about a job through this gateway, oldest first."""
    job = await rooms.jobs.job(job_id)
    return ActionList(items=[action_view(one, stop=job.stop) for one in await rooms.actions.of_job(job_id)])


@router.get("/{job_id}/history", operation_id="jobHistory")
async def history(
    job_id: UUID,
    rooms: RoomsDep,
    after: Annotated[int, Query(ge=0, le=LARGEST_ID)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> HistoryPage:
    """Everything that was heard of a job, in order, with who said it and when it reached us."""
    await rooms.jobs.job(job_id)
    events = await rooms.history.events(job_id, after=after, limit=limit, late_too=True)
    more = events[-1].id if len(events) == limit else None
    return HistoryPage(items=[EventView.of(event) for event in events], next_after=more)
