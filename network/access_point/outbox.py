"""Reports to the Router: kept with what they report, sent until acknowledged."""

import sqlite3
from typing import Any

import msgspec

from network.ledger import Ledger


def put(db: sqlite3.Connection, kind: str, *, job_id: str | None = None, **facts: Any) -> int:
    """Leave a report within the transaction that made it true; answers its number."""
    content = msgspec.json.encode({"kind": kind, "job_id": job_id, **facts})
    return db.execute("INSERT INTO outbox (document) VALUES (?)", (content,)).lastrowid or 0


def oldest(ledger: Ledger) -> tuple[int, bytes] | None:
    """The next report to send, with the marks that make repeating it harmless; None when all are acknowledged."""
    row = ledger.row("SELECT number, document FROM outbox ORDER BY number LIMIT 1")
    if row is None:
        return None
    marks = {"epoch": ledger.epoch, "number": row["number"]}
    return row["number"], msgspec.json.encode(marks | msgspec.json.decode(row["document"]))


def acknowledged(ledger: Ledger, number: int) -> None:
    """The Router has it."""
    with ledger.change() as db:
        db.execute("DELETE FROM outbox WHERE number = ?", (number,))


def is_waiting(ledger: Ledger, number: int) -> bool:
    """Whether the report has not been acknowledged yet."""
    return ledger.row("SELECT 1 FROM outbox WHERE number = ?", number) is not None
