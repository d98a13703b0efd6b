"""Access requests: who asks for which asset, the owner's answer, and what a job would have to ask for."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query

from app.api.access import ASKED, ActorDep
from app.api.rooms import RoomsDep
from app.api.schemas.common import Reason
from app.api.schemas.jobs import JobToCreate
from app.api.schemas.permissions import (
    AccessRequestList,
    AccessRequestView,
    PreflightView,
    RequestState,
    access_request_view,
    preflight_view,
)

router = APIRouter(prefix="/v1", tags=["permission"], dependencies=ASKED)

Why = Annotated[Reason | None, Body()]


@router.post("/jobs/preflight", operation_id="preflightJob")
async def preflight(new: JobToCreate, rooms: RoomsDep, by: ActorDep) -> PreflightView:
    """Every approval that a job would need, and from whom; nothing is made. What a create refuses is refused here."""
    return preflight_view(await rooms.permissions.preflight(new.value(), by=by))


@router.get("/access-requests", operation_id="accessRequests")
async def requests(
    rooms: RoomsDep,
    state: Annotated[RequestState | None, Query()] = None,
    job_id: Annotated[UUID | None, Query()] = None,
    asset_id: Annotated[UUID | None, Query()] = None,
    team: Annotated[str | None, Query(description="The team that asks")] = None,
) -> AccessRequestList:
    """Requests for assets of this gateway's team, and those of its own jobs."""
    found = await rooms.permissions.requests(state=state, job_id=job_id, asset_id=asset_id, team=team)
    return AccessRequestList(items=[access_request_view(one) for one in found])


@router.post("/access-requests/{asset_id}/{job_id}/accept", operation_id="acceptAccessRequest")
async def accept(asset_id: UUID, job_id: UUID, rooms: RoomsDep, by: ActorDep, why: Why = None) -> AccessRequestView:
    """Grant this one use of an asset of this gateway's team. Other teams' requests are answered at their own gateway."""
    reason = why.reason if why else None
    return access_request_view(await rooms.permissions.accept(asset_id, job_id, by=by, reason=reason))


@router.post("/access-requests/{asset_id}/{job_id}/deny", operation_id="denyAccessRequest")
async def deny(asset_id: UUID, job_id: UUID, rooms: RoomsDep, by: ActorDep, why: Why = None) -> AccessRequestView:
    """Refuse it; the job ends `denied`, with the reason."""
    reason = why.reason if why else None
    return access_request_view(await rooms.permissions.deny(asset_id, job_id, by=by, reason=reason))
