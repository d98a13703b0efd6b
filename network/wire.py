"""HTTP as both parts speak it: bodies in, JSON and NDJSON out, every refusal in the contract's shape."""

import json
import logging
import re
from collections.abc import AsyncIterator
from typing import Any, TypeVar
from uuid import UUID

import msgspec
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from network import refusals
from network.refusals import Refusal

MAX_BODY_BYTES = 1 << 20
_CHOICE = re.compile("'([^']*)'")
M = TypeVar("M", bound=BaseModel)
log = logging.getLogger(__name__)


def reply(content: object, status: int = 200) -> Response:
    """One JSON document."""
    return Response(msgspec.json.encode(content), status, media_type="application/json")


def ndjson(lines: AsyncIterator[bytes]) -> Response:
    """A stream of lines that no proxy should hold back."""
    headers = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, headers=headers, media_type="application/x-ndjson")


def line(content: object) -> bytes:
    """One NDJSON line."""
    return msgspec.json.encode(content) + b"\n"


def bearer(request: Request) -> str:
    """The token of the call; a refusal when there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise refusals.unauthorized()
    return token.strip()


def path_id(request: Request, what: str, *, name: str = "id") -> str:
    """The UUID in the path, in its one spelling; anything else names nothing."""
    text = str(request.path_params[name])
    try:
        canonical = str(UUID(text))
    except ValueError:
        raise refusals.not_found(what) from None
    if canonical != text:
        raise refusals.not_found(what)
    return canonical


async def body_bytes(request: Request, limit: int = MAX_BODY_BYTES) -> bytes:
    """The whole body, never more than the limit."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise refusals.too_large(limit)
        parts.append(chunk)
    return b"".join(parts)


async def json_body(request: Request, limit: int = MAX_BODY_BYTES) -> dict[str, Any]:
    """The body as an object; an absent body is an empty one."""
    content = await body_bytes(request, limit)
    if not content.strip():
        return {}
    try:
        document = msgspec.json.decode(content)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Refusal(400, "malformed", "The body is not JSON.") from exc
    if not isinstance(document, dict):
        raise refusals.invalid("", "The body must be a JSON object.")
    return document


def checked(model: type[M], document: object, *, under: str = "") -> M:
    """The document as the model reads it; the first thing wrong becomes the refusal."""
    try:
        # Strict and as JSON: what the published schema refuses, "5" for a number say, is refused here.
        return model.model_validate_json(msgspec.json.encode(document), strict=True)
    except ValidationError as exc:
        told = _most_telling(exc.errors(include_url=False, include_input=False))
        field = ".".join([under] * bool(under) + _written(told, document))
        detail = f"{field or 'The body'}: {told['msg'].removeprefix('Value error, ')}."
        raise refusals.invalid(field, detail, allowed=_allowed(told, model)) from exc


def _most_telling(errors: list[ErrorDetails]) -> ErrorDetails:
    """A key that is not known says more than one that is missing: it is often that one, misspelt."""
    return next((error for error in errors if error["type"] == "extra_forbidden"), errors[0])


def _written(error: ErrorDetails, document: object) -> list[str]:
    """The path as the caller wrote it: pydantic puts the members of a union that it tried into it."""
    written: list[str] = []
    for part in error["loc"]:
        members = dict(enumerate(document)) if isinstance(document, list) else document
        if isinstance(members, dict) and part in members:
            document = members[part]
            written.append(str(part))
    return written + [str(part) for part in error["loc"][-1:] if error["type"] == "missing"]


def _allowed(error: ErrorDetails, model: type[BaseModel]) -> list[str] | None:
    """The closed set that was left; None where there is none."""
    if error["type"] == "literal_error":
        return _CHOICE.findall(error["ctx"]["expected"])
    if error["type"] == "extra_forbidden" and len(error["loc"]) == 1:
        return list(model.model_fields)
    # A validator of ours gives the set with its message.
    return error.get("ctx", {}).get("allowed")


def canonical(document: object) -> bytes:
    """The same bytes for the same content: what is compared and hashed."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def refuse_politely(app: Starlette) -> None:
    """Give every error of the application the one shape."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _refused(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, Refusal):
        raise exc
    return reply(exc.body, exc.status)


async def _http_error(_request: Request, exc: Exception) -> Response:
    if not isinstance(exc, HTTPException):
        raise exc
    refusal = refusals.of_status(exc.status_code, _advice(exc.status_code))
    answer = reply(refusal.body, refusal.status)
    answer.headers.update(exc.headers or {})
    return answer


async def _unexpected(request: Request, exc: Exception) -> Response:
    log.error("call failed", extra={"path": request.url.path, "why": type(exc).__name__})
    return reply({"error": {"code": "internal", "detail": "This part failed; its log says why."}}, 500)


def _advice(status: int) -> str:
    known = {404: "There is no such path.", 405: "This path does not take this method."}
    return known.get(status, "The request cannot be understood.")
