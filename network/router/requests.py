"""Access requests: who asks to use what, and what its owner said."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import msgspec

from network import refusals
from network.clock import now
from network.refusals import Refusal
from network.router.agreements import Approval

_SELECT = """SELECT r.*, (SELECT alias FROM asset_names WHERE id = r.asset_id) AS asset, j.team, j.user, j.job_name,
                    j.operation, j.params, j.preprocessor, j.market_status
             FROM requests r JOIN jobs j ON j.id = r.job_id"""


def ask(db: sqlite3.Connection, job_id: str, *, needed: Sequence[Approval]) -> None:
    """One request for each use, to the team that owns the asset; what an agreement allows is accepted at once."""
    sql = """INSERT INTO requests (asset_id, job_id, owner_team, since, state, decided_by, decided_at)
             VALUES (?, ?, ?, ?, ?, ?, ?)"""
    since = now()
    for approval in needed:
        use, agreement_id = approval.use, approval.agreement_id
        answer = ("pending", None, None) if agreement_id is None else ("accepted", f"agreement {agreement_id}", since)
        db.execute(sql, (use.asset_id, job_id, use.team, since, *answer))


def find(db: sqlite3.Connection, asset_id: str, *, job_id: str) -> sqlite3.Row:
    """The request for this use; a refusal when nobody asked."""
    row: sqlite3.Row | None = db.execute(
        f"{_SELECT} WHERE r.asset_id = ? AND r.job_id = ?", (asset_id, job_id)
    ).fetchone()
    if row is None:
        raise refusals.not_found("access request")
    return row


def matching(
    db: sqlite3.Connection,
    *,
    team: str,
    state: str | None,
    job_id: str | None,
    asset_id: str | None,
    asking: str | None,
) -> list[sqlite3.Row]:
    """Those the team decides and those for its own jobs, oldest first; `asking` is the team whose job it is."""
    sql = f"""{_SELECT} WHERE (r.owner_team = ?1 OR j.team = ?1) AND (?2 IS NULL OR r.state = ?2)
              AND (?3 IS NULL OR r.job_id = ?3) AND (?4 IS NULL OR r.asset_id = ?4) AND (?5 IS NULL OR j.team = ?5)
              ORDER BY r.number"""
    return db.execute(sql, (team, state, job_id, asset_id, asking)).fetchall()


def decide(db: sqlite3.Connection, request: sqlite3.Row, *, state: str, by: str, reason: str | None) -> bool:
    """Record the owner's answer; False when the same answer stands already."""
    if request["state"] == state:
        return False
    if request["state"] == "withdrawn":
        detail = "The job ended before an answer."
        raise Refusal(409, "job-finished", detail, market_status=request["market_status"])
    if request["state"] != "pending":
        detail = f"This request is {request['state']} already; a decision stands."
        raise Refusal(409, "already-decided", detail, market_status=request["market_status"])
    sql = "UPDATE requests SET state = ?, decided_by = ?, decided_at = ?, reason = ? WHERE number = ?"
    db.execute(sql, (state, by, now(), reason, request["number"]))
    return True


def withdraw(db: sqlite3.Connection, job_id: str) -> None:
    """The job ended: nobody needs to answer any more."""
    db.execute("UPDATE requests SET state = 'withdrawn' WHERE job_id = ? AND state = 'pending'", (job_id,))


def pending(db: sqlite3.Connection, job_id: str) -> int:
    """How many permissions the job still misses."""
    sql = "SELECT count(*) FROM requests WHERE job_id = ? AND state = 'pending'"
    return int(db.execute(sql, (job_id,)).fetchone()[0])


def document(row: sqlite3.Row) -> dict[str, Any]:
    """The request as the API shows it."""
    first = ("job_id", "asset_id", "asset", "owner_team", "team", "user", "job_name", "operation")
    last = ("since", "state", "decided_by", "decided_at", "reason")
    return {
        **{name: row[name] for name in first},
        **{name: msgspec.json.decode(row[name]) for name in ("params", "preprocessor")},
        **{name: row[name] for name in last},
    }
