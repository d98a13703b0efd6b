"""Removes jobs that have been over for long: a few at a time, and then what they left in the log, so that nobody waits."""

import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise

from app.domain.events import Kind
from app.domain.retention import Removable
from app.store import texts
from app.store.database import Database
from app.store.heads import miss_through
from app.store.numbers import KINDS, from_us, to_us
from app.store.rollups import Tally, kinds, phase_in

_JOBS_AT_ONCE = 20
_EVENTS_AT_ONCE = 1_000

_OVER = "FROM job INDEXED BY job_over WHERE over_us < ?"
_NEXT = f"SELECT key, job_id, operation, owner, phase, created_us {_OVER} ORDER BY over_us LIMIT {_JOBS_AT_ONCE}"
_REMOVABLE = f"SELECT count(*), min(over_us), max(over_us) {_OVER}"
_REMOVABLE_EVENTS = f"SELECT count(*) FROM event WHERE job_key IN (SELECT key {_OVER})"
_LAST_TOLD = "SELECT max(id) FROM event INDEXED BY event_of_job WHERE job_key = ? AND late = 0"
_PHASES = (
    "SELECT data, when_us FROM event INDEXED BY event_phase "
    f"WHERE job_key = ? AND kind = {KINDS[Kind.PHASE]} AND late = 0 ORDER BY id"
)
_OF_A_JOB = (
    "DELETE FROM job_label WHERE job_key = :key",
    "DELETE FROM job_state WHERE key = :key",
    "DELETE FROM action WHERE job_id = :job_id",
    "DELETE FROM job WHERE key = :key",
    "INSERT INTO pruned (job_id, pruned_us, job_key) VALUES (:job_id, :now_us, :key)",
)
_LEFT = "SELECT job_key FROM pruned WHERE job_key IS NOT NULL LIMIT 1"
_SOME_EVENTS = f"DELETE FROM event WHERE id IN (SELECT id FROM event WHERE job_key = ? LIMIT {_EVENTS_AT_ONCE})"


class SqlRetention:
    """Fulfils the port Retention on one database, beside whoever else writes there."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def removable(self, before: datetime) -> Removable:
        """What has been over since before this moment."""
        return await self._database.read(lambda connection: _removable(connection, to_us(before)))

    async def remove_some(self, before: datetime) -> int | None:
        """Remove a little of it; how many jobs. None: nothing is left of any. Raises StoreAway."""
        return await self._database.change(
            lambda connection: _remove_some(connection, to_us(before), now_us=to_us(self._now()))
        )


def _removable(connection: sqlite3.Connection, before_us: int) -> Removable:
    ((jobs, oldest, newest),) = connection.execute(_REMOVABLE, (before_us,)).fetchall()
    ((events,),) = connection.execute(_REMOVABLE_EVENTS, (before_us,)).fetchall()
    return Removable(
        jobs=jobs,
        events=events,
        oldest=None if oldest is None else from_us(oldest),
        newest=None if newest is None else from_us(newest),
    )


def _remove_some(connection: sqlite3.Connection, before_us: int, *, now_us: int) -> int | None:
    """What the last jobs left goes before the next ones do."""
    left = connection.execute(_LEFT).fetchall()
    if left:
        _remove_events(connection, left[0][0])
        return 0
    jobs = connection.execute(_NEXT, (before_us,)).fetchall()
    if not jobs:
        return None
    tally = Tally()
    for job in jobs:
        _remove_job(connection, *job, tally=tally, now_us=now_us)
    tally.write(connection)
    return len(jobs)


def _remove_events(connection: sqlite3.Connection, key: int) -> None:
    if connection.execute(_SOME_EVENTS, (key,)).rowcount < _EVENTS_AT_ONCE:
        connection.execute("UPDATE pruned SET job_key = NULL WHERE job_key = ?", (key,))


def _remove_job(  # noqa: PLR0917  (a row)
    connection: sqlite3.Connection,
    key: int,
    job_id: str,
    operation: str,
    owner: str,
    phase: int,
    created_us: int,
    *,
    tally: Tally,
    now_us: int,
) -> None:
    tally.count(kinds(operation, owner, created_us), phase, -1)
    for was, us in stays_of(connection.execute(_PHASES, (key,)).fetchall()):
        tally.stay(was, us, -1)
    ((last,),) = connection.execute(_LAST_TOLD, (key,)).fetchall()
    if last is not None:
        miss_through(connection, last)
    texts.remove(connection, key)
    for statement in _OF_A_JOB:
        connection.execute(statement, {"key": key, "job_id": job_id, "now_us": now_us})


def stays_of(told: Sequence[tuple[str, int]]) -> list[tuple[int, int]]:
    """The stays of a job that have ended, each with its phase and microseconds, from its phase events: data and when."""
    moves = [(phase_in(data), when_us) for data, when_us in told]
    entered = [
        move for before, move in zip([None, *moves], moves, strict=False) if before is None or before[0] != move[0]
    ]
    return [(phase, until - since) for (phase, since), (_, until) in pairwise(entered)]
