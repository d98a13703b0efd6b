"""What the jobs that this team started came to. It stays here: the Router learns which asset was made, no more."""

import sqlite3
from typing import Any


def keep(db: sqlite3.Connection, job_id: str, *, raw_status: str, asset_id: str | None) -> None:
    """Note the result with the report that tells of it."""
    db.execute("INSERT OR REPLACE INTO results VALUES (?, ?, ?)", (job_id, raw_status, asset_id))


def of(db: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
    """The result as the stream's final status tells it; None when it is not on record here."""
    row = db.execute("SELECT raw_status, asset_id FROM results WHERE job_id = ?", (job_id,)).fetchone()
    return None if row is None else dict(row)


def drop(db: sqlite3.Connection, job_id: str) -> None:
    """Forget what a job came to that did not complete."""
    db.execute("DELETE FROM results WHERE job_id = ?", (job_id,))
