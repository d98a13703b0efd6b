"""`/v1/access-requests`: see them, accept, deny."""

import sqlite3
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import refusals, wire
from network.router import assets, jobs, lifecycle, requests
from network.router.actors import Actor
from network.router.house import House, house_of
from network.router.job_routes import Act
from network.settings import User

_STATES = ("pending", "accepted", "denied", "withdrawn")


class _Decision(Protocol):
    def __call__(self, db: sqlite3.Connection, request: sqlite3.Row, *, by: Actor, reason: str | None) -> None: ...


async def find(request: Request) -> Response:
    """Those the team decides, and those for its own jobs."""
    house = house_of(request)
    user = house.user(request)
    asked = request.query_params
    state = asked.get("state")
    if state is not None and state not in _STATES:
        raise refusals.invalid("state", f"There is no state {state!r}.", allowed=_STATES)
    db = house.ledger.db
    found = requests.matching(
        db,
        team=user.team,
        state=state,
        job_id=asked.get("job_id"),
        asset_id=assets.named_id(db, asked.get("asset_id")),
        asking=asked.get("team"),
    )
    return wire.reply({"items": [requests.document(row) for row in found]})


async def accept(request: Request) -> Response:
    """Allow one job the use of one asset."""
    return await _decide(request, lifecycle.accept)


async def deny(request: Request) -> Response:
    """Refuse it, which ends the job."""
    return await _decide(request, lifecycle.deny)


ROUTES = [
    Route("/v1/access-requests", find, methods=["GET"]),
    Route("/v1/access-requests/{asset_id}/{job_id}/accept", accept, methods=["POST"]),
    Route("/v1/access-requests/{asset_id}/{job_id}/deny", deny, methods=["POST"]),
]


async def _decide(request: Request, decision: _Decision) -> Response:
    house = house_of(request)
    user = house.user(request)
    said = wire.checked(Act, await wire.json_body(request))
    by = Actor.of(user, client_ref=said.client_ref)
    asset_id = wire.path_id(request, "access request", name="asset_id")
    job_id = wire.path_id(request, "access request", name="job_id")
    with house.change() as db:
        asked = _askable(db, asset_id, job_id=job_id, user=user)
        decision(db, asked, by=by, reason=said.reason)
    return wire.reply(_after(house, asset_id, job_id=job_id))


def _askable(db: sqlite3.Connection, asset_id: str, *, job_id: str, user: User) -> sqlite3.Row:
    jobs.visible(db, job_id, team=user.team)
    asked = requests.find(db, asset_id, job_id=job_id)
    if asked["owner_team"] != user.team or user.role != "owner":
        detail = f"An owner in {asked['owner_team']} decides about this asset."
        raise refusals.forbidden(detail, team=asked["owner_team"])
    return asked


def _after(house: House, asset_id: str, *, job_id: str) -> dict[str, object]:
    return requests.document(requests.find(house.ledger.db, asset_id, job_id=job_id))
