"""`/v1/changes`: every change of every job a team may see, in order, resumable."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import feeds, queries, wire
from network.ledger import Ledger
from network.router.house import house_of

_BATCH = 200


class Changes:
    """One reader's place in the changes of what its team may see."""

    def __init__(self, ledger: Ledger, *, team: str, after: int) -> None:
        self._ledger = ledger
        self._team = team
        self._after = after

    def read(self) -> list[bytes]:
        """The next lines; [] when the reader has seen them all."""
        newest = self._ledger.db.execute("SELECT coalesce(max(sequence), 0) FROM changes").fetchone()[0]
        sql = """SELECT c.sequence, c.document FROM changes c JOIN viewers v ON v.job_id = c.job_id AND v.team = ?
                 WHERE c.sequence > ? ORDER BY c.sequence LIMIT ?"""
        rows = self._ledger.rows(sql, self._team, self._after, _BATCH)
        self._after = rows[-1]["sequence"] if rows else max(self._after, newest)
        return [self._line(row["sequence"], row["document"]) for row in rows]

    def beat(self) -> bytes:
        """The sign of life: where this reader stands."""
        return wire.line({"epoch": self._ledger.epoch, "sequence": self._after})

    def _line(self, sequence: int, document: bytes) -> bytes:
        head = f'{{"epoch":"{self._ledger.epoch}","sequence":{sequence},"job":'
        return head.encode() + document + b"}\n"


async def changes(request: Request) -> Response:
    """NDJSON without end."""
    house = house_of(request)
    user = house.user(request)
    after = queries.position(request, epoch=house.ledger.epoch)
    reader = Changes(house.ledger, team=user.team, after=after)
    lines = feeds.follow(house.ledger.bell, reader.read, beat=reader.beat, ended=feeds.never)
    return wire.ndjson(feeds.begun(reader.beat(), lines))


ROUTES = [Route("/v1/changes", changes, methods=["GET"])]
