"""Agreements: what this team grants once and for all, and what it was granted."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.access import ASKED, ActorDep
from app.api.rooms import RoomsDep
from app.api.schemas.permissions import AgreementList, AgreementState, AgreementToMake, AgreementView, agreement_view

router = APIRouter(prefix="/v1/agreements", tags=["permission"], dependencies=ASKED)


@router.get("", operation_id="agreements")
async def agreements(
    rooms: RoomsDep,
    state: Annotated[AgreementState | None, Query()] = None,
    asset_id: Annotated[UUID | None, Query()] = None,
    to_team: Annotated[str | None, Query(description="The team that may use the assets")] = None,
) -> AgreementList:
    """Agreements that this gateway's team gave or was given, newest first; those that have ended stay listed."""
    found = await rooms.agreements.agreements(state=state, asset_id=asset_id, to_team=to_team)
    return AgreementList(items=[agreement_view(one) for one in found])


@router.post("", operation_id="createAgreement", status_code=201)
async def agree(new: AgreementToMake, rooms: RoomsDep, by: ActorDep) -> AgreementView:
    """Grant the use of this team's assets for one algorithm or one protocol, without being asked each time."""
    return agreement_view(await rooms.agreements.agree(new.value(), by=by))


@router.delete("/{agreement_id}", operation_id="endAgreement")
async def end_agreement(agreement_id: UUID, rooms: RoomsDep, by: ActorDep) -> AgreementView:
    """End it; what it has granted already stays granted. Again is fine."""
    return agreement_view(await rooms.agreements.end_agreement(agreement_id, by=by))
