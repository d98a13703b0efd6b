"""Plain ASGI around the application: an id and a line of log for every request, and a bound on bodies."""

import logging
import re
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from ipaddress import ip_address
from uuid import UUID, uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from app.api.staying import stay_of
from app.domain.access import Caller

log = logging.getLogger(__name__)

UPLOAD_PATH = "/v1/assets"


class Requests:
    """Every request has an id: in its answer's `X-Request-Id`, in its problem document, and in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = str(uuid4())
        status, began = 500, time.monotonic()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        known = partial(bound_contextvars, request_id=request_id, client=_address(scope))
        going_on = None
        with known():
            try:
                await self._app(scope, receive, send_with_id)
                going_on = stay_of(scope)
            finally:
                tell = partial(_tell, _facts(scope, status=status), began=began)
                if going_on is None:
                    tell()
        if going_on is not None:
            going_on.over.enter_context(known())
            going_on.over.callback(tell)


def _tell(facts: dict[str, object], *, began: float) -> None:
    log.info("request", extra=facts | {"took_ms": round((time.monotonic() - began) * 1000, 1)})


def _facts(scope: Scope, *, status: int) -> dict[str, object]:
    caller: Caller | None = scope.get("caller")
    return {
        "method": scope["method"],
        "path": _path(scope),
        "status": status,
        "problem": scope.get("problem"),
        "user": caller.user if caller else None,
        "key": caller.key_id if caller else None,
    }


def _address(scope: Scope) -> str:
    """Where it came from."""
    client = scope.get("client")
    return "(none)" if client is None else _spelled(client[0])


@lru_cache(100)
def _spelled(address: str) -> str:
    """What a proxy passes on as an address may be anything."""
    try:
        return str(ip_address(address))
    except ValueError:
        return "(none)"


def _path(scope: Scope) -> str:
    """The route that was taken, with its ids. What else a caller writes into an address is nobody's to read."""
    path, params = getattr(scope.get("route"), "path_format", None), scope.get("path_params", {})
    if path is None:
        path, params = _route_at(scope["path"], scope["app"].openapi()["paths"])
    for name, value in params.items():
        if _is_uuid(str(value)):
            path = path.replace(f"{{{name}}}", str(value))
    return str(path)


def _route_at(path: str, routes: Iterable[str]) -> tuple[str, Mapping[str, str]]:
    """The route that a request was for which was refused at the door."""
    for route in routes:
        if found := re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route), path):
            return route, found.groupdict()
    return "(none)", {}


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


class BodyLimit:
    """A body over the limit is refused while it is read, before it is held; the upload of assets has its own limit."""

    def __init__(self, app: ASGIApp, *, body_limit: int, upload_limit: int) -> None:
        self._app = app
        self._body_limit = body_limit
        self._upload_limit = upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._upload_limit if scope["path"] == UPLOAD_PATH else self._body_limit
        await self._app(scope, _limited(receive, limit, announced=_announced(scope)), send)


def _limited(receive: Receive, limit: int, *, announced: int) -> Receive:
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive() if announced <= limit else _TOO_MUCH
        taken += len(message.get("body", b""))
        if taken > limit or message is _TOO_MUCH:
            raise HTTPException(413, f"The body is larger than the {limit} bytes that are taken here.")
        return message

    return limited


_TOO_MUCH: Message = {"type": "http.request"}


def _announced(scope: Scope) -> int:
    length = Headers(scope=scope).get("content-length", "0")
    return int(length) if length.isdecimal() else 0
