"""The assets held here: their files and what is known of them."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from network.access_point import outbox

SUFFIXES = {"table": ".parquet", "model": ".model"}


def keep(db: sqlite3.Connection, asset: dict[str, Any], *, job_id: str | None = None) -> None:
    """Note an asset whose file is in place."""
    columns = msgspec.json.encode(asset["columns"]).decode()
    values = (asset["id"], asset["name"], asset["kind"], asset["file"], columns, asset["records"], job_id)
    db.execute("INSERT OR REPLACE INTO assets VALUES (?, ?, ?, ?, ?, ?, ?)", values)


def report(db: sqlite3.Connection, asset: dict[str, Any]) -> int:
    """Tell the Router that the asset is here."""
    return outbox.put(db, "asset", asset=told(asset))


def told(asset: dict[str, Any]) -> dict[str, Any]:
    """What the Router may know of an asset: no more than this ever leaves."""
    return {name: asset[name] for name in ("id", "name", "kind", "columns", "records")}


def held(db: sqlite3.Connection, asset_id: str) -> dict[str, Any] | None:
    """An asset held here; None when it is not."""
    row = db.execute("SELECT * FROM assets WHERE id = ?", (asset_id,)).fetchone()
    return None if row is None else {**dict(row), "columns": msgspec.json.decode(row["columns"])}


def named(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """The assets that were here from the start."""
    rows = db.execute("SELECT id FROM assets WHERE name IS NOT NULL AND job_id IS NULL").fetchall()
    return [asset for row in rows if (asset := held(db, row["id"])) is not None]


def drop_made_by(db: sqlite3.Connection, job_id: str, *, folder: Path) -> None:
    """Forget what an unfinished job had made."""
    _drop(db, "job_id = ?", job_id, folder=folder)


def drop_uploaded(db: sqlite3.Connection, asset_id: str, *, folder: Path) -> None:
    """Forget a table that was put here; one that was here from the start, or that a job made, stays."""
    _drop(db, "id = ? AND name IS NULL AND job_id IS NULL", asset_id, folder=folder)


def _drop(db: sqlite3.Connection, which: str, value: str, *, folder: Path) -> None:
    for row in db.execute(f"SELECT file FROM assets WHERE {which}", (value,)).fetchall():  # noqa: S608  # our words
        (folder / row["file"]).unlink(missing_ok=True)
    db.execute(f"DELETE FROM assets WHERE {which}", (value,))  # noqa: S608  # our words
