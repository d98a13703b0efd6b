"""Pages for people: where to begin, and the API to read and try. Nothing of them comes from elsewhere."""

from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.api.access import ASKED
from app.api.description.document import older

router = APIRouter(include_in_schema=False, dependencies=ASKED)

_FRONT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>tripleblind-gateway</title></head>
<body><h1>tripleblind-gateway</h1>
<p>REST and Server-Sent Events in front of a Router.</p>
<ul>
<li><a href="/docs">The API, to read and to try</a></li>
<li><a href="/openapi.json">The API as an OpenAPI document</a>, <a href="/openapi-3.1.json">in version 3.1</a></li>
<li><a href="/v1/jobs">Jobs</a></li>
<li><a href="/v1/operations">Operations</a></li>
<li><a href="/v1/assets">Assets</a></li>
</ul></body></html>
"""
_DOCS = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><link rel="icon" href="data:,"><title>tripleblind-gateway: the API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body></html>
"""
_START = """SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger-ui", deepLinking: true });
"""
# The page styles elements one by one and shows pictures that it carries in itself; the rest is refused to it.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}
_SWAGGER = files("fastapi_swagger") / "resources"
_FOR_A_DAY = {"Cache-Control": "max-age=86400"}


@router.get("/", operation_id="front")
async def front() -> HTMLResponse:
    """Links to what there is."""
    return HTMLResponse(_FRONT, headers=_HEADERS)


@router.get("/openapi-3.1.json", operation_id="olderDocument")
async def older_document(request: Request) -> JSONResponse:
    """The API as an OpenAPI 3.1 document."""
    return JSONResponse(older(request.app.openapi()))


@router.get("/docs", operation_id="docs")
async def docs() -> HTMLResponse:
    """The API, to read and to try."""
    return HTMLResponse(_DOCS, headers=_HEADERS)


@router.get("/docs/start.js", operation_id="docsStart")
async def start() -> Response:
    """What begins the page."""
    return Response(_START, media_type="text/javascript")


@router.get("/docs/swagger-ui-bundle.js", operation_id="docsScript")
def script() -> Response:
    """Swagger UI."""
    return Response((_SWAGGER / "swagger-ui-bundle.js").read_bytes(), media_type="text/javascript", headers=_FOR_A_DAY)


@router.get("/docs/swagger-ui.css", operation_id="docsStyle")
def style() -> Response:
    """Its looks."""
    return Response((_SWAGGER / "swagger-ui.css").read_bytes(), media_type="text/css", headers=_FOR_A_DAY)
