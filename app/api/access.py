"""Who asks, and whether they may: one dependency for every route, from one table."""

from collections.abc import Mapping
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request

from app.api.rooms import Rooms, refuse_unknown_queries, rooms_of
from app.domain.access import MAY, Caller, Reach, Right
from app.domain.errors import Invalid, NotYourJob, RoleForbids

# Every operation's right. What does not stand here is let in by nobody.
RIGHTS: Mapping[str, Right] = {
    "createJob": Right.CREATE,
    "findAllJobs": Right.READ,
    "findJob": Right.READ,
    "exportJobs": Right.READ,
    "statistics": Right.READ,
    "getJob": Right.READ,
    "submitJob": Right.STEER,
    "cancelJob": Right.STEER,
    "killJob": Right.STEER,
    "waitForJob": Right.READ,
    "statuses": Right.READ,
    "jobStatuses": Right.READ,
    "jobHistory": Right.READ,
    "jobActions": Right.READ,
    "jobEvents": Right.READ,
    "events": Right.READ,
    "createStreamTicket": Right.READ,
    "jobResult": Right.READ,
    "jobResultTable": Right.READ,
    "jobResultAsset": Right.READ,
    "operations": Right.READ,
    "assets": Right.READ,
    "getAsset": Right.READ,
    "assetUsage": Right.READ,
    "preflightJob": Right.CREATE,
    "createAsset": Right.CREATE,
    "accessRequests": Right.DECIDE,
    "acceptAccessRequest": Right.DECIDE,
    "denyAccessRequest": Right.DECIDE,
    "agreements": Right.DECIDE,
    "createAgreement": Right.DECIDE,
    "endAgreement": Right.DECIDE,
}

# Open to whoever reaches the gateway, key or not: they say whether it is well, and what it is.
OPEN = frozenset(
    {
        "/",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/openapi-3.1.json",
        "/docs",
        "/docs/start.js",
        "/docs/swagger-ui-bundle.js",
        "/docs/swagger-ui.css",
    }
)

_AT_THE_ROUTER = frozenset({Right.CREATE, Right.STEER, Right.DECIDE})

RouterAuthorization = Annotated[
    str | None,
    Header(
        alias="Router-Authorization",
        json_schema_extra={"pattern": r"^[Bb][Ee][Aa][Rr][Ee][Rr] +[!-~]+ *$"},
        description="`Bearer` and the caller's own Router token: what this call changes there is done in their name",
    ),
]


async def admitted(request: Request) -> Caller | None:
    """The caller, once it is certain that they may, and ask for what there is. None where nobody is asked.

    Raises RoleForbids or NotYourJob, for a query parameter that the route does not have Invalid, and for a Router token
    of their own RouterTokenRefused.
    """
    caller = await _allowed(request)
    refuse_unknown_queries(request)
    return caller


# The one dependency of every route, given to each router, so that all routes lie side by side in the application:
# a router in a router is searched twice for each request.
ASKED = [Depends(admitted)]


async def _allowed(request: Request) -> Caller | None:
    route = request.scope["route"]
    if route.path_format in OPEN:
        return None
    rooms = await rooms_of(request)
    caller: Caller = request.scope["caller"]
    right = RIGHTS[route.operation_id]
    allowed = MAY[right]
    if caller.role not in allowed:
        raise RoleForbids(
            f"The role {caller.role} does not allow this; it takes {' or '.join(allowed)}.",
            role=caller.role,
            roles=list(allowed),
        )
    if right in _AT_THE_ROUTER and request.method != "GET":
        caller = await _as_self(caller, request, rooms)
    if allowed[caller.role] is Reach.OWN:
        await _check_own(caller, request, rooms)
    return caller


async def _as_self(caller: Caller, request: Request, rooms: Rooms) -> Caller:
    given = request.headers.get("Router-Authorization")
    if given is None:
        return caller
    token = bearer(given)
    if token is None:
        raise Invalid("Write it as `Bearer` and a token.", field="Router-Authorization")
    return await rooms.contact.as_self(caller, token)


async def _check_own(caller: Caller, request: Request, rooms: Rooms) -> None:
    try:
        job_id = UUID(request.path_params["job_id"])
    except ValueError:
        return  # no job has this id, as the route will say
    job = await rooms.jobs.job(job_id)
    if not caller.created(job):
        raise NotYourJob(
            "This job is another person's; its creator or an admin may do this.", created_by=job.created_by
        )


def bearer(header: str) -> str | None:
    """The token of an Authorization header. None: it holds none that could be one."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    is_one = scheme.lower() == "bearer" and token.isascii() and token.isprintable() and token and " " not in token
    return token if is_one else None


async def _caller(caller: Annotated[Caller | None, Depends(admitted)]) -> Caller:
    assert caller is not None  # noqa: S101  (only the open routes have none, and none of them asks)
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


async def _actor(caller: CallerDep, _token: RouterAuthorization = None) -> Caller:
    """The same, where something is changed at the Router: `admitted` has seen to the token, here it is documented."""
    return caller


ActorDep = Annotated[Caller, Depends(_actor)]
