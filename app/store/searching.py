"""Looks for words and for patterns in names: in pieces, from the newest job down, for so long and no longer."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.domain.ports import JobFilter
from app.store import places, trigrams
from app.store.regexes import compiled
from app.store.texts import matching

_FIRST_PIECE, _LARGEST_PIECE = 500, 8_000
# So many candidates are looked at sooner than others that fit the rest of what is wanted.
_FEW = 5_000
_PATTERNS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The numbers of the rows that fit, newest first. `until`: the last row that was looked at; None: all of them were."""

    keys: Sequence[int]
    until: int | None


def search(
    connection: sqlite3.Connection, wanted: JobFilter, *, below: int, limit: int, is_over: Callable[[], bool]
) -> Found:
    """At most `limit` jobs that fit, below a row. `is_over`: whether the time for it is."""
    fits = compiled(wanted.name_regex).search if wanted.name_regex is not None else None
    keys: list[int] = []
    for at, (key, name, is_candidate) in enumerate(_candidates(connection, wanted, below=below), 1):
        if is_candidate and (fits is None or fits(name) is not None):
            keys.append(key)
            if len(keys) == limit:
                return Found(keys=keys, until=key)
        if at % _PATTERNS_AT_ONCE == 0 and is_over():
            return Found(keys=keys, until=key)
    return Found(keys=keys, until=None)


def _candidates(connection: sqlite3.Connection, wanted: JobFilter, *, below: int) -> Iterator[tuple[int, str, bool]]:
    """Rows to be looked at, and whether all but the pattern fits."""
    sql, values = _source(connection, wanted)
    limit = _FIRST_PIECE
    while True:
        rows = connection.execute(sql, {**values, "below": below, "limit": limit}).fetchall()
        yield from rows
        if len(rows) < limit:
            return
        below = rows[-1][0]
        limit = min(2 * limit, _LARGEST_PIECE)


@dataclass(frozen=True, slots=True)
class _Index:
    table: str
    value: str

    @property
    def holds(self) -> str:
        """Whether a job is in what is looked up in it."""
        return f"EXISTS (SELECT 1 FROM {self.table} WHERE {self.table} MATCH :{self.value} AND rowid = job.key)"

    def count(self, connection: sqlite3.Connection, values: Mapping[str, object]) -> int:
        """How many are in it, if they are few."""
        sql = f"SELECT count(*) FROM (SELECT 1 FROM {self.table} WHERE {self.table} MATCH :{self.value} LIMIT {_FEW})"
        return int(connection.execute(sql, values).fetchone()[0])

    def looked_at(self, conditions: Sequence[str]) -> str:
        """SELECT the next of them, as a part of the jobs does."""
        return (
            f"SELECT job.key AS key, job.job_name, ({' AND '.join(conditions) or '1'}) AS fits FROM "
            f"(SELECT rowid AS found FROM {self.table} WHERE {self.table} MATCH :{self.value} AND rowid < :below "
            "ORDER BY rowid DESC LIMIT :limit) CROSS JOIN job ON job.key = found ORDER BY found DESC"
        )


_BY_NAME = _Index("job_trigrams", "trigrams")
_BY_WORDS = _Index("job_words", "words")
_NOTHING = "SELECT 0, '', 0 WHERE 0 AND :below AND :limit"


def _source(connection: sqlite3.Connection, wanted: JobFilter) -> tuple[str, Mapping[str, object]]:
    """Down what has the fewer candidates, as far as that is known."""
    values = places.values(wanted)
    if wanted.name_regex is not None:
        values["trigrams"] = trigrams.query_of(wanted.name_regex)
    if wanted.words is not None:
        values["words"] = matching(wanted.words)
    # Names are looked at by RE2 in any case.
    words = [_BY_WORDS.holds] if wanted.words is not None else []
    parts = places.parts(wanted)
    indexes = [index for index in (_BY_NAME, _BY_WORDS) if values.get(index.value) is not None]
    few = next((index for index in indexes if index.count(connection, values) < _FEW), None)
    if few is None and indexes and not any(part.where for part in parts):
        few = indexes[0]
    if few is not None:
        return few.looked_at([*places.conditions(wanted), *(words if few is _BY_NAME else ())]), values
    if not parts:
        return _NOTHING, values
    return places.together([part.looked_at(*words) for part in parts]), values
