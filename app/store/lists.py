"""Pages of jobs and of their latest JobStatus: narrow rows find them, ready lines of JSON show them."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any
from uuid import UUID

import msgspec

from app.domain.events import Kind
from app.domain.jobs import Job
from app.domain.ports import JobFilter, Page
from app.domain.shown import SHAPE, shown
from app.store.cursors import cursor_after, place_of
from app.store.heads import newest
from app.store.numbers import KINDS
from app.store.places import parts, together, values
from app.store.rows import digest, kept_job
from app.store.searching import is_to_be_looked_for, search

_FROM_THE_NEWEST = 2**63 - 1
# Only of lines that are shown anew the rest of the job is needed.
_SHOWN = f"shown, CASE shape WHEN {SHAPE} THEN NULL ELSE unseen END, shape, digest"
_WHOLE = "shown, unseen, shape"
_LATEST_STATUS = (
    "SELECT data FROM event INDEXED BY event_status "
    f"WHERE job_key = job.key AND kind = {KINDS[Kind.STATUS]} AND late = 0 ORDER BY id DESC LIMIT 1"
)


def page_of_jobs(
    connection: sqlite3.Connection,
    wanted: JobFilter,
    *,
    limit: int,
    cursor: str | None,
    is_over: Callable[[], bool],
) -> Page:
    """Jobs as they are shown. Raises Invalid for another query's cursor, and what looking for words and patterns does."""
    below = _below(cursor, wanted=wanted, of="jobs")
    with _at_one_moment(connection):
        as_of = newest(connection)
        rows, until = _rows(connection, wanted, _SHOWN, below=below, limit=limit + 1, is_over=is_over)
    lines = [_line(row) for row in rows[:limit]]
    after = rows[limit - 1][0] if len(rows) > limit else until
    more = None if after is None else cursor_after(after, wanted=wanted, of="jobs")
    return Page(
        items=tuple(line for line, _ in lines),
        next=more,
        as_of=as_of,
        digest=_digest([one for _, one in lines], more),
        partial=len(rows) <= limit and until is not None,
    )


def jobs_found(
    connection: sqlite3.Connection, wanted: JobFilter, *, limit: int, is_over: Callable[[], bool]
) -> tuple[Sequence[Job], bool]:
    """Jobs, newest first, and whether all were looked at that had to be."""
    with _at_one_moment(connection):
        rows, until = _rows(connection, wanted, _WHOLE, below=_FROM_THE_NEWEST, limit=limit, is_over=is_over)
    return [kept_job(*row[1:]) for row in rows], len(rows) == limit or until is None


def page_of_statuses(connection: sqlite3.Connection, job_id: UUID | None, *, limit: int, cursor: str | None) -> Page:
    """The latest JobStatus of each job that has one. Raises Invalid for another query's cursor."""
    wanted = JobFilter(id=job_id)
    below = _below(cursor, wanted=wanted, of="statuses")
    (part,) = parts(wanted)
    where = " AND ".join((*part.where, "job.key < :below"))
    sql = (
        f"SELECT job.key, ({_LATEST_STATUS}) AS data FROM job WHERE {where} AND data IS NOT NULL "
        "ORDER BY job.key DESC LIMIT :limit"
    )
    with _at_one_moment(connection):
        as_of = newest(connection)
        rows = connection.execute(sql, {**values(wanted), "below": below, "limit": limit + 1}).fetchall()
    more = cursor_after(rows[limit - 1][0], wanted=wanted, of="statuses") if len(rows) > limit else None
    items = tuple(data.encode() for _, data in rows[:limit])
    return Page(items=items, next=more, as_of=as_of, digest=_digest([digest(one) for one in items], more))


def _below(cursor: str | None, *, wanted: JobFilter, of: str) -> int:
    return _FROM_THE_NEWEST if cursor is None else place_of(cursor, wanted=wanted, of=of).key


def _rows(
    connection: sqlite3.Connection,
    wanted: JobFilter,
    columns: str,
    *,
    below: int,
    limit: int,
    is_over: Callable[[], bool],
) -> tuple[list[Any], int | None]:
    """The key and these columns of the states of jobs that fit; the last row that was looked at, where others may follow."""
    if not is_to_be_looked_for(wanted):
        selects = [part.fitting() for part in parts(wanted)]
        if not selects:
            return [], None
        given: Any = {**values(wanted), "below": below, "limit": limit}
        keys, until = together(selects), None
    else:
        found = search(connection, wanted, below=below, limit=limit, is_over=is_over)
        given, keys, until = found.keys, ", ".join("?" * len(found.keys)), found.until
    rows = connection.execute(f"SELECT key, {columns} FROM job_state WHERE key IN ({keys})", given).fetchall()
    # Here, since the database would carry the lines themselves along.
    rows.sort(key=itemgetter(0), reverse=True)
    return rows, until


def _line(row: Sequence[Any]) -> tuple[bytes, int]:
    """As it is shown, and the digest of that."""
    _, line, unseen, shape, number = row
    if shape == SHAPE:
        return line.encode(), number
    anew = shown(kept_job(line, unseen, shape))
    return anew, digest(anew)


def _digest(digests: Sequence[int], more: str | None) -> int:
    return digest(msgspec.json.encode([digests, more]))


@contextmanager
def _at_one_moment(connection: sqlite3.Connection) -> Iterator[None]:
    """What is read inside is of one state of the database."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
