"""What this team's owners accepted, as this Access Point recorded it. Nothing of theirs is computed on without."""

import hashlib
import sqlite3
from typing import Any

from network import wire
from network.clock import now


def record(db: sqlite3.Connection, asset_id: str, *, terms: dict[str, Any]) -> None:
    """An owner accepted the use of the asset for exactly these terms."""
    values = (terms["job_id"], asset_id, _digest(terms), now())
    db.execute("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)", values)


def covers(db: sqlite3.Connection, asset_id: str, *, terms: dict[str, Any]) -> bool:
    """Whether an acceptance for these very terms is on record."""
    sql = "SELECT terms_digest FROM grants WHERE job_id = ? AND asset_id = ?"
    row = db.execute(sql, (terms["job_id"], asset_id)).fetchone()
    return row is not None and row["terms_digest"] == _digest(terms)


def _digest(terms: dict[str, Any]) -> str:
    return hashlib.sha256(wire.canonical(terms)).hexdigest()
