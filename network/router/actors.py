"""Who brought a job to its present market status."""

import sqlite3
from dataclasses import dataclass
from typing import Any

from network.settings import User


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """A user in what they do; `client_ref` is their client's own name for it, shown to their team alone."""

    user: str
    team: str
    client_ref: str | None

    @classmethod
    def of(cls, user: User, *, client_ref: str | None) -> "Actor":
        """The user, doing something under that name."""
        return cls(user=user.user, team=user.team, client_ref=client_ref)


def note(db: sqlite3.Connection, job_id: str, by: Actor | None) -> None:
    """The job has come to another market status; `by` None: that happened by itself."""
    db.execute("DELETE FROM actors WHERE job_id = ?", (job_id,))
    if by is not None:
        sql = "INSERT INTO actors (job_id, user, team, client_ref) VALUES (?, ?, ?, ?)"
        db.execute(sql, (job_id, by.user, by.team, by.client_ref))


def document(db: sqlite3.Connection, job_id: str) -> dict[str, Any] | None:
    """As the API shows it to the actor's team; None when nobody did, or nobody noted who."""
    row = db.execute("SELECT user, team, client_ref FROM actors WHERE job_id = ?", (job_id,)).fetchone()
    return None if row is None else dict(row)


def shown_to(team: str, actor: dict[str, Any] | None) -> dict[str, Any] | None:
    """As the team may see it."""
    return actor if actor is None or actor["team"] == team else actor | {"client_ref": None}
