"""Looks for words and for patterns in names: in pieces, from the newest job down, for so long and no longer."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.domain.ports import JobFilter
from app.store import places, trigrams
from app.store.regexes import compiled
from app.store.texts import matching

_FIRST_PIECE, _LARGEST_PIECE = 500, 8_000
# So many names are looked at sooner than the jobs that fit the rest of what is wanted; and of so few jobs each is looked
# up in the index of words, which takes as long as going down twenty entries of it.
_FEW, _VERY_FEW = 30_000, 300
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
    below = places.beginning(wanted, below)
    sql, values = _source(connection, wanted, below=below)
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

    def looked_at(self, conditions: Sequence[str], wanted: JobFilter) -> str:
        """SELECT the next of them, as a part of the jobs does."""
        until = "" if wanted.created_after is None else "AND rowid >= :from_key "
        return (
            f"SELECT job.key AS key, job.job_name, ({' AND '.join(conditions) or '1'}) AS fits FROM "
            f"(SELECT rowid AS found FROM {self.table} WHERE {self.table} MATCH :{self.value} AND rowid < :below {until}"
            "ORDER BY rowid DESC LIMIT :limit) CROSS JOIN job ON job.key = found ORDER BY found DESC"
        )


_BY_NAME = _Index("job_trigrams", "trigrams")
_BY_WORDS = _Index("job_words", "words")
_NOTHING = "SELECT 0, '', 0 WHERE 0 AND :below AND :limit"


def _source(connection: sqlite3.Connection, wanted: JobFilter, *, below: int) -> tuple[str, Mapping[str, object]]:
    """Down what has the fewer candidates, as far as that is known."""
    values = places.values(wanted)
    by_name = None if wanted.name_regex is None else trigrams.query_of(wanted.name_regex)
    values["trigrams"] = by_name
    if wanted.words is not None:
        values["words"] = matching(wanted.words)
    # Names are looked at by RE2 in any case.
    words = [_BY_WORDS.holds] if wanted.words is not None else []
    parts = places.parts(wanted)
    if not parts:
        return _NOTHING, values
    at = {**values, "below": below, "limit": _VERY_FEW}
    conditions = places.conditions(wanted)
    by_places = places.together([part.looked_at(*words) for part in parts])
    is_narrowed = places.is_narrowed(wanted)
    if (
        words
        and is_narrowed
        and len(connection.execute(places.together([part.looked_at() for part in parts]), at).fetchall()) < _VERY_FEW
    ):
        return by_places, values
    if by_name is not None and (not is_narrowed or _BY_NAME.count(connection, values) < _FEW):
        return _BY_NAME.looked_at([*conditions, *words], wanted), values
    if words:
        return _BY_WORDS.looked_at(conditions, wanted), values
    return by_places, values
