"""Assets and operations: what jobs can be made of."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response

from app.api.access import ActorDep
from app.api.rooms import RoomsDep
from app.api.schemas.assets import AssetList, AssetView, Kind, OperationList, asset_view, operation_view
from app.api.schemas.common import Name

router = APIRouter(prefix="/v1", tags=["assets"])

TABLE_FORMS = ("text/csv", "application/vnd.apache.parquet")
_UPLOAD = {"requestBody": {"required": True, "content": {form: {} for form in TABLE_FORMS}}}


@router.get("/operations", operation_id="operations")
async def operations(rooms: RoomsDep) -> OperationList:
    """What a job can name as its operation, each with its params as JSON Schema."""
    return OperationList(items=[operation_view(one) for one in await rooms.assets.operations()])


@router.get("/assets", operation_id="assets")
async def assets(
    rooms: RoomsDep,
    name: Annotated[str | None, Query(description="team/name, or the part after the slash")] = None,
    team: Annotated[str | None, Query()] = None,
    kind: Annotated[Kind | None, Query()] = None,
) -> AssetList:
    """The assets this team can see."""
    return AssetList(items=[asset_view(one) for one in await rooms.assets.assets(name=name, team=team, kind=kind)])


@router.get("/assets/{asset_id}", operation_id="getAsset")
async def asset(asset_id: UUID, rooms: RoomsDep) -> AssetView:
    """One asset."""
    return asset_view(await rooms.assets.asset(asset_id))


@router.post("/assets", operation_id="createAsset", status_code=201, openapi_extra=_UPLOAD)
async def upload(
    *,
    request: Request,
    response: Response,
    rooms: RoomsDep,
    by: ActorDep,
    name: Annotated[Name, Query(description="The part after the slash")],
    content_type: Annotated[str, Header(include_in_schema=False)] = "",
) -> AssetView:
    """Make a table of this gateway's team from the body, which is passed on to its Access Point as it comes."""
    form = content_type.partition(";")[0].strip().lower()
    if form not in TABLE_FORMS:
        raise HTTPException(415, f"Send the table as one of {', '.join(TABLE_FORMS)}, and say so in Content-Type.")
    made = await rooms.assets.upload(name, by=by, media_type=form, pieces=request.stream())
    response.headers["Location"] = f"/v1/assets/{made.id}"
    return asset_view(made)
