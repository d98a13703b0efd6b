"""SQL for the driver itself, made once of SQLAlchemy's statements: it is sent hundreds of times a second."""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ClauseElement, Column
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

_DIALECT = sqlite.dialect()


class Prepared:
    """A statement, and where its values go. Its `columns` are those that it writes."""

    def __init__(self, statement: ClauseElement, *columns: Column[Any]) -> None:
        compiled = SQLiteCompiler(_DIALECT, statement, column_keys=[one.name for one in columns] or None)
        self.sql = str(compiled)
        self._places: Sequence[str] = compiled.positiontup or ()
        self._given: Mapping[str, object] = {name: compiled.params.get(name) for name in self._places}

    def done(self, connection: sqlite3.Connection, values: Mapping[str, object] | None = None) -> list[Any]:
        """What it returns, with these values in place of those it was made with."""
        return connection.execute(self.sql, self._ordered(values or {})).fetchall()

    def done_for_each(self, connection: sqlite3.Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Once for each row; all its values stand there."""
        places = self._places
        connection.executemany(self.sql, ([row[name] for name in places] for row in rows))

    def done_for_tuples(self, connection: sqlite3.Connection, rows: Iterable[tuple[object, ...]]) -> None:
        """The same for rows whose values stand in the order of the columns."""
        connection.executemany(self.sql, rows)

    def _ordered(self, values: Mapping[str, object]) -> Sequence[object]:
        given = self._given
        return [values[name] if name in values else given[name] for name in self._places]
