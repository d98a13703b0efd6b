"""`/v1/assets` and `/v1/operations`: what there is to compute on, and what can be computed."""

import sqlite3
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import passes, refusals, wire
from network.protocols.catalogue import OPERATIONS, Operation
from network.router import assets, plans, temporary
from network.router.agreements import status
from network.router.house import House, house_of
from network.settings import User


class AnnounceAsset(BaseModel):
    """The body of `POST /v1/assets`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] | None = None
    kind: Literal["table"]
    temporary: bool = False


async def announce(request: Request) -> Response:
    """An asset whose bytes will follow."""
    house = house_of(request)
    user = house.user(request)
    wanted = wire.checked(AnnounceAsset, await wire.json_body(request))
    if wanted.name is None and not wanted.temporary:
        raise refusals.invalid("name", "An asset that is to stay needs a name.")
    with house.change() as db:
        asset = assets.announce(db, team=user.team, name=wanted.name)
        if wanted.temporary:
            temporary.note(db, asset["id"])
    return wire.reply(_shown(house, assets.known(house.ledger.db, asset["id"]), user), 201)


async def find(request: Request) -> Response:
    """The index, filtered."""
    house = house_of(request)
    user = house.user(request)
    asked = request.query_params
    found = assets.matching(house.ledger.db, name=asked.get("name"), team=asked.get("team"), kind=asked.get("kind"))
    return wire.reply({"items": [_shown(house, asset, user) for asset in found]})


async def read(request: Request) -> Response:
    """One asset."""
    house = house_of(request)
    user = house.user(request)
    asset = assets.find(house.ledger.db, wire.path_id(request, "asset"))
    return wire.reply(_shown(house, asset, user))


async def usage(request: Request) -> Response:
    """Whose permission the team would need to run the algorithm on the datasets."""
    house = house_of(request)
    user = house.user(request)
    algorithm, datasets = request.query_params.get("algorithm"), request.query_params.getlist("dataset")
    if algorithm is None and not datasets:
        raise refusals.invalid("dataset", "Name an algorithm, a dataset, or both.")
    plan = plans.of_assets(house.ledger.db, user.team, algorithm=algorithm, datasets=datasets)
    return wire.reply({"status": status(plans.needed(house.ledger.db, plan))})


async def operations(request: Request) -> Response:
    """Every operation with the schema of its params."""
    house_of(request).user(request)
    return wire.reply({"items": [_described(operation) for operation in OPERATIONS.values()]})


ROUTES = [
    Route("/v1/operations", operations, methods=["GET"]),
    Route("/v1/assets", announce, methods=["POST"]),
    Route("/v1/assets", find, methods=["GET"]),
    Route("/v1/assets/usage", usage, methods=["GET"]),
    Route("/v1/assets/{id}", read, methods=["GET"]),
]


def _shown(house: House, asset: sqlite3.Row, user: User) -> dict[str, Any]:
    document = assets.document(asset, team=user.team)
    if asset["team"] == user.team:
        point = house.points[user.team]
        token = passes.issue(point.pass_key, purpose="content", subject=asset["id"])
        document["content"] = {"url": f"{point.public_url}/v1/assets/{asset['id']}", "token": token}
    return document


def _described(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "description": operation.description,
        "params": operation.params.model_json_schema(),
        "preprocessor": operation.preprocessor and operation.preprocessor.model_json_schema(),
        "datasets": {"min": operation.min_datasets, "max": operation.max_datasets},
        "message_types": list(operation.message_types),
        "available": operation.why_not is None,
        "why_not": operation.why_not,
    }
