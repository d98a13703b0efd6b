"""The Router's state in one place: its ledger, who may speak, and which Access Points are in touch."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.requests import Request

from network import passes, refusals, wire
from network.clock import now
from network.ledger import Ledger
from network.router import queue, temporary
from network.settings import KnownAccessPoint, RouterSettings, User


class House:
    """What every call needs. Every change settles the queue, and the temporary assets, in the same transaction."""

    def __init__(self, settings: RouterSettings, ledger: Ledger) -> None:
        self.settings = settings
        self.ledger = ledger
        self.points = {point.team: point for point in settings.access_points}
        self._users = {user.token_sha256: user for user in settings.users}
        self._points_by_token = {point.token_sha256: point for point in settings.access_points}
        self._feeds: Counter[str] = Counter()
        self._away = dict.fromkeys(self.points, now())

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """A transaction that ends with everybody started who can be, and told who cannot."""
        with self.ledger.change() as db:
            yield db
            temporary.settle(db)
            queue.settle(db, self.settings, away=self._away)

    def user(self, request: Request) -> User:
        """Who calls; a refusal for an unknown token."""
        user = self._users.get(passes.fingerprint(wire.bearer(request)))
        if user is None:
            raise refusals.unauthorized()
        return user

    def access_point(self, request: Request) -> KnownAccessPoint:
        """Which Access Point calls; its tokens are not those of users."""
        point = self._points_by_token.get(passes.fingerprint(wire.bearer(request)))
        if point is None:
            raise refusals.unauthorized()
        return point

    def in_touch(self, team: str) -> None:
        """The Access Point took up its orders feed."""
        self._feeds[team] += 1
        self._away.pop(team, None)
        with self.change():
            pass

    def lost_touch(self, team: str) -> None:
        """The Access Point's orders feed ended."""
        self._feeds[team] -= 1
        if self._feeds[team] or self.ledger.bell.closed:
            return
        self._away[team] = now()
        with self.change():
            pass


def house_of(request: Request) -> House:
    """The state of the application that got the call."""
    house: House = request.app.state.house
    return house
