"""What a job left behind: text, table, bytes."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Response
from fastapi.responses import StreamingResponse

from app.api.rooms import RoomsDep
from app.api.schemas.common import ResultView
from app.domain.errors import NotAcceptable
from app.domain.ports import Content

router = APIRouter(prefix="/v1/jobs/{job_id}/result", tags=["results"])

TABLE_FORMS = ("application/json", "text/csv", "application/vnd.apache.parquet")
_TABLE = {"content": {form: {} for form in TABLE_FORMS}, "description": "The table"}
_BYTES = {"content": {"application/octet-stream": {}}, "description": "The asset as it is stored"}


@router.get("", operation_id="jobResult")
async def result(job_id: UUID, rooms: RoomsDep) -> ResultView:
    """The raw output of a completed job, and the asset it made."""
    found = await rooms.results.result(job_id)
    return ResultView(raw_status=found.raw_status, asset_id=found.asset_id)


@router.get("/table", operation_id="jobResultTable", response_class=Response, responses={200: _TABLE})
async def table(
    job_id: UUID, rooms: RoomsDep, accept: Annotated[str, Header(include_in_schema=False)] = "*/*"
) -> Response:
    """The table a job made: JSON, or CSV or Parquet by Accept. The Access Point writes it, the gateway passes the bytes on."""
    return await _passed_on(rooms.results.table(job_id, media_type=_form(accept)))


@router.get("/asset", operation_id="jobResultAsset", response_class=Response, responses={200: _BYTES})
async def asset(job_id: UUID, rooms: RoomsDep) -> Response:
    """The bytes of the asset a job made, as they are stored."""
    return await _passed_on(rooms.results.asset(job_id))


def _form(accept: str) -> str:
    for wanted in (part.partition(";")[0].strip().lower() for part in accept.split(",")):
        if wanted in TABLE_FORMS:
            return wanted
        if wanted in ("*/*", "application/*"):
            return TABLE_FORMS[0]
    raise NotAcceptable(f"A table comes as one of {', '.join(TABLE_FORMS)}.", allowed=TABLE_FORMS)


async def _passed_on(opening: AbstractAsyncContextManager[Content]) -> Response:
    """Begin only once the Access Point has answered, so that its refusal is still ours to tell."""
    async with AsyncExitStack() as stack:
        content = await stack.enter_async_context(opening)
        headers = {} if content.length is None else {"Content-Length": str(content.length)}
        whole = stack.pop_all()

    async def body() -> AsyncIterator[bytes]:
        async with whole:
            async for piece in content.pieces:
                yield piece

    return StreamingResponse(body(), media_type=content.media_type, headers=headers)
