"""A file as it is stored: whole, a range of it, or nothing where the caller has it already."""

import re
from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from network import wire

_ONE_RANGE = re.compile(r"bytes=(?P<first>[0-9]{1,18})-(?P<last>[0-9]{0,18})|bytes=-(?P<length>[0-9]{1,18})")
_KEPT = ("etag", "last-modified", "accept-ranges")


def stored(request: Request, path: Path, *, media_type: str, headers: Mapping[str, str]) -> Response:
    """The file, as `Range`, `If-Range` and `If-None-Match` ask for it.

    A range that makes no sense, several at a time, or one of another version: the whole file, as HTTP says.
    """
    status = path.stat()
    answer = FileResponse(path, media_type=media_type, headers=headers, stat_result=status)
    if _is_known(request, answer.headers["etag"]):
        return Response(status_code=304, headers={**headers, **{name: answer.headers[name] for name in _KEPT}})
    first = _first_byte(request, answer, size=status.st_size)
    if first is None:
        # The answer looks for the header itself, and would make more of it.
        request.scope["headers"] = [pair for pair in request.scope["headers"] if pair[0] != b"range"]
        return answer
    return answer if first < status.st_size else _beyond(status.st_size)


def _is_known(request: Request, etag: str) -> bool:
    tags = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    return bool(tags & {etag, "*"})


def _first_byte(request: Request, answer: Response, *, size: int) -> int | None:
    """Where the range begins; None where the whole file is the answer."""
    version = request.headers.get("if-range")
    found = _ONE_RANGE.fullmatch(request.headers.get("range", "").strip().lower())
    if found is None or version not in {None, answer.headers["etag"], answer.headers["last-modified"]}:
        return None
    if found["length"] is not None:
        return max(size - int(found["length"]), 0)
    first, last = int(found["first"]), found["last"]
    return None if last and int(last) < first else first


def _beyond(size: int) -> Response:
    detail = f"The range begins beyond the end; there are {size} bytes."
    answer = wire.reply({"error": {"code": "range-not-satisfiable", "detail": detail}}, 416)
    answer.headers["Content-Range"] = f"bytes */{size}"
    return answer
