"""The status stream of a job: lines with numbers, kept before anybody is told.

The initiator's Access Point alone holds it and merges what the parties send into one order.
"""

import sqlite3
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec

from network.clock import now
from network.ledger import Ledger

IN_PROGRESS, COMPLETE, ERROR = 3, 4, 10
_NAMES = {IN_PROGRESS: "in progress", COMPLETE: "complete", ERROR: "error"}
_BATCH = 500


Shown = Callable[[bytes], bytes]


class Stream:
    """A job's stream within one transaction: appending is all one can do to it."""

    def __init__(self, db: sqlite3.Connection, job_id: str, *, epoch: str) -> None:
        self._db = db
        self._job_id = job_id
        self._epoch = epoch

    def message(self, content: bytes) -> None:
        """A message, byte for byte as it was emitted."""
        self._append("message", content)

    def status(self, code: int, *, communications: int = 0, **facts: Any) -> None:
        """A status; error, error_code and result are told where there are any."""
        status = {
            "id": str(uuid4()),
            "code": code,
            "status": _NAMES[code],
            "when": now(),
            "communications": communications,
            "error": facts.get("error", ""),
            "error_code": facts.get("error_code"),
            "result": facts.get("result"),
        }
        self._append("status", msgspec.json.encode(status))

    def end(self, outcome: str) -> None:
        """The last line."""
        self._append("end", msgspec.json.encode(outcome))

    def _append(self, kind: str, content: bytes) -> None:
        # A process that has not been stopped yet may still speak of a job that is decided; nothing follows the end.
        if has_ended(self._db, self._job_id):
            return
        sql = "SELECT coalesce(max(sequence), 0) + 1 FROM lines WHERE job_id = ?"
        sequence = self._db.execute(sql, (self._job_id,)).fetchone()[0]
        member = "outcome" if kind == "end" else kind
        head = f'{{"epoch":"{self._epoch}","sequence":{sequence},"when":"{now()}","kind":"{kind}","{member}":'
        values = (self._job_id, sequence, kind, head.encode() + content + b"}\n")
        self._db.execute("INSERT INTO lines VALUES (?, ?, ?, ?)", values)


class Reading:
    """One reader's place in a job's stream, and how much of each line it may see."""

    def __init__(self, ledger: Ledger, job_id: str, *, after: int, shown: Shown) -> None:
        self._ledger = ledger
        self._job_id = job_id
        self._after = after
        self._shown = shown

    def read(self) -> list[bytes]:
        """The next lines; [] when the reader has seen them all."""
        sql = "SELECT sequence, line FROM lines WHERE job_id = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        rows = self._ledger.rows(sql, self._job_id, self._after, _BATCH)
        self._after = rows[-1]["sequence"] if rows else self._after
        return [self._shown(row["line"]) for row in rows]

    def ended(self) -> bool:
        """Whether the stream has its last line."""
        return has_ended(self._ledger.db, self._job_id)


def has_ended(db: sqlite3.Connection, job_id: str) -> bool:
    """Whether the job's stream has its last line."""
    # The end is the last line there is: one look at the primary key, however long the stream.
    sql = "SELECT kind FROM lines WHERE job_id = ? ORDER BY sequence DESC LIMIT 1"
    last = db.execute(sql, (job_id,)).fetchone()
    return last is not None and last["kind"] == "end"


def whole(line: bytes) -> bytes:
    """The line as it is: for the team that created the job."""
    return line


def without_result(line: bytes) -> bytes:
    """The line without what the job came to: for the teams that its own team lets read along."""
    told = msgspec.json.decode(line)
    if told["kind"] != "status" or told["status"]["result"] is None:
        return line
    told["status"]["result"] = None
    return msgspec.json.encode(told) + b"\n"


def latest_status(ledger: Ledger, job_id: str, *, shown: Shown) -> Any:
    """The newest status; None before the first."""
    sql = "SELECT line FROM lines WHERE job_id = ? AND kind = 'status' ORDER BY sequence DESC LIMIT 1"
    row = ledger.row(sql, job_id)
    return None if row is None else msgspec.json.decode(shown(row["line"]))["status"]
