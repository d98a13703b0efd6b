"""`/v1/changes`: every change of every job a team may see, in order, resumable."""

import sqlite3

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from network import feeds, queries, wire
from network.ledger import Ledger
from network.router import jobs
from network.router.house import house_of

_BATCH = 200


class _Acted(msgspec.Struct):
    actor: dict[str, str | None] | None = None


class Changes:
    """One reader's place in the changes of what its team may see."""

    def __init__(self, ledger: Ledger, *, team: str, after: int) -> None:
        self._ledger = ledger
        self._team = team
        self._after = after

    def read(self) -> list[bytes]:
        """The next lines; [] when the reader has seen them all."""
        newest = self._ledger.db.execute("SELECT coalesce(max(sequence), 0) FROM changes").fetchone()[0]
        sql = """SELECT c.sequence, c.document, j.team FROM changes c JOIN jobs j ON j.id = c.job_id
                 JOIN viewers v ON v.job_id = c.job_id AND v.team = ?
                 WHERE c.sequence > ? ORDER BY c.sequence LIMIT ?"""
        rows = self._ledger.rows(sql, self._team, self._after, _BATCH)
        self._after = rows[-1]["sequence"] if rows else max(self._after, newest)
        return [self._line(row) for row in rows]

    def opening(self) -> bytes:
        """Where this reader starts, and the newest change there is for it: who has read up to that has caught up."""
        sql = """SELECT sequence FROM changes c WHERE sequence > ?
                 AND EXISTS (SELECT 1 FROM viewers v WHERE v.team = ? AND v.job_id = c.job_id)
                 ORDER BY sequence DESC LIMIT 1"""
        newest = self._ledger.row(sql, self._after, self._team)
        head = self._after if newest is None else newest["sequence"]
        return wire.line({"epoch": self._ledger.epoch, "sequence": self._after, "head": head})

    def beat(self) -> bytes:
        """The sign of life: where this reader stands."""
        return wire.line({"epoch": self._ledger.epoch, "sequence": self._after})

    def _line(self, row: sqlite3.Row) -> bytes:
        head = f'{{"epoch":"{self._ledger.epoch}","sequence":{row["sequence"]},"job":'
        return head.encode() + self._shown(row) + b"}\n"

    def _shown(self, row: sqlite3.Row) -> bytes:
        # Stored once for all viewers, as the job's own team sees it if the actor is theirs.
        document: bytes = row["document"]
        actor = msgspec.json.decode(document, type=_Acted).actor
        if row["team"] == self._team and (actor is None or actor["team"] == self._team):
            return document
        return msgspec.json.encode(jobs.shown_to(self._team, msgspec.json.decode(document)))


async def changes(request: Request) -> Response:
    """NDJSON without end."""
    house = house_of(request)
    user = house.user(request)
    after = queries.position(request, epoch=house.ledger.epoch)
    reader = Changes(house.ledger, team=user.team, after=after)
    lines = feeds.follow(house.ledger.bell, reader.read, beat=reader.beat, ended=feeds.never)
    return wire.ndjson(feeds.begun(reader.opening(), lines))


ROUTES = [Route("/v1/changes", changes, methods=["GET"])]
