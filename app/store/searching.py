"""Looks for jobs where no one index has them: a few rows at a time, from the newest down, for so long and no longer.

There are several ways to what is wanted: down the jobs of an owner, down a label, down a word, down what a pattern demands
of names. Which is the shortest depends on what is in the database, and shows on the way: by how much of the page a way has
filled, or how far back it has come, in what time. So a few steps are taken on whichever seems to need least, until one has
arrived.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from app.domain.ports import JobFilter
from app.store import places, texts, trigrams
from app.store.places import Way
from app.store.regexes import places_of

# So many rows a step: where texts are read, it takes time to begin with some, too.
_AT_ONCE = 64
# Of rows that do not fit, whatever lies between them, about one in seventeen is told: how far one is, where nothing fits.
_IS_TOLD = "way.key % 1009 % 17 = 0"
_USUAL_NAMES = "SELECT job_name FROM job ORDER BY key DESC LIMIT 200"
_ENDS = "SELECT (SELECT min(key) FROM job), (SELECT max(key) FROM job)"
# No way is taken to need more than so many times what it has taken: what little was seen of it may mislead.
_AT_MOST = 8
# What one is taken to need before its first step if the texts of its jobs have to be read.
_BY_READING_S = 0.003


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The numbers of the rows that fit, newest first. `until`: the last row that was looked at; None: all of them were."""

    keys: Sequence[int]
    until: int | None


def is_to_be_looked_for(wanted: JobFilter) -> bool:
    """Whether no one index has it for certain."""
    return wanted.name_regex is not None or wanted.words is not None or bool(wanted.labels)


def search(
    connection: sqlite3.Connection, wanted: JobFilter, *, below: int, limit: int, is_over: Callable[[], bool]
) -> Found:
    """At most `limit` jobs that fit, below a row. `is_over`: whether the time for it is."""
    with ExitStack() as open_:
        walks = [
            open_.enter_context(closing(one))
            for one in _walks(connection, wanted, below=places.beginning(wanted, below), limit=limit)
        ]
        while walks:
            walk = min(walks, key=lambda one: one.needs_s)
            if walk.goes_on():
                return walk.found
            if is_over():
                return min(walks, key=lambda one: one.below).found
    return Found(keys=(), until=None)


class _Texts:
    """What is looked at in the texts of jobs that fit otherwise: names, for a pattern, and all of them, for words."""

    def __init__(self, *, pattern: str | None, words: str | None) -> None:
        self._pattern = pattern
        self._few = None if words is None else texts.Few(words)

    @property
    def are_read(self) -> bool:
        """Whether all of them have to be."""
        return self._few is not None

    def fitting(self, rows: Sequence[Any], connection: sqlite3.Connection) -> Sequence[int]:
        """The keys of those rows, which are a key and a name each."""
        keys = [key for key, *_ in rows]
        if self._pattern is not None:
            keys = [keys[place] for place in places_of(self._pattern, [name for _, name, _ in rows])]
        if self._few is None or not keys:
            return keys
        having = self._few.having(connection, keys)
        return [key for key in keys if key in having]

    def close(self) -> None:
        """Leave what was made for it."""
        if self._few is not None:
            self._few.close()


class _Walk:
    """One way, as far as it was gone."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        sql: str,
        looked_at: _Texts,
        *,
        values: Mapping[str, object],
        ends: tuple[int, int],
        limit: int,
    ) -> None:
        self._oldest, self.below = ends
        self.needs_s = _BY_READING_S if looked_at.are_read else 0.0
        self._newest = self.below
        self._connection = connection
        self._sql = sql
        self._values = values
        self._looked_at = looked_at
        self._limit = limit
        self._spent_s = 0.0
        self._rows: sqlite3.Cursor | None = None
        self._keys: list[int] = []
        self._is_done = False

    @property
    def found(self) -> Found:
        """What came of it."""
        return Found(keys=self._keys, until=None if self._is_done else self.below)

    def goes_on(self) -> bool:
        """Look at the next few rows. True: there is nothing more to be looked at."""
        began_s = time.perf_counter()
        if self._rows is None:
            self._rows = self._connection.execute(self._sql, self._values)
        rows = self._rows.fetchmany(_AT_ONCE)
        fitting = self._looked_at.fitting([row for row in rows if row[2]], self._connection)
        self._keys += fitting[: self._limit - len(self._keys)]
        is_full = len(self._keys) == self._limit
        if is_full:
            self.below = self._keys[-1]
        elif rows:
            self.below = rows[-1][0]
        self._is_done = not is_full and len(rows) < _AT_ONCE
        self._spent_s += time.perf_counter() - began_s
        self.needs_s = self._spent_s / max(self._gone(), 1 / _AT_MOST)
        return is_full or self._is_done

    def close(self) -> None:
        """Leave it."""
        self._looked_at.close()
        if self._rows is not None:
            self._rows.close()

    def _gone(self) -> float:
        """How much of the way: of the page, or of the time that the jobs are of."""
        of_rows = (self._newest - self.below) / max(self._newest - self._oldest, 1)
        return max(len(self._keys) / self._limit, of_rows)


def _walks(connection: sqlite3.Connection, wanted: JobFilter, *, below: int, limit: int) -> Sequence[_Walk]:
    by_place = places.ways(wanted)
    if not by_place:
        return []
    values = {**places.values(wanted), "below": below, "limit": -1}
    walks: list[tuple[Way, _Texts]] = []
    words = None if wanted.words is None else texts.matching(wanted.words)
    looked_at = _Texts(pattern=wanted.name_regex, words=words)
    if words is not None:
        values["words"] = words
        way = places.way_by(_rows_of("job_words", "words", wanted), wanted)
        walks.append((way, _Texts(pattern=wanted.name_regex, words=None)))
    demanded = None if wanted.name_regex is None else trigrams.demanded_by(wanted.name_regex)
    if demanded is not None:
        usual = [name for (name,) in connection.execute(_USUAL_NAMES)]
        values["trigrams"] = trigrams.query_of(demanded, usual=usual)
        walks.append((places.way_by(_rows_of("job_trigrams", "trigrams", wanted), wanted), looked_at))
    # Down all jobs only where nothing else leads to them.
    if not (walks and places.is_of_all(wanted)):
        walks += ((way, looked_at) for way in by_place)
    ends = _ends(connection, values, below=below)
    return [_Walk(connection, _sql(way, wanted), seen, values=values, ends=ends, limit=limit) for way, seen in walks]


def _ends(connection: sqlite3.Connection, values: Mapping[str, Any], *, below: int) -> tuple[int, int]:
    """Down to which row they are looked for, and below which."""
    oldest, newest = connection.execute(_ENDS).fetchone()
    return max(values.get("from_key", oldest or 0), oldest or 0), min(below, (newest or 0) + 1)


def _rows_of(table: str, value: str, wanted: JobFilter) -> str:
    """The rows that a text is in, by the index of texts."""
    until = "" if wanted.created_after is None else " AND rowid >= :from_key"
    return (
        f"SELECT rowid AS key FROM {table} WHERE {table} MATCH :{value} AND rowid < :below{until} "
        "ORDER BY rowid DESC LIMIT :limit"
    )


def _sql(way: Way, wanted: JobFilter) -> str:
    """The rows down a way that fit, with their names if those are to be looked at, and some that do not, as is said last.

    SQLite hands them on as it finds them: what is behind LIMIT keeps its order, and nothing is sorted.
    """
    name = "NULL" if wanted.name_regex is None else way.name
    if any("job." in one for one in (name, *way.where)):
        fits = "job.key IS NOT NULL"
        joined = f" LEFT JOIN {way.source} ON {' AND '.join(('job.key = way.key', *way.where))}"
    else:
        fits, joined = " AND ".join(way.where) or "1", ""
    rows = f"SELECT way.key, {name}, {fits} FROM ({way.rows}) AS way{joined}"
    return f"{rows} WHERE {fits} OR {_IS_TOLD}"
