"""The Router put together and run."""

import asyncio
import logging
import sqlite3
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import logs, serving, stopping, wire
from network.ledger import Ledger
from network.router import agreement_routes, asset_routes, changes, internal_routes, job_routes, request_routes
from network.router.house import House, house_of
from network.router.tables import TABLES
from network.settings import RouterSettings, reachable

_TIDY_EVERY_S = 60.0
log = logging.getLogger(__name__)


async def ping(request: Request) -> Response:
    """The Router lives, and which storage answers; for anybody who asks."""
    return wire.reply({"epoch": house_of(request).ledger.epoch})


async def me(request: Request) -> Response:
    """Who the token belongs to, and which storage answers."""
    house = house_of(request)
    user = house.user(request)
    return wire.reply({"user": user.user, "team": user.team, "role": user.role, "epoch": house.ledger.epoch})


def create_app(house: House) -> Starlette:
    """Every route of the Router over one state."""
    rooms = (job_routes, asset_routes, request_routes, agreement_routes, changes, internal_routes)
    own = (Route("/ping", ping, methods=["GET"]), Route("/v1/me", me, methods=["GET"]))
    app = Starlette(routes=[*own, *(route for room in rooms for route in room.ROUTES)])
    # A path names one thing: a slash too many names nothing, and is not redirected.
    app.router.redirect_slashes = False
    app.state.house = house
    wire.refuse_politely(app)
    return app


async def run(folder: Path, *, with_stdin: bool) -> None:
    """Serve from the folder until told to stop."""
    logs.log_to(folder / "router.log")
    settings = RouterSettings.model_validate_json((folder / "config.json").read_text())
    ledger = Ledger(folder / "router.sqlite", TABLES)
    house = House(settings, ledger)
    ready = serving.Announcement(reachable(settings.host, settings.port))
    stop = stopping.stop_event(with_stdin=with_stdin)
    try:
        async with asyncio.TaskGroup() as tasks:
            tidying = tasks.create_task(_keep_tidy(house))
            await serving.serve(
                create_app(house), settings=settings, stop=stop, listening=ready.make, end_streams=ledger.bell.close
            )
            tidying.cancel()
    finally:
        ledger.close()


async def _keep_tidy(house: House) -> None:
    # Every change tidies up; this is for a Router at which nothing changes.
    while True:
        await asyncio.sleep(_TIDY_EVERY_S)
        try:
            with house.change():
                pass
        except sqlite3.Error as exc:
            log.warning("could not tidy up", extra={"why": type(exc).__name__})
