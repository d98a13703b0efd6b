"""Looks for jobs where no one index has them: in pieces, from the newest down, for so long and no longer.

There are several ways to what is wanted: down the jobs of an owner, down a label, down a word, down what a pattern demands
of names. Which is the shortest depends on what is in the database; so each is gone for a little while in turn, as long as
it has taken least, until one has come to the end of it.
"""

import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from app.domain.ports import JobFilter
from app.store import places, texts, trigrams
from app.store.places import Way
from app.store.regexes import compiled

_FIRST_BY_TEXT, _FIRST_BY_PLACE, _LARGEST_PIECE = 500, 100, 4_000
_LOOKED_AT_ONCE = 64
_USUAL_NAMES = "SELECT job_name FROM job ORDER BY key DESC LIMIT 200"
_FIRST_TEXTS_S = 0.006


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
    values = places.values(wanted)
    walks = _walks(connection, wanted, values, below=places.beginning(wanted, below), limit=limit)
    while walks:
        walk = min(walks, key=lambda one: one.spent_s + one.next_s)
        if walk.goes_on(values, is_over=is_over):
            return walk.found
        if is_over():
            return min(walks, key=lambda one: one.below).found
    return Found(keys=(), until=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """What is looked at in the texts of jobs that fit otherwise: names, for a pattern, and all of them, for words."""

    pattern: Callable[[str], object] | None = None
    words: str | None = None

    def fitting(self, rows: Sequence[Any], connection: sqlite3.Connection) -> Sequence[int]:
        """The keys of those rows, which are a key and a name each."""
        keys = [key for key, name, _ in rows if self.pattern is None or self.pattern(name)]
        if self.words is None or not keys:
            return keys
        having = texts.having(connection, keys, self.words)
        return [key for key in keys if key in having]


class _Walk:
    """One way, as far as it was gone."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        sql: str,
        looked_at: _Texts,
        *,
        below: int,
        limit: int,
        by_text: bool = False,
    ) -> None:
        self.below = below
        # To look into texts is for where an index of them would lead astray for long.
        self._dearness = 1 if by_text or looked_at == _Texts() else 2
        self.spent_s = 0.0  # as it counts beside other ways, and so does what the next piece may take
        self.next_s = 0.0 if by_text or looked_at.words is None else _FIRST_TEXTS_S
        self._connection = connection
        self._sql = sql
        self._looked_at = looked_at
        self._limit = limit
        self._piece = _FIRST_BY_TEXT if by_text else _FIRST_BY_PLACE
        self._keys: list[int] = []
        self._is_done = False

    @property
    def found(self) -> Found:
        """What came of it."""
        return Found(keys=self._keys, until=None if self._is_done else self.below)

    def goes_on(self, values: Mapping[str, object], *, is_over: Callable[[], bool]) -> bool:
        """Look at the next piece. True: there is nothing more to be looked at."""
        began_s = time.perf_counter()
        given = {**values, "below": self.below, "limit": self._piece}
        *rows, (least, _, several) = self._connection.execute(self._sql, given).fetchall()
        if self._look(sorted(rows, reverse=True), is_over=is_over):
            self.below = self.below if least is None else least
            self._is_done = several < self._piece
        took_s = time.perf_counter() - began_s
        self.spent_s += took_s * self._dearness
        self.next_s = took_s * self._dearness * min(2, _LARGEST_PIECE / self._piece)
        self._piece = min(2 * self._piece, _LARGEST_PIECE)
        return self._is_done or len(self._keys) == self._limit

    def _look(self, rows: Sequence[Any], *, is_over: Callable[[], bool]) -> bool:
        """Whether all of them were looked at."""
        for at in range(0, len(rows), _LOOKED_AT_ONCE):
            together = rows[at : at + _LOOKED_AT_ONCE]
            self._keys += self._looked_at.fitting(together, self._connection)[: self._limit - len(self._keys)]
            is_full = len(self._keys) == self._limit
            if is_full or is_over():
                self.below = self._keys[-1] if is_full else together[-1][0]
                return False
        return True


def _walks(
    connection: sqlite3.Connection, wanted: JobFilter, values: dict[str, object], *, below: int, limit: int
) -> Sequence[_Walk]:
    by_place = places.ways(wanted)
    if not by_place:
        return []
    way_of = partial(_Walk, connection, below=below, limit=limit)
    walks: list[_Walk] = []
    pattern = None if wanted.name_regex is None else compiled(wanted.name_regex).search
    words = None if wanted.words is None else texts.matching(wanted.words)
    looked_at = _Texts(pattern=pattern, words=words)
    if wanted.words is not None:
        values["words"] = words
        sql = _sql(places.way_by(_rows_of("job_words", "words", wanted), wanted), wanted)
        walks.append(way_of(sql, _Texts(pattern=pattern), by_text=True))
    demanded = None if wanted.name_regex is None else trigrams.demanded_by(wanted.name_regex)
    if demanded is not None:
        usual = [name for (name,) in connection.execute(_USUAL_NAMES)]
        values["trigrams"] = trigrams.query_of(demanded, usual=usual)
        sql = _sql(places.way_by(_rows_of("job_trigrams", "trigrams", wanted), wanted), wanted)
        walks.append(way_of(sql, looked_at, by_text=True))
    # Down all jobs only where nothing else leads to them.
    if not (walks and places.is_of_all(wanted)):
        walks += (way_of(_sql(way, wanted), looked_at) for way in by_place)
    return walks


def _rows_of(table: str, value: str, wanted: JobFilter) -> str:
    """The rows that a text is in, by the index of texts."""
    until = "" if wanted.created_after is None else " AND rowid >= :from_key"
    return (
        f"SELECT rowid AS key FROM {table} WHERE {table} MATCH :{value} AND rowid < :below{until} "
        "ORDER BY rowid DESC LIMIT :limit"
    )


def _sql(way: Way, wanted: JobFilter) -> str:
    """The rows of a piece that fit, with their names if those are to be looked at; last of all how far the piece goes."""
    name = "NULL" if wanted.name_regex is None else "job.job_name"
    needs_job = any("job." in one for one in (name, *way.where))
    joined = f" CROSS JOIN {way.source} ON job.key = piece.key" if needs_job else ""
    where = f" WHERE {' AND '.join(way.where)}" if way.where else ""
    return (
        f"WITH piece AS MATERIALIZED ({way.piece}) SELECT piece.key, {name}, NULL FROM piece{joined}{where} "
        "UNION ALL SELECT min(key), NULL, count(*) FROM piece"
    )
