"""Every error as application/problem+json (RFC 9457), whichever door it comes through. Only here do errors have numbers."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.domain.errors import (
    Ambiguous,
    Garbled,
    GatewayError,
    HostNotAllowed,
    Invalid,
    JobPruned,
    KeyInUse,
    KeyReused,
    NotAcceptable,
    NotAdmitted,
    NotFromThere,
    NotKnown,
    NotNow,
    NotOffered,
    NotYours,
    RangeOutside,
    Rejected,
    StoreAway,
    TooLarge,
    TooManyAttempts,
    TooManyStreams,
    Unanswered,
    Unreachable,
)

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
REPLAYED = "Idempotency-Replayed"

STATUSES: dict[type[GatewayError], int] = {
    NotKnown: 404,
    JobPruned: 410,
    Ambiguous: 409,
    NotNow: 409,
    KeyReused: 422,
    KeyInUse: 409,
    NotAdmitted: 401,
    TooManyAttempts: 429,
    TooManyStreams: 429,
    NotFromThere: 403,
    HostNotAllowed: 421,
    NotYours: 403,
    Invalid: 422,
    NotOffered: 501,
    NotAcceptable: 406,
    TooLarge: 413,
    RangeOutside: 416,
    Unreachable: 503,
    Unanswered: 504,
    Garbled: 502,
    Rejected: 502,
    StoreAway: 503,
}

_CODES_OF_STATUS = {
    400: "malformed",
    404: "path-not-found",
    405: "method-not-allowed",
    413: "too-large",
    415: "unsupported-media-type",
}


def _codes(kind: type[GatewayError], status: int) -> Iterator[tuple[str, int]]:
    status = STATUSES.get(kind, status)
    yield kind.code, status
    for narrower in kind.__subclasses__():
        yield from _codes(narrower, status)


# Every code that a problem may have, but for `http-error`.
STATUSES_OF_CODES: Mapping[str, int] = {
    **dict(_codes(GatewayError, 500)),
    **{code: status for status, code in _CODES_OF_STATUS.items()},
    "internal": 500,
}


class Problem(BaseModel):
    """What went wrong; further members hold its facts."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str


def handle_problems(app: FastAPI) -> None:
    """Answer every error of this application in one shape."""
    app.add_exception_handler(GatewayError, _gateway_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)


def problem(
    request: Request,
    status: int,
    *,
    code: str,
    detail: str,
    facts: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer for an error."""
    request.scope["problem"] = code
    body = {
        "type": f"urn:tripleblind-gateway:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        "code": code,
        "request_id": request.scope.get("request_id"),
        **(facts or {}),
    }
    content = msgspec.json.encode(body, enc_hook=str)
    return Response(content, status, headers=dict(headers or {}), media_type="application/problem+json")


def problem_of(request: Request, error: GatewayError) -> Response:
    """The answer for an error of ours."""
    status = next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)
    headers = _about_the_range(error) if isinstance(error, RangeOutside) else _ADVICE.get(status)
    if (after_s := _retry_after_s(error)) is not None:
        headers = {"Retry-After": str(after_s)}
    if error.replayed:
        headers = {**(headers or {}), REPLAYED: "true"}
    return problem(request, status, code=error.code, detail=error.detail, facts=error.facts, headers=headers)


def _retry_after_s(error: GatewayError) -> int | None:
    """When it is worth another try, where that is known. None: as ever."""
    if isinstance(error, KeyInUse):
        return 1
    after_s = error.facts.get("retry_after_s")
    return after_s if isinstance(after_s, int) else None


def _about_the_range(error: RangeOutside) -> Mapping[str, str]:
    there = error.facts.get("content_range")
    return {} if there is None else {"Content-Range": str(there)}


_LATER = {"Retry-After": str(RETRY_AFTER_S)}
_ADVICE: Mapping[int, Mapping[str, str]] = {401: {"WWW-Authenticate": "Bearer"}, 429: _LATER, 503: _LATER}


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101  (registered for it)
    return problem_of(request, error)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  (registered for it)
    if _is_of_another_method(request):
        return await _http_exception(request, HTTPException(HTTPStatus.METHOD_NOT_ALLOWED))
    errors = error.errors()
    first = errors[0]
    if first["type"] == "json_invalid":
        where = f"{first['ctx']['error']} at character {first['loc'][-1]}"
        return problem(request, 400, code="malformed", detail=f"The body is not JSON: {where}.")
    if tuple(first["loc"]) == ("body",) and not is_json(request):
        detail = "Send the body as JSON, with Content-Type: application/json."
        return problem(request, 415, code="unsupported-media-type", detail=detail)
    named = [_named(one, body=error.body) for one in errors]
    detail = f"{named[0]['field']}: {named[0]['detail']}"
    facts: dict[str, object] = {key: value for key, value in named[0].items() if key != "detail"}
    facts["errors"] = named
    return problem(request, 422, code="invalid", detail=detail, facts=facts)


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (registered for it)
    code = _CODES_OF_STATUS.get(error.status_code, "http-error")
    detail, headers = error.detail, error.headers
    if error.status_code == HTTPStatus.BAD_REQUEST:
        detail = "The body is not JSON in UTF-8, nests too deeply, or holds a number that is too long."
    if error.status_code == HTTPStatus.NOT_FOUND:
        detail = "There is nothing at this path; /docs shows what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers = {"Allow": ", ".join(_methods(request)) or (headers or {}).get("Allow", "")}
        detail = f"This path does not take {request.method}; it takes {headers['Allow']}."
    return problem(request, error.status_code, code=code, detail=detail, headers=headers)


def _is_of_another_method(request: Request) -> bool:
    """Whether the path is one of its own that was taken for one with an id in it, since it does not take the method."""
    app: FastAPI = request.app
    own = app.openapi()["paths"].get(request.url.path)
    return own is not None and request.method.lower() not in own


def _methods(request: Request) -> list[str]:
    """Every method of the path; the framework names those of one route alone. Empty for what is no part of the API."""
    app: FastAPI = request.app
    paths = app.openapi()["paths"]
    # A path of its own may have the shape of one with an id, which would be found first.
    path = request.url.path if request.url.path in paths else getattr(request.scope.get("route"), "path_format", "")
    return sorted(method.upper() for method in paths.get(path, {}))


async def _gone(_request: Request, _error: Exception) -> Response:
    """Nobody is there to be told."""
    return Response(status_code=400)


async def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("unforeseen error", exc_info=error, extra={"request_id": request.scope.get("request_id")})
    detail = "The gateway failed in a way that was not foreseen; its log has the details under this request_id."
    return problem(request, 500, code="internal", detail=detail)


def _named(error: Mapping[str, Any], *, body: object) -> dict[str, object]:
    where, *parts = error["loc"]
    in_body = where == "body"
    path = _written(parts, body, missing=error["type"] == "missing") if in_body else [str(part) for part in parts]
    field = ".".join(path) or str(where)
    field = field.encode(errors="replace").decode()  # a key that is no text would break the answer, too
    expected = error.get("ctx", {}).get("expected")
    named: dict[str, object] = {"field": field, "detail": error["msg"].removeprefix("Value error, ")}
    # pydantic tells a closed set as a sentence: 'a', 'b' or 'c'.
    return named if expected is None else {**named, "allowed": re.findall(r"'([^']*)'", str(expected))}


def _written(parts: Sequence[int | str], body: object, *, missing: bool) -> list[str]:
    """The path as the caller wrote it: pydantic puts the members of a union that it tried into it."""
    written: list[str] = []
    for part in parts:
        if isinstance(body, dict) and (part in body or missing):
            body = body.get(part)
        elif isinstance(body, list) and isinstance(part, int):
            body = body[part]
        else:
            continue
        written.append(str(part))
    return written


def is_json(request: Request) -> bool:
    """Whether the request says that its body is JSON."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")
