"""A part's durable memory: one SQLite file, one connection, one transaction at a time.

Every part is one process and touches its ledger from its event loop only; transactions are short and hold no await.
Whoever changed something rings the bell after the commit: write, then tell.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from network.bell import Bell

_FACTS = "CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);"


class Ledger:
    """The file, the bell that rings after each commit, and the epoch that names this storage."""

    def __init__(self, path: Path, tables: str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        path.chmod(0o600)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_FACTS + tables)
        self._db.execute("INSERT OR IGNORE INTO facts VALUES ('epoch', ?)", (uuid4().hex[:16],))
        self.bell = Bell()
        self.epoch = str(self.fact("epoch"))

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing, and the bell afterwards."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
        self.bell.ring()

    def rows(self, sql: str, *values: object) -> list[sqlite3.Row]:
        """Read without a transaction of one's own."""
        return self._db.execute(sql, values).fetchall()

    def row(self, sql: str, *values: object) -> sqlite3.Row | None:
        """The first row; None when there is none."""
        found: sqlite3.Row | None = self._db.execute(sql, values).fetchone()
        return found

    @property
    def db(self) -> sqlite3.Connection:
        """For readers that are handed a connection."""
        return self._db

    def fact(self, name: str) -> str | None:
        """A remembered fact; None when nobody noted it."""
        found = self.row("SELECT value FROM facts WHERE name = ?", name)
        return None if found is None else str(found["value"])

    def close(self) -> None:
        """Let the readers go, then the file."""
        self.bell.close()
        self._db.close()


def note_fact(db: sqlite3.Connection, name: str, *, value: str) -> None:
    """Remember a fact within the caller's transaction."""
    db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
