"""An Access Point put together and run."""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import logs, serving, stopping, wire
from network.access_point import assets, content_routes, failures, job_routes
from network.access_point.link import Link
from network.access_point.orders import Orders
from network.access_point.runner import Runner, report_failure
from network.access_point.station import Station, station_of
from network.access_point.tables import TABLES
from network.ledger import Ledger, note_fact
from network.settings import AccessPointSettings

log = logging.getLogger(__name__)


async def ping(request: Request) -> Response:
    """Whose Access Point this is, and which storage answers."""
    station = station_of(request)
    return wire.reply({"team": station.team, "epoch": station.ledger.epoch})


def create_app(station: Station) -> Starlette:
    """Every route of the Access Point over one state."""
    routes = [Route("/ping", ping, methods=["GET"]), *job_routes.ROUTES, *content_routes.ROUTES]
    app = Starlette(routes=routes)
    app.router.redirect_slashes = False
    app.state.station = station
    wire.refuse_politely(app)
    return app


async def run(folder: Path, *, with_stdin: bool) -> None:
    """Serve from the folder until told to stop; jobs that run then are stopped, and reported after the next start."""
    logs.log_to(folder / "access-point.log")
    settings = AccessPointSettings.model_validate_json((folder / "config.json").read_text())
    ledger = Ledger(folder / "access-point.sqlite", TABLES)
    station = Station(settings, folder=folder, ledger=ledger)
    stop, started = stopping.stop_event(with_stdin=with_stdin), asyncio.Event()
    _own_up_to_lost_jobs(station)
    try:
        async with asyncio.TaskGroup() as tasks:
            life = tasks.create_task(_live(station, started))
            await serving.serve(
                create_app(station), settings=settings, stop=stop, listening=started.set, end_streams=ledger.bell.close
            )
            life.cancel()
    finally:
        ledger.close()


async def _live(station: Station, started: asyncio.Event) -> None:
    """Reports out, jobs as ordered; in touch with the Router only once the team's tables are there."""
    settings = station.settings
    link = Link(url=settings.router_url, token=settings.router_token, ledger=station.ledger)
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(link.deliver())
            await _supply(station, link)
            await started.wait()

            def launch(runner: Runner) -> None:
                station.running[runner.job_id] = runner
                tasks.create_task(runner.run())

            await link.follow(Orders(station, launch=launch), in_touch=serving.Announcement(station.own_url).make)
    finally:
        await link.aclose()


async def _supply(station: Station, link: Link) -> None:
    if station.ledger.fact("supplied"):
        return
    command = (sys.executable, "-m", "network.access_point.supply", station.team, str(station.assets))
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE)
    written, _ = await process.communicate()
    if process.returncode:
        log.error("no tables were supplied", extra={"exit": process.returncode})
        return
    with station.ledger.change() as db:
        number = 0
        for asset in msgspec.json.decode(written):
            assets.keep(db, asset)
            number = assets.report(db, asset)
        note_fact(db, "supplied", value="yes")
    await link.delivered(number)


def _own_up_to_lost_jobs(station: Station) -> None:
    with station.ledger.change() as db:
        for row in db.execute("SELECT id FROM jobs WHERE state = 'running'").fetchall():
            report_failure(db, row["id"], failures.restarted(station.team))
        db.execute("UPDATE jobs SET state = 'ended' WHERE state = 'running'")
