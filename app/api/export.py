"""A list of any length as one file: read page by page and sent as it is read, so that its length costs no memory."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api.access import ASKED
from app.api.rooms import RoomsDep
from app.api.schemas.jobs import FindQuery, JobView
from app.domain.ports import Page
from app.domain.shown import Shown

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], dependencies=ASKED)

Form = Literal["csv", "ndjson"]

_STALL_S = 60.0
# What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportQuery(FindQuery):
    """Which jobs, and in which form."""

    format: Form = "ndjson"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


# The columns of the CSV, in their order.
COLUMNS: dict[str, Callable[[Shown], object]] = {
    "id": lambda job: job.id,
    "job_name": lambda job: job.job_name,
    "operation": lambda job: job.operation,
    "owner": lambda job: job.owner.user,
    "team": lambda job: job.owner.team,
    "created_by": lambda job: job.created_by,
    "created": lambda job: job.created,
    "submitted": lambda job: job.submitted,
    "started": lambda job: job.started,
    "finished": lambda job: job.finished,
    "phase": lambda job: job.phase,
    "status": lambda job: job.status,
    "market_status": lambda job: job.market_status,
    "message": lambda job: job.message,
    "error": lambda job: job.error,
    "error_code": lambda job: job.error_code,
    "result_asset": lambda job: job.result.asset_id if job.result else None,
    "dataset": lambda job: " ".join(map(str, job.dataset)),
    "labels": lambda job: _json(job.labels),
    "params": lambda job: _json(job.params),
}

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line for each job that fits, newest first",
        "content": {
            "application/x-ndjson": {"itemSchema": {"$ref": f"#/components/schemas/{JobView.__name__}"}},
            "text/csv": {"schema": {"type": "string"}},
        },
    }
}


@router.get("/export", operation_id="exportJobs", response_class=Response, responses=_ANSWERS)
async def export(wanted: Annotated[ExportQuery, Query()], request: Request, rooms: RoomsDep) -> Response:
    """All jobs that fit, newest first, as one file."""
    pages = rooms.jobs.pages(wanted.value())
    first = await anext(pages)  # what is wrong with the query is told while there is an answer to tell it in
    lines, media_type = _FORMS[wanted.format]
    request.scope["wire"].give_up_after(_STALL_S)
    name = f'attachment; filename="jobs.{wanted.format}"'
    return StreamingResponse(
        _written(first, pages, lines), media_type=media_type, headers={"Content-Disposition": name}
    )


async def _written(
    first: Page, pages: AsyncIterator[Page], lines: Callable[[Sequence[bytes], bool], bytes]
) -> AsyncIterator[bytes]:
    yield lines(first.items, True)
    async for page in pages:
        yield lines(page.items, False)


def _as_ndjson(items: Sequence[bytes], _is_first: bool) -> bytes:
    return b"".join(b"%b\n" % item for item in items)


def _as_csv(items: Sequence[bytes], is_first: bool) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file)
    if is_first:
        writer.writerow(COLUMNS)
    writer.writerows(_row(item) for item in items)
    return file.getvalue().encode()


def _row(item: bytes) -> Iterator[str]:
    job = msgspec.json.decode(item, type=Shown)
    for value_of in COLUMNS.values():
        yield _cell(value_of(job))


def _cell(value: object) -> str:
    """As text, in the spelling of JSON; none that a spreadsheet would compute."""
    text = "" if value is None else str(msgspec.to_builtins(value))
    return f"'{text}" if text.startswith(_FORMULA) else text


_FORMS: dict[Form, tuple[Callable[[Sequence[bytes], bool], bytes], str]] = {
    "ndjson": (_as_ndjson, "application/x-ndjson"),
    "csv": (_as_csv, "text/csv; charset=utf-8"),
}
