"""The kill or cancel of a job, and what each Access Point that takes part has answered.

An answer goes from `unknown`, with or without `acknowledged`, to `done`, and never back.
"""

import sqlite3
from typing import Any, Literal

from network.clock import now

Wanted = Literal["kill", "cancel"]
Answer = Literal["acknowledged", "done"]


def begin(db: sqlite3.Connection, job_id: str, *, wanted: Wanted) -> None:
    """It takes effect now. Who has not begun to calculate is not asked; who is done already has answered."""
    since = now()
    db.execute("INSERT INTO stops (job_id, wanted, since) VALUES (?, ?, ?)", (job_id, wanted, since))
    sql = """INSERT INTO stop_answers (job_id, team, answer, heard)
             SELECT job_id, team, CASE WHEN state IN ('ordered', 'running') THEN 'unknown' ELSE 'done' END, ?
             FROM parties WHERE job_id = ? AND state != 'waiting'"""
    db.execute(sql, (since, job_id))


def heard(db: sqlite3.Connection, job_id: str, *, team: str, answer: Answer) -> bool:
    """Note the answer of the team's Access Point; False when nobody asked, or it says nothing new."""
    sql = """UPDATE stop_answers SET answer = ?1, heard = ?2
             WHERE job_id = ?3 AND team = ?4 AND answer NOT IN ('done', ?1)"""
    return db.execute(sql, (answer, now(), job_id, team)).rowcount == 1


def refused(db: sqlite3.Connection, job_id: str) -> list[dict[str, str]]:
    """The answers to a cancel that comes too late: everybody who takes part calculates already."""
    sql = "SELECT team, 'refused' AS answer, ? AS \"when\" FROM parties WHERE job_id = ? ORDER BY team"
    return [dict(row) for row in db.execute(sql, (now(), job_id))]


def document(db: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
    """As the API shows it; None when no kill or cancel took effect."""
    row = db.execute("SELECT wanted, since FROM stops WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        return None
    sql = 'SELECT team, answer, heard AS "when" FROM stop_answers WHERE job_id = ? ORDER BY team'
    return {**dict(row), "answers": [dict(answer) for answer in db.execute(sql, (job_id,))]}
