"""Access requests: who asks for which asset, and the owner's answer."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Query

from app.api.access import ActorDep
from app.api.rooms import RoomsDep
from app.api.schemas.common import Reason
from app.api.schemas.permissions import AccessRequestList, AccessRequestView, RequestState, access_request_view

router = APIRouter(prefix="/v1/access-requests", tags=["permission"])

Why = Annotated[Reason | None, Body()]


@router.get("", operation_id="accessRequests")
async def requests(
    rooms: RoomsDep,
    state: Annotated[RequestState | None, Query()] = None,
    job_id: Annotated[UUID | None, Query()] = None,
) -> AccessRequestList:
    """Requests for assets of this gateway's team, and those of its own jobs."""
    found = await rooms.permissions.requests(state=state, job_id=job_id)
    return AccessRequestList(items=[access_request_view(one) for one in found])


@router.post("/{asset_id}/{job_id}/accept", operation_id="acceptAccessRequest")
async def accept(asset_id: UUID, job_id: UUID, rooms: RoomsDep, by: ActorDep, why: Why = None) -> AccessRequestView:
    """Grant this one use of an asset of this gateway's team. Other teams' requests are answered at their own gateway."""
    reason = why.reason if why else None
    return access_request_view(await rooms.permissions.accept(asset_id, job_id, by=by, reason=reason))


@router.post("/{asset_id}/{job_id}/deny", operation_id="denyAccessRequest")
async def deny(asset_id: UUID, job_id: UUID, rooms: RoomsDep, by: ActorDep, why: Why = None) -> AccessRequestView:
    """Refuse it; the job ends `denied`, with the reason."""
    reason = why.reason if why else None
    return access_request_view(await rooms.permissions.deny(asset_id, job_id, by=by, reason=reason))
