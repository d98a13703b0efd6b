"""What is looked at before a database is opened: little, so that it takes no longer for a large one."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from app.domain.errors import StoreAway
from app.store.condition import damaged, files_of, is_damage

_NEWEST = 500


def look_over(path: Path) -> None:
    """Raises StoreAway where a file that is there is not ours to write, is damaged at first sight, or is no gateway's.

    Looked at are the header, the size, the schema, and the newest events with all that they hold. The rest is not.
    """
    if not path.exists() or not path.stat().st_size:
        return
    for file in files_of(path):
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            raise StoreAway(f"The database {path} cannot be opened: this user may not write {file}.")
    try:
        with closing(opened(path, mode="rw")) as database:
            _look(database, path)
    except sqlite3.Error as error:
        raise not_readable(path, error) from error


def not_readable(path: Path, error: Exception) -> StoreAway:
    """What it means that it cannot be read."""
    return StoreAway(damaged(path, error) if is_damage(error) else f"The database {path} cannot be opened: {error}.")


def opened(path: Path, *, mode: str) -> sqlite3.Connection:
    """A connection to a file that must be there; `mode` is SQLite's, with further parameters of its address."""
    address = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)


def tables_in(database: sqlite3.Connection) -> set[str]:
    """The names of its tables."""
    return {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def version_in(database: sqlite3.Connection) -> str | None:
    """Of its schema. None: it has none of ours."""
    if "alembic_version" not in tables_in(database):
        return None
    found = database.execute("SELECT version_num FROM alembic_version").fetchall()
    return str(found[0][0]) if found else None


def _look(database: sqlite3.Connection, path: Path) -> None:
    database.execute("PRAGMA schema_version").fetchall()
    tables = tables_in(database)
    if tables and "alembic_version" not in tables:
        raise StoreAway(f"The file {path} is another program's database. Name another one with GATEWAY_DATABASE_URL.")
    if "event" in tables:
        database.execute("SELECT seq FROM sqlite_sequence").fetchall()
        database.execute("SELECT * FROM event ORDER BY id DESC LIMIT ?", (_NEWEST,)).fetchall()
