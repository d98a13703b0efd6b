"""`/internal`: the Access Points' side of the Router. Their tokens open it, users' do not."""

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from network import feeds, queries, wire
from network.ledger import Ledger
from network.router import orders, reports
from network.router.house import House, house_of
from network.router.reports import Report

_MAX_REPORT_BYTES = 16 << 20


class Orders:
    """One Access Point's place in its orders."""

    def __init__(self, ledger: Ledger, *, team: str, after: int) -> None:
        self._ledger = ledger
        self._team = team
        self._after = after

    def read(self) -> list[bytes]:
        """The next orders; [] when all were told."""
        found = orders.pending(self._ledger.db, self._team, after=self._after)
        self._after = found[-1][0] if found else self._after
        return [b'{"sequence":%d,"order":%s}\n' % (sequence, document) for sequence, document in found]

    def beat(self) -> bytes:
        """The sign of life, with the epoch the sequence belongs to."""
        return wire.line({"epoch": self._ledger.epoch, "sequence": self._after})


class _Attended(StreamingResponse):
    """An orders feed; while it is open the Access Point is in touch."""

    def __init__(self, house: House, *, team: str, lines: AsyncIterator[bytes]) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._house = house
        self._team = team

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._house.in_touch(self._team)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._house.lost_touch(self._team)


async def take_orders(request: Request) -> Response:
    """The orders past `after`; those up to it are forgotten."""
    house = house_of(request)
    team = house.access_point(request).team
    after = queries.position(request, epoch=house.ledger.epoch)
    with house.ledger.change() as db:
        orders.forget(db, team, up_to=after)
    reader = Orders(house.ledger, team=team, after=after)
    lines = feeds.follow(house.ledger.bell, reader.read, beat=reader.beat, ended=feeds.never)
    return _Attended(house, team=team, lines=feeds.begun(reader.beat(), lines))


async def report(request: Request) -> Response:
    """Take one report; the answer acknowledges it."""
    house = house_of(request)
    team = house.access_point(request).team
    told = wire.checked(Report, await wire.json_body(request, _MAX_REPORT_BYTES))
    with house.change() as db:
        reports.take(db, team, report=told)
    return wire.reply({})


ROUTES = [
    Route("/internal/orders", take_orders, methods=["GET"]),
    Route("/internal/reports", report, methods=["POST"]),
]
