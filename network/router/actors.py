"""Who brought a job to its present market status."""

import sqlite3

from network.settings import User


def note(db: sqlite3.Connection, job_id: str, by: User | None) -> None:
    """The job has come to another market status; `by` None: that happened by itself."""
    db.execute("DELETE FROM actors WHERE job_id = ?", (job_id,))
    if by is not None:
        db.execute("INSERT INTO actors (job_id, user, team) VALUES (?, ?, ?)", (job_id, by.user, by.team))


def document(db: sqlite3.Connection, job_id: str) -> dict[str, str] | None:
    """As the API shows it; None when nobody did, or nobody noted who."""
    row = db.execute("SELECT user, team FROM actors WHERE job_id = ?", (job_id,)).fetchone()
    return None if row is None else dict(row)
