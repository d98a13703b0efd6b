"""What a job left behind: text, table, bytes."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.api.accepting import preferred
from app.api.access import ASKED
from app.api.rooms import RoomsDep
from app.api.schemas.assets import TableView
from app.api.schemas.common import LARGEST_ID, ResultView
from app.domain.errors import Invalid, NotAcceptable
from app.domain.ports import Content, Extent, Wanted

router = APIRouter(prefix="/v1/jobs/{job_id}/result", tags=["results"], dependencies=ASKED)

_FORMS = {
    "json": "application/json",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}
TABLE_FORMS = tuple(_FORMS.values())
_STATUSES = {Extent.WHOLE: 200, Extent.PART: 206, Extent.UNCHANGED: 304}
_ROWS = {
    "X-Records": {"description": "The rows of the whole table", "schema": {"type": "integer"}},
    "X-Next-Offset": {"description": "The row after the last of these, if there is one", "schema": {"type": "integer"}},
    "Link": {"description": "With `rel=next`: where the table goes on", "schema": {"type": "string"}},
}


def _answers(description: str, *forms: str, **more: object) -> dict[int | str, dict[str, Any]]:
    content: dict[str, object] = {form: {} for form in forms}
    return {
        200: {"description": description, "content": content, **more},
        206: {"description": "The range that was asked for", "content": {**content, "multipart/byteranges": {}}},
        304: {"description": "The caller has it already"},
    }


_TABLE = _answers("The table", *TABLE_FORMS, headers=_ROWS)
_TABLE[200]["content"][_FORMS["json"]] = {"schema": {"$ref": f"#/components/schemas/{TableView.__name__}"}}
_BYTES = _answers("The asset as it is stored", "application/octet-stream", _FORMS["parquet"])


async def _conditions(
    wanted: Annotated[str | None, Header(alias="Range", description="A part of the stored bytes: `bytes=0-99`")] = None,
    if_range: Annotated[
        str | None, Header(alias="If-Range", description="The part, if this is still the ETag; else all")
    ] = None,
    if_none_match: Annotated[
        str | None, Header(alias="If-None-Match", description="Nothing, if this is still the ETag")
    ] = None,
) -> Mapping[str, str]:
    """What the caller has already, as it was written: only the Access Point knows the bytes."""
    given = {"Range": wanted, "If-Range": if_range, "If-None-Match": if_none_match}
    said = {name: text for name, text in given.items() if text is not None}
    for name, text in said.items():
        if not text.isascii():
            raise Invalid("It holds what no range and no ETag does.", field=name)
    return said


ConditionsDep = Annotated[Mapping[str, str], Depends(_conditions)]


@router.get("", operation_id="jobResult")
async def result(job_id: UUID, rooms: RoomsDep) -> ResultView:
    """The raw output of a completed job, and the asset it made."""
    found = await rooms.results.result(job_id)
    return ResultView(raw_status=found.raw_status, asset_id=found.asset_id)


@router.get("/table", operation_id="jobResultTable", response_class=Response, responses=_TABLE)
async def table(
    *,
    job_id: UUID,
    request: Request,
    rooms: RoomsDep,
    conditions: ConditionsDep,
    form: Annotated[Literal["json", "csv", "parquet", "arrow"] | None, Query(alias="format")] = None,
    offset: Annotated[int | None, Query(ge=0, le=LARGEST_ID, description="The first row; by default 0")] = None,
    limit: Annotated[int | None, Query(ge=1, le=1_000_000, description="How many rows; by default all")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "*/*",
) -> Response:
    """The table a job made, in a form of Accept or of `format`, which wins. The Access Point writes it, the gateway passes it on."""
    media_type = _FORMS[form] if form else _form(accept)
    wanted = Wanted(media_type=media_type, offset=offset, limit=limit, conditions=conditions)
    return await _passed_on(rooms.results.table(job_id, wanted), request)


@router.get("/asset", operation_id="jobResultAsset", response_class=Response, responses=_BYTES)
async def asset(job_id: UUID, request: Request, rooms: RoomsDep, conditions: ConditionsDep) -> Response:
    """The bytes of the asset a job made, as they are stored: all, or a range of them."""
    return await _passed_on(rooms.results.asset(job_id, conditions=conditions), request)


def _form(accept: str) -> str:
    form = preferred(accept, TABLE_FORMS)
    if form is None:
        raise NotAcceptable(f"A table comes as one of {', '.join(TABLE_FORMS)}.", allowed=TABLE_FORMS)
    return form


async def _passed_on(opening: AbstractAsyncContextManager[Content], request: Request) -> Response:
    """Begin only once the Access Point has answered, so that its refusal is still ours to tell."""
    async with AsyncExitStack() as stack:
        content = await stack.enter_async_context(opening)
        headers = _headers(content, request)
        if content.extent is Extent.UNCHANGED:
            return Response(status_code=304, headers=headers)
        return _PassedOn(content, headers=headers, open_=stack.pop_all())


def _headers(content: Content, request: Request) -> Mapping[str, str]:
    headers = {**content.said, "Vary": "Accept"}
    if content.length is not None and content.extent is not Extent.UNCHANGED:
        headers["Content-Length"] = str(content.length)
    if content.next_offset is not None:
        others = [(name, said) for name, said in request.query_params.multi_items() if name != "offset"]
        query = urlencode([*others, ("offset", content.next_offset)])
        headers["Link"] = f'<{request.url.path}?{query}>; rel="next"'
    return headers


class _PassedOn(StreamingResponse):
    """Bytes as they come; whatever ends it, a caller who leaves say, ends the reading too."""

    def __init__(self, content: Content, *, headers: Mapping[str, str], open_: AsyncExitStack) -> None:
        super().__init__(content.pieces, _STATUSES[content.extent], headers, content.media_type)
        self._open = open_

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        async with self._open:
            await super().__call__(scope, receive, send)
