"""How far the log goes, and from where on it is whole."""

import sqlite3


def newest(connection: sqlite3.Connection) -> int:
    """The largest number that was ever given, also where its event is no more; 0 before the first."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchall()
    return int(found[0][0]) if found else 0


def missing_through(connection: sqlite3.Connection) -> int:
    """Up to this number events have been removed; 0: none have."""
    found = connection.execute("SELECT through FROM log_gap WHERE id = 1").fetchall()
    return int(found[0][0]) if found else 0


def miss_through(connection: sqlite3.Connection, number: int) -> None:
    """Note that events up to this number have been removed."""
    sql = "INSERT INTO log_gap VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET through = max(through, excluded.through)"
    connection.execute(sql, (number,))
