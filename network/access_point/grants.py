"""What this team's owners accepted, themselves or by agreement, as this Access Point recorded it.

Nothing of theirs is computed on without.
"""

import hashlib
import sqlite3
from typing import Any

from network import wire
from network.access_point import agreements
from network.clock import now


def record(db: sqlite3.Connection, asset_id: str, *, terms: dict[str, Any]) -> None:
    """An owner accepted the use of the asset for exactly these terms."""
    values = (terms["job_id"], asset_id, _digest(terms), now())
    db.execute("INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)", values)


def record_by_agreement(db: sqlite3.Connection, asset_id: str, *, terms: dict[str, Any], agreement_id: str) -> None:
    """The same by a standing agreement, if this record of it agrees; else why it does not."""
    why = agreements.objection(db, agreement_id, asset_id=asset_id, terms=terms)
    if why is not None:
        db.execute("INSERT OR REPLACE INTO refused_grants VALUES (?, ?, ?)", (terms["job_id"], asset_id, why))
        return
    agreements.count_run(db, agreement_id, job_id=terms["job_id"])
    record(db, asset_id, terms=terms)


def covers(db: sqlite3.Connection, asset_id: str, *, terms: dict[str, Any]) -> bool:
    """Whether an acceptance for these very terms is on record."""
    sql = "SELECT terms_digest FROM grants WHERE job_id = ? AND asset_id = ?"
    row = db.execute(sql, (terms["job_id"], asset_id)).fetchone()
    return row is not None and row["terms_digest"] == _digest(terms)


def why_refused(db: sqlite3.Connection, asset_id: str, *, job_id: str) -> str | None:
    """What was wrong with the agreement that was to allow it; None where none was cited."""
    sql = "SELECT why FROM refused_grants WHERE job_id = ? AND asset_id = ?"
    row = db.execute(sql, (job_id, asset_id)).fetchone()
    return None if row is None else str(row["why"])


def _digest(terms: dict[str, Any]) -> str:
    return hashlib.sha256(wire.canonical(terms)).hexdigest()
