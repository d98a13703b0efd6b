"""`/v1/agreements`: standing policies that answer access requests before anybody has to."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import refusals, wire
from network.router import agreement_terms, assets, standing
from network.router.agreement_terms import NewAgreement
from network.router.house import House, house_of
from network.settings import User
from network.users import OWNER


async def find(request: Request) -> Response:
    """Those the team made and those made with it."""
    house = house_of(request)
    user = house.user(request)
    asked = request.query_params
    state = asked.get("state")
    if state is not None and state not in standing.STATES:
        raise refusals.invalid("state", f"There is no state {state!r}.", allowed=standing.STATES)
    db = house.ledger.db
    asset_id = assets.named_id(db, asked.get("asset_id"))
    found = standing.matching(db, team=user.team, state=state, asset_id=asset_id, to_team=asked.get("to_team"))
    return wire.reply({"items": [standing.document(row) for row in found]})


async def make(request: Request) -> Response:
    """A new agreement, in force at once."""
    house = house_of(request)
    user = house.user(request)
    wanted = wire.checked(NewAgreement, await wire.json_body(request))
    _refuse_members(user)
    with house.change() as db:
        terms = agreement_terms.checked(db, wanted, team=user.team, teams=list(house.points))
        agreement_id = standing.make(db, user, to_team=wanted.to_team, terms=terms)
    return _shown(house, agreement_id, user, 201)


async def end(request: Request) -> Response:
    """It allows nothing more."""
    house = house_of(request)
    user = house.user(request)
    agreement_id = wire.path_id(request, "agreement")
    with house.change() as db:
        agreement = standing.find(db, agreement_id, team=user.team)
        if agreement["team"] != user.team:
            raise refusals.forbidden(f"This agreement is {agreement['team']}'s to end.", team=agreement["team"])
        _refuse_members(user)
        standing.end(db, agreement, by=user)
    return _shown(house, agreement_id, user, 200)


ROUTES = [
    Route("/v1/agreements", find, methods=["GET"]),
    Route("/v1/agreements", make, methods=["POST"]),
    Route("/v1/agreements/{id}", end, methods=["DELETE"]),
]


def _refuse_members(user: User) -> None:
    if user.role != OWNER:
        raise refusals.forbidden(f"An owner in {user.team} decides about its agreements.", team=user.team)


def _shown(house: House, agreement_id: str, user: User, status: int) -> Response:
    return wire.reply(standing.document(standing.find(house.ledger.db, agreement_id, team=user.team)), status)
