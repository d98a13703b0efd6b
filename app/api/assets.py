"""Assets and operations: what jobs can be made of."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.api.access import ASKED, ActorDep
from app.api.rooms import RoomsDep
from app.api.schemas.assets import (
    AssetList,
    AssetView,
    Kind,
    OperationList,
    UsageView,
    asset_view,
    operation_view,
)
from app.api.schemas.common import Name
from app.api.uploads import FORM, TABLE_FORMS, upload_of

router = APIRouter(prefix="/v1", tags=["assets"], dependencies=ASKED)

_PARTS = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "name": {"type": "string", "description": "Instead of the query's; before the file"},
        "temporary": {"type": "boolean", "description": "Instead of the query's; before the file"},
        "file": {"type": "string", "format": "binary", "description": "The table; the last part"},
    },
}
_ENCODING = {"file": {"contentType": ", ".join(TABLE_FORMS)}}
_CONTENT: dict[str, dict[str, object]] = {
    **{form: {} for form in TABLE_FORMS},
    FORM: {"schema": _PARTS, "encoding": _ENCODING},
}
_UPLOAD = {"requestBody": {"required": True, "content": _CONTENT}}


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


@router.get("/assets/usage", operation_id="assetUsage")
async def usage(
    rooms: RoomsDep,
    algorithm: Annotated[str | None, Query(description="A model's asset")] = None,
    dataset: Annotated[list[str] | None, Query(description="A table's asset; may be given several times")] = None,
) -> UsageView:
    """Whose permission this team would need to use these assets, which are named by UUID or as `team/name`."""
    needed = await rooms.permissions.usage(algorithm=algorithm, datasets=dataset or ())
    return UsageView(status=needed.status)


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
    name: Annotated[Name | None, Query(description="The part after the slash; a temporary table needs none")] = None,
    temporary: Annotated[bool | None, Query(description="Gone once the last job that uses it has ended")] = None,
) -> AssetView:
    """Make a table of this gateway's team from the body, which is passed on to its Access Point as it comes."""
    asked = {"name": name, "temporary": temporary}
    sent = await upload_of(request, {field: said for field, said in asked.items() if said is not None})
    table = sent.table
    made = await rooms.assets.upload(
        table.name, temporary=table.temporary, by=by, media_type=sent.media_type, pieces=sent.pieces
    )
    response.headers["Location"] = f"/v1/assets/{made.id}"
    return asset_view(made)
