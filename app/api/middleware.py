"""Plain ASGI around the application: a request id for everybody, and a bound on bodies."""

from uuid import uuid4

from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD_PATH = "/v1/assets"


class RequestIds:
    """Every request has an id, in its answer's `X-Request-Id` and in its problem document."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = scope["request_id"] = str(uuid4())

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)


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
