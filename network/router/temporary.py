"""Temporary assets: gone with the last submitted job that used them, or after a day in which none did."""

import sqlite3
from collections.abc import Sequence

from network.clock import ago
from network.router import orders
from network.router.jobs import FINAL

_KEPT_DAYS = 1


def note(db: sqlite3.Connection, asset_id: str) -> None:
    """The asset is not to stay."""
    db.execute("INSERT INTO temporary_assets VALUES (?)", (asset_id,))


def used(db: sqlite3.Connection, job_id: str, *, asset_ids: Sequence[str]) -> None:
    """The job was submitted; those of its assets that are temporary stay until it ends."""
    sql = """INSERT INTO temporary_uses SELECT asset_id, ? FROM temporary_assets WHERE asset_id = ?
             ON CONFLICT DO NOTHING"""
    db.executemany(sql, [(job_id, asset_id) for asset_id in asset_ids])


def settle(db: sqlite3.Connection) -> None:
    """Delete what has served, and what nobody used for a day. Doing so again changes nothing."""
    marks = ", ".join("?" * len(FINAL))
    # Whether any use is known, and whether one of a job that has not ended is.
    sql = f"""SELECT a.id, a.team, a.name FROM temporary_assets t JOIN assets a ON a.id = t.asset_id
              LEFT JOIN temporary_uses u ON u.asset_id = a.id LEFT JOIN jobs j ON j.id = u.job_id
              GROUP BY a.id HAVING coalesce(min(j.market_status IN ({marks})), a.created < ?)"""  # noqa: S608  # marks
    for asset in db.execute(sql, (*FINAL, ago(days=_KEPT_DAYS))).fetchall():
        _delete(db, asset)


def _delete(db: sqlite3.Connection, asset: sqlite3.Row) -> None:
    # Its name stays known, for the requests and agreements that speak of it.
    db.execute("INSERT INTO former_assets VALUES (?, ?, ?)", (asset["id"], asset["team"], asset["name"]))
    db.execute("DELETE FROM assets WHERE id = ?", (asset["id"],))
    for table in ("temporary_assets", "temporary_uses"):
        db.execute(f"DELETE FROM {table} WHERE asset_id = ?", (asset["id"],))  # noqa: S608  # our tables
    orders.give(db, asset["team"], kind="drop", asset_id=asset["id"])
