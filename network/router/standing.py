"""The standing agreements on record: made, ended, and the runs each has allowed."""

import sqlite3
from typing import Any
from uuid import uuid4

from network import refusals
from network.clock import now
from network.router import orders
from network.router.agreements import Agreement
from network.settings import User

STATES = ("active", "expired", "used_up", "ended")
_TERMS = ("asset_id", "expiration", "run_limit", "algorithm", "algorithm_security", "protocol")
_SELECT = """SELECT g.*, (SELECT alias FROM asset_names WHERE id = g.asset_id) AS asset,
                    CASE WHEN g.ended IS NOT NULL THEN 'ended' WHEN g.expiration <= ?1 THEN 'expired'
                         WHEN g.runs >= g.run_limit THEN 'used_up' ELSE 'active' END AS state
             FROM agreements g"""


def make(db: sqlite3.Connection, by: User, *, to_team: str, terms: dict[str, Any]) -> str:
    """Keep a new agreement and send its terms to its owner's Access Point; answers its id."""
    agreement_id = str(uuid4())
    columns = {
        "id": agreement_id,
        "team": by.team,
        "to_team": to_team,
        **{name: terms[name] for name in _TERMS},
        "created": now(),
        "created_by": by.user,
    }
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    db.execute(f"INSERT INTO agreements ({names}) VALUES ({marks})", tuple(columns.values()))  # noqa: S608  # our names
    told = {"id": agreement_id, "to_team": to_team, **{name: terms[name] for name in _TERMS}}
    orders.give(db, by.team, kind="agreement", agreement=told)
    return agreement_id


def end(db: sqlite3.Connection, agreement: sqlite3.Row, *, by: User) -> None:
    """It allows nothing more; what it has allowed stays allowed. A second end changes nothing."""
    sql = "UPDATE agreements SET ended = ?, ended_by = ? WHERE id = ? AND ended IS NULL"
    if db.execute(sql, (now(), by.user, agreement["id"])).rowcount == 1:
        orders.give(db, agreement["team"], kind="agreement-end", agreement_id=agreement["id"])


def find(db: sqlite3.Connection, agreement_id: str, *, team: str) -> sqlite3.Row:
    """The agreement, for its owner and its receiver; a refusal for others."""
    sql = f"{_SELECT} WHERE g.id = ?2 AND ?3 IN (g.team, g.to_team)"
    row: sqlite3.Row | None = db.execute(sql, (now(), agreement_id, team)).fetchone()
    if row is None:
        raise refusals.not_found("agreement")
    return row


def matching(
    db: sqlite3.Connection, *, team: str, state: str | None, asset_id: str | None, to_team: str | None
) -> list[sqlite3.Row]:
    """Those the team made or received, newest first."""
    sql = f"""SELECT * FROM ({_SELECT}) WHERE ?2 IN (team, to_team) AND (?3 IS NULL OR state = ?3)
              AND (?4 IS NULL OR asset_id = ?4) AND (?5 IS NULL OR to_team = ?5) ORDER BY number DESC"""  # noqa: S608  # our words
    return db.execute(sql, (now(), team, state, asset_id, to_team)).fetchall()


def in_force(db: sqlite3.Connection, *, to_team: str) -> list[Agreement]:
    """What the team may rely on now, oldest first."""
    those = f"{_SELECT} WHERE g.to_team = ?2 AND g.ended IS NULL"
    sql = f"SELECT * FROM ({those}) WHERE state = 'active' ORDER BY number"  # noqa: S608  # our words
    fields = Agreement.__dataclass_fields__
    return [Agreement(**{name: row[name] for name in fields}) for row in db.execute(sql, (now(), to_team))]


def count_run(db: sqlite3.Connection, agreement_id: str, *, job_id: str) -> bool:
    """Count the job against the limit, once; False, and nothing counted, when no run is left."""
    run = (agreement_id, job_id)
    if db.execute("SELECT 1 FROM agreement_runs WHERE agreement_id = ? AND job_id = ?", run).fetchone() is not None:
        return True
    sql = "UPDATE agreements SET runs = runs + 1 WHERE id = ? AND (run_limit IS NULL OR runs < run_limit)"
    if db.execute(sql, (agreement_id,)).rowcount != 1:
        return False
    db.execute("INSERT INTO agreement_runs VALUES (?, ?)", run)
    return True


def document(row: sqlite3.Row) -> dict[str, Any]:
    """The agreement as the API shows it."""
    first = ("id", "team", "to_team", "asset_id", "asset")
    last = ("expiration", "run_limit", "runs", "algorithm", "algorithm_security", "protocol")
    course = ("created", "created_by", "ended", "ended_by", "state")
    return {
        **{name: row[name] for name in first},
        "asset_restricted": row["asset_id"] is not None,
        **{name: row[name] for name in (*last, *course)},
    }
