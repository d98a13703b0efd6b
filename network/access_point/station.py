"""The Access Point's state in one place: its settings, its ledger, its folders, and what runs now."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from starlette.requests import Request

from network.access_point import outbox
from network.access_point.mail import MailRooms
from network.ledger import Ledger
from network.settings import AccessPointSettings, reachable


class Running(Protocol):
    """A job's process here, as others may treat it."""

    def kill(self) -> None:
        """End its whole process group."""


class Station:
    """What every call and every order needs."""

    def __init__(self, settings: AccessPointSettings, *, folder: Path, ledger: Ledger) -> None:
        self.settings = settings
        self.folder = folder
        self.ledger = ledger
        self.rooms = MailRooms()
        self.running: dict[str, Running] = {}
        self.assets = folder / "assets"
        self.jobs = folder / "jobs"
        for made in (self.assets, self.jobs):
            made.mkdir(exist_ok=True, mode=0o700)

    @property
    def team(self) -> str:
        """Whose Access Point this is."""
        return self.settings.team

    async def acknowledged(self, number: int, *, within_s: float) -> None:
        """Wait until the Router has the report; it will be told later if it is out of reach for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not self.ledger.bell.closed and outbox.is_waiting(self.ledger, number):
                    await self.ledger.bell.heard(within_s=within_s)

    @property
    def own_url(self) -> str:
        """Where the processes of this Access Point reach it."""
        return reachable(self.settings.host, self.settings.port)


def station_of(request: Request) -> Station:
    """The state of the application that got the call."""
    station: Station = request.app.state.station
    return station
