"""The index of assets: names, columns and counts. The bytes stay with their Access Points."""

import sqlite3
from typing import Any
from uuid import UUID, uuid4

import msgspec

from network import refusals
from network.clock import ago, now
from network.router import orders

# A side table says which are temporary.
_SELECT = "SELECT *, id IN (SELECT asset_id FROM temporary_assets) AS temporary FROM assets"


def resolve(db: sqlite3.Connection, reference: str) -> sqlite3.Row | None:
    """An asset by UUID or by its alias `team/name`; None when there is none."""
    team, slash, name = reference.partition("/")
    which = "team = ?1 AND name = ?2" if slash else "id = ?1"
    values = (team, name) if slash else (_spelled(reference),)
    row: sqlite3.Row | None = db.execute(f"{_SELECT} WHERE {which}", values).fetchone()
    return row


def known(db: sqlite3.Connection, asset_id: str) -> sqlite3.Row:
    """The row of an asset that is there, though its bytes may not be."""
    row: sqlite3.Row = db.execute(f"{_SELECT} WHERE id = ?", (asset_id,)).fetchone()
    return row


def find(db: sqlite3.Connection, asset_id: str) -> sqlite3.Row:
    """The asset's row; a refusal when there is none, or its bytes have not arrived."""
    row = resolve(db, asset_id)
    if row is None or not row["ready"]:
        raise refusals.not_found("asset")
    return row


def matching(db: sqlite3.Connection, *, name: str | None, team: str | None, kind: str | None) -> list[sqlite3.Row]:
    """Assets whose bytes are there, by alias or the part after the slash, by team and by kind, oldest first."""
    sql = f"""{_SELECT} WHERE ready AND (?1 IS NULL OR name = ?1 OR team || '/' || name = ?1)
             AND (?2 IS NULL OR team = ?2) AND (?3 IS NULL OR kind = ?3) ORDER BY rowid"""
    return db.execute(sql, (name, team, kind)).fetchall()


def named_id(db: sqlite3.Connection, reference: str | None) -> str | None:
    """The id that a query's UUID or alias names, also of an asset that is gone; None where the query names none."""
    if reference is None:
        return None
    asset = resolve(db, reference)
    return _spelled(reference) if asset is None else str(asset["id"])


def alias(db: sqlite3.Connection, asset_id: str) -> str:
    """What the asset is called, or was."""
    return str(db.execute("SELECT alias FROM asset_names WHERE id = ?", (asset_id,)).fetchone()["alias"])


def announce(db: sqlite3.Connection, *, team: str, name: str | None) -> sqlite3.Row:
    """A table that will be uploaded; without a name it is called after its id.

    A name whose bytes never came is free again, and forgotten after a day.
    """
    asset_id = str(uuid4())
    name = name or f"temporary-{asset_id[:8]}"
    live = db.execute("SELECT ready FROM assets WHERE team = ? AND name = ?", (team, name)).fetchone()
    if live is not None and live["ready"]:
        raise refusals.invalid("name", f"{team}/{name} is the name of another asset; choose one that is free.")
    db.execute("DELETE FROM assets WHERE team = ? AND name = ?", (team, name))
    db.execute("DELETE FROM assets WHERE NOT ready AND created < ?", (ago(days=1),))
    db.execute("DELETE FROM temporary_assets WHERE asset_id NOT IN (SELECT id FROM assets)")
    sql = "INSERT INTO assets (id, team, name, kind, ready, created) VALUES (?, ?, ?, 'table', 0, ?)"
    db.execute(sql, (asset_id, team, name, now()))
    return known(db, asset_id)


def register(db: sqlite3.Connection, team: str, *, asset: dict[str, Any], job_id: str | None = None) -> None:
    """An asset the team's Access Point holds, under the id it gave it. A second telling changes nothing."""
    sql = """INSERT INTO assets (id, team, name, kind, columns, records, ready, job_id, created)
             VALUES (?, ?, ?, ?, ?, ?, 1, ?, ?) ON CONFLICT DO NOTHING"""
    values = (asset["id"], team, asset["name"], asset["kind"], _columns(asset), asset["records"], job_id, now())
    db.execute(sql, values)


def arrived(db: sqlite3.Connection, team: str, *, asset: dict[str, Any]) -> None:
    """Bytes are at the team's Access Point: those of an announced asset, or one it had from the start."""
    if asset["name"] is not None:
        return register(db, team, asset=asset)
    sql = "UPDATE assets SET columns = ?, records = ?, ready = 1 WHERE id = ? AND team = ?"
    announced = db.execute(sql, (_columns(asset), asset["records"], asset["id"], team)).rowcount
    former = "SELECT 1 FROM former_assets WHERE id = ? AND team = ?"
    if not announced and db.execute(former, (asset["id"], team)).fetchone() is not None:
        # Its bytes were put once more when it was gone already.
        orders.give(db, team, kind="drop", asset_id=asset["id"])
    return None


def is_open_to(team: str, row: sqlite3.Row) -> bool:
    """Whether the team may know the asset's columns and count: those of a job's result are for its own team."""
    return row["job_id"] is None or row["team"] == team


def document(row: sqlite3.Row, *, team: str) -> dict[str, Any]:
    """The asset as the team may see it; `content` is added for its own."""
    is_open = is_open_to(team, row)
    return {
        "id": row["id"],
        "name": f"{row['team']}/{row['name']}",
        "team": row["team"],
        "kind": row["kind"],
        "columns": msgspec.json.decode(row["columns"]) if is_open else [],
        "records": row["records"] if is_open else None,
        "job_id": row["job_id"],
        "temporary": bool(row["temporary"]),
        "created": row["created"],
        "content": None,
    }


def _spelled(reference: str) -> str:
    try:
        return str(UUID(reference))
    except ValueError:
        return reference


def _columns(asset: dict[str, Any]) -> str:
    return msgspec.json.encode(asset["columns"]).decode()
