"""Plain ASGI before the application: by which host name and from which web page a request comes, and whose key it has."""

import re
from collections.abc import Collection
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.access import OPEN, bearer
from app.api.middleware import UPLOAD_PATH
from app.api.problems import is_json, problem, problem_of
from app.api.uploads import UPLOAD_FORMS
from app.domain.access import LOCAL
from app.domain.errors import GatewayError, HostNotAllowed, NotAdmitted, NotFromThere
from app.services.gatekeeper import Gatekeeper, Passed

COOKIE = "gateway-stream"

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ELSEWHERE = frozenset({"cross-site", "same-site"})
_LOOPBACK = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?", re.IGNORECASE)
_STREAM = re.compile(r"/v1/(jobs/[0-9a-f-]{36}/)?events")
_HARDENING = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
_FOREIGN = "Web pages of this origin may not use the gateway; GATEWAY_CORS_ORIGINS names those that may."


class Origins:
    """Turns away what other web pages send and, where no keys are asked for, what names another host than loopback.

    A page elsewhere can make a browser send almost anything here, and by rebinding its own name to this address read
    the answers; but not without an `Origin`, `Sec-Fetch-Site` or `Host` that gives it away.
    """

    def __init__(self, app: ASGIApp, *, allowed: Collection[str], loopback_only: bool) -> None:
        self._app = app
        self._allowed = frozenset(allowed)
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HARDENING)
                headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
        except NotFromThere as error:
            await problem_of(Request(scope), error)(scope, receive, hardened)
        else:
            await self._app(scope, receive, hardened)

    def _check(self, scope: Scope, headers: Headers) -> None:
        if self._loopback_only and not _LOOPBACK.fullmatch(headers.get("host", "")):
            raise HostNotAllowed(
                "With GATEWAY_AUTH=none the gateway answers to the names localhost, 127.0.0.1 and [::1] alone. "
                "Use one of them, or GATEWAY_AUTH=key."
            )
        origin = headers.get("origin")
        if origin is None:
            if headers.get("sec-fetch-site") in _ELSEWHERE and not _is_visit(scope, headers):
                raise NotFromThere(_FOREIGN)
        elif origin not in self._allowed and not _is_own(origin, scope, headers):
            raise NotFromThere(_FOREIGN)


class Admission:
    """Lets in who has a key, a stream's ticket or its cookie; without keys, everybody who does not come as a form would."""

    def __init__(self, app: ASGIApp, *, by_key: bool, cross_site: bool) -> None:
        self._app = app
        self._by_key = by_key
        self._cross_site = cross_site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self._app(scope, receive, send)
            return
        refused = await (self._refused if self._by_key else _refused_form)(scope)
        if refused is not None:
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, self._with_cookie(scope, send))

    async def _refused(self, scope: Scope) -> Response | None:
        try:
            await _admit(scope, scope["app"].state.rooms.gatekeeper)
        except GatewayError as error:
            return problem_of(Request(scope), error)
        return None

    def _with_cookie(self, scope: Scope, send: Send) -> Send:
        """A ticket that let a browser in is answered with the cookie that will."""
        passed: Passed | None = scope.get("passed")
        if passed is None or not passed.is_new:
            return send
        encrypted = scope["scheme"] == "https"
        # Other sites' pages are sent no cookie but over TLS. Which of them may listen, `Origins` has seen to.
        reach = ("SameSite=None", "Partitioned") if encrypted and self._cross_site else ("SameSite=Strict",)
        secure = ("Secure",) if encrypted else ()
        cookie = "; ".join((f"{COOKIE}={passed.cookie}", f"Path={scope['path']}", "HttpOnly", *secure, *reach))

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", cookie)
            await send(message)

        return send_with_cookie


async def _admit(scope: Scope, gatekeeper: Gatekeeper) -> None:
    headers = Headers(scope=scope)
    authorization = headers.get("authorization")
    if authorization is not None:
        scope["caller"] = await gatekeeper.caller(bearer(authorization) or "")
        return
    if scope["method"] == "GET" and _STREAM.fullmatch(scope["path"]):
        cookie = Request(scope).cookies.get(COOKIE)
        ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [None])[-1]
        if cookie is not None or ticket is not None:
            passed = await gatekeeper.passed(path=scope["path"], ticket=ticket, cookie=cookie)
            scope["caller"], scope["passed"] = passed.caller, passed
            return
    raise NotAdmitted("Send a key as `Authorization: Bearer <key>`; `gateway key create` makes one.")


async def _refused_form(scope: Scope) -> Response | None:
    """A form cannot say that it is JSON, and neither can a page elsewhere without asking first.

    One with parts may bring a table: what sends it from a page elsewhere names that, and `Origins` has seen to it.
    """
    scope["caller"] = LOCAL
    request = Request(scope)
    if request.method in _READS or not _has_body(request.headers) or is_json(request):
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if scope["path"] == UPLOAD_PATH and kind in UPLOAD_FORMS:
        return None
    taken = f"as one of {', '.join(UPLOAD_FORMS)}" if scope["path"] == UPLOAD_PATH else "as JSON: application/json"
    return problem(request, 415, code="unsupported-media-type", detail=f"Send it {taken}, and say so in Content-Type.")


def _has_body(headers: Headers) -> bool:
    return "content-type" in headers or "transfer-encoding" in headers or headers.get("content-length", "0") != "0"


def _is_own(origin: str, scope: Scope, headers: Headers) -> bool:
    """Whether the page came from here. A proxy that we do not know may have taken the encryption off."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    downgraded = scope["scheme"] == "https" and parts.scheme != "https"
    return bool(parts.netloc) and parts.netloc.lower() == headers.get("host", "").lower() and not downgraded


def _is_visit(scope: Scope, headers: Headers) -> bool:
    """Somebody followed a link to here: what they see is theirs to see, and the page that had the link sees nothing."""
    wanted = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
    return scope["method"] == "GET" and wanted == ("navigate", "document")
