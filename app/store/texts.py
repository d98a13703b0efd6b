"""The indexes of words and names: virtual tables of SQLite's FTS5, whose rows have the numbers of the jobs' rows.

They hold no text of their own, so what is taken out of them must be said as it was put in.
"""

import re
import sqlite3
from collections.abc import Collection, Sequence

import msgspec

from app.domain.errors import Invalid
from app.domain.jobs import Job

_INSERT_WORDS = "INSERT INTO job_words (rowid, job_name, operation, params, error) VALUES (?, ?, ?, ?, ?)"
_DELETE_WORDS = (
    "INSERT INTO job_words (job_words, rowid, job_name, operation, params, error) VALUES ('delete', ?, ?, ?, ?, ?)"
)
_INSERT_NAME = "INSERT INTO job_trigrams (rowid, job_name) VALUES (?, ?)"
_DELETE_NAME = "INSERT INTO job_trigrams (job_trigrams, rowid, job_name) VALUES ('delete', ?, ?)"
_ASKED = re.compile(r'"([^"]*)"|([^\s"]+)')
_PHRASE, _WORD = re.compile(r'"([^"]*)"'), re.compile(r"[a-z0-9]+")
_SHOWN = "SELECT shown FROM job_state WHERE key = ?"
_TABLE = "SELECT sql FROM sqlite_master WHERE name = 'job_words'"
_SHOWN_OF = "SELECT key, shown FROM job_state WHERE key IN ({})"
_HAVING = "SELECT rowid FROM job_words WHERE job_words MATCH ?"


class _Texts(msgspec.Struct):
    job_name: str
    operation: str
    params: msgspec.Raw
    error: str


def matching(words: str) -> str:
    """For FTS5: what all of the words stand in, wherever. Raises Invalid where there is no word in them.

    Words in quotation marks stand together; one with an asterisk behind it is the beginning of a word.
    """
    asked = [quoted or plain for quoted, plain in _ASKED.findall(words)]
    found = [_match(one) for one in asked if any(sign.isalnum() for sign in one)]
    if not found:
        raise Invalid("There is no word in this; words are made of letters and digits.", field="q")
    return " AND ".join(found)


def _match(asked: str) -> str:
    is_beginning = asked.endswith("*")
    text = _unbroken(asked.rstrip("*")).replace('"', " ")
    return f'"{text}"' + (" *" if is_beginning else "")


def add(connection: sqlite3.Connection, key: int, job: Job) -> None:
    """A job that was not there."""
    connection.execute(_INSERT_WORDS, _words(key, job))
    connection.execute(_INSERT_NAME, (key, _unbroken(job.job_name)))


def change(connection: sqlite3.Connection, key: int, job: Job) -> None:
    """A job whose error may be another one; to be called before its state is written."""
    was = _kept(connection, key)
    if was.error != job.error:
        connection.execute(_DELETE_WORDS, _words(key, was))
        connection.execute(_INSERT_WORDS, _words(key, job))


def remove(connection: sqlite3.Connection, key: int) -> None:
    """A job that goes; to be called before its state does."""
    was = _kept(connection, key)
    connection.execute(_DELETE_WORDS, _words(key, was))
    connection.execute(_DELETE_NAME, (key, _unbroken(was.job_name)))


class Few:
    """Looks for words in a few jobs at a time: `match` is what FTS5 is asked.

    In an index in memory of those alone that may have them: to be asked for one row after another takes the index of all
    a quarter of a millisecond each.
    """

    def __init__(self, match: str) -> None:
        self._match = match
        # In a line of plain letters and digits a word is spelled as in the index; nothing of it is escaped there.
        self._words = [word for phrase in _PHRASE.findall(match) for word in _WORD.findall(phrase.lower())]
        self._index: sqlite3.Connection | None = None

    def having(self, connection: sqlite3.Connection, keys: Sequence[int]) -> Collection[int]:
        """Those of the jobs that the words stand in."""
        lines = connection.execute(_SHOWN_OF.format(", ".join("?" * len(keys))), keys).fetchall()
        possible = [(key, msgspec.json.decode(line, type=_Texts)) for key, line in lines if self._may_be_in(line)]
        if not possible:
            return ()
        if self._index is None:
            self._index = sqlite3.connect(":memory:")
            self._index.execute(*connection.execute(_TABLE).fetchone())
        self._index.executemany(_INSERT_WORDS, [_words(key, one) for key, one in possible])
        found = {key for (key,) in self._index.execute(_HAVING, (self._match,))}
        self._index.rollback()
        return found

    def close(self) -> None:
        """Leave the index."""
        if self._index is not None:
            self._index.close()

    def _may_be_in(self, line: str) -> bool:
        if not (self._match.isascii() and line.isascii()):
            return True
        lowered = line.lower()
        return all(word in lowered for word in self._words)


def _kept(connection: sqlite3.Connection, key: int) -> _Texts:
    ((line,),) = connection.execute(_SHOWN, (key,)).fetchall()
    return msgspec.json.decode(line, type=_Texts)


def _words(key: int, job: Job | _Texts) -> tuple[object, ...]:
    texts = (job.job_name, job.operation, bytes(job.params).decode(), job.error)
    return (key, *map(_unbroken, texts))


def _unbroken(text: str) -> str:
    """SQLite's tokenizers take a NUL for the end."""
    return text.replace("\0", " ")
