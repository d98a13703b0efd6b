"""Jobs as the Router keeps them: reading, the document, and the one way a job changes its market status."""

import sqlite3
from collections.abc import Collection
from typing import Any

import msgspec

from network import refusals
from network.clock import now
from network.router import actors, stops
from network.router.actors import Actor
from network.router.stops import Wanted

FINAL = frozenset({"complete", "error", "cancelled", "killed", "denied"})
WAITING = frozenset({"created", "perm", "queue"})
CALCULATING = frozenset({"starting", "running", "stopping"})


def find(db: sqlite3.Connection, job_id: str) -> sqlite3.Row:
    """The job's row; a refusal when there is none."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM jobs WHERE id = ?", (job_id,)).fetchone()
    if row is None:
        raise refusals.not_found("job")
    return row


def visible(db: sqlite3.Connection, job_id: str, *, team: str) -> sqlite3.Row:
    """The job's row for a team that created it or owns something it uses."""
    seen = db.execute("SELECT 1 FROM viewers WHERE team = ? AND job_id = ?", (team, job_id)).fetchone()
    if seen is None:
        raise refusals.not_found("job")
    return find(db, job_id)


def move(
    db: sqlite3.Connection,
    job_id: str,
    *,
    before: Collection[str],
    after: str,
    by: Actor | None = None,
    wanted: Wanted | None = None,
    **columns: object,
) -> bool:
    """Compare and set: only a job that stands in `before` moves. The change is noted in the same transaction.

    `by` is who brought it there, None: it came by itself; `wanted` is what they asked for, if that was its end.
    """
    assignments = ", ".join(f"{name} = ?" for name in ("market_status", *columns))
    marks = ", ".join("?" * len(before))
    values = (after, *columns.values(), job_id, *before)
    # Column names come from our own keyword arguments.
    sql = f"UPDATE jobs SET {assignments} WHERE id = ? AND market_status IN ({marks})"  # noqa: S608
    if db.execute(sql, values).rowcount != 1:
        return False
    # Killed at last is a job by whoever asked for it when it ran.
    if by is not None or after != "killed":
        actors.note(db, job_id, by)
    if wanted is not None:
        stops.begin(db, job_id, wanted=wanted)
    note(db, job_id)
    return True


def note(db: sqlite3.Connection, job_id: str) -> None:
    """Append the job as it is now to the changes."""
    sql = "INSERT INTO changes (job_id, changed, document) VALUES (?, ?, '')"
    sequence = db.execute(sql, (job_id, now())).lastrowid
    snapshot = msgspec.json.encode(document(db, find(db, job_id)))
    db.execute("UPDATE changes SET document = ? WHERE sequence = ?", (snapshot, sequence))


def document(db: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """The job as its own team sees it but for `stream`; `shown_to` makes it fit for any reader."""
    plain = ("id", "client_ref", "job_name", "operation")
    stored = ("dataset", "preprocessor", "params", "labels")
    times = ("created", "submitted", "started", "finished")
    return {
        **_place(db, row["id"]),
        **{name: row[name] for name in plain},
        **{name: msgspec.json.decode(row[name]) for name in stored},
        "stream_to": readers(db, row["id"]),
        "owner": {"user": row["user"], "team": row["team"]},
        "market_status": row["market_status"],
        "actor": actors.document(db, row["id"]),
        **{name: row[name] for name in times},
        "waiting_on": _missing(db, row),
        "queue": msgspec.json.decode(row["queue"]) if row["market_status"] == "queue" else [],
        "reason": row["reason"],
        "stop": stops.document(db, row["id"]),
        **{name: row[name] for name in ("error", "error_code")},
        "result": msgspec.json.decode(row["result"]) if row["market_status"] == "complete" else None,
        "stream": None,
    }


def shown_to(team: str, document: dict[str, Any]) -> dict[str, Any]:
    """The document as the team may see it: the result, and what the caller called the job, are its own team's."""
    shown = document | {"actor": actors.shown_to(team, document.get("actor"))}
    return shown if document["owner"]["team"] == team else shown | {"client_ref": None, "result": None}


def readers(db: sqlite3.Connection, job_id: str) -> list[str]:
    """The other teams that may read the job's stream, as its own team named them."""
    sql = "SELECT team FROM stream_readers WHERE job_id = ? ORDER BY rowid"
    return [row["team"] for row in db.execute(sql, (job_id,))]


def _place(db: sqlite3.Connection, job_id: str) -> dict[str, object]:
    """Which change this document is and when it was made, so that of two the newer can be told."""
    sql = """SELECT value AS epoch, sequence, changed FROM changes JOIN facts ON name = 'epoch'
             WHERE job_id = ? ORDER BY sequence DESC LIMIT 1"""
    return dict(db.execute(sql, (job_id,)).fetchone())


def _missing(db: sqlite3.Connection, row: sqlite3.Row) -> list[dict[str, Any]]:
    if row["market_status"] != "perm":
        return []
    sql = """SELECT r.asset_id, a.team || '/' || a.name AS asset, r.owner_team AS team, r.since
             FROM requests r JOIN assets a ON a.id = r.asset_id
             WHERE r.job_id = ? AND r.state = 'pending' ORDER BY r.number"""
    return [dict(missing) for missing in db.execute(sql, (row["id"],))]
