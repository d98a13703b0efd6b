"""The indexes of words and names: virtual tables of SQLite's FTS5, whose rows have the numbers of the jobs' rows.

They hold no text of their own, so what is taken out of them must be said as it was put in.
"""

import re
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing

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


def having(connection: sqlite3.Connection, keys: Sequence[int], match: str) -> Collection[int]:
    """Those of a few jobs that the words stand in.

    They are looked for in an index of these jobs alone: to be asked for one row after another takes the index of all
    a quarter of a millisecond each.
    """
    lines = connection.execute(_SHOWN_OF.format(", ".join("?" * len(keys))), keys).fetchall()
    with closing(sqlite3.connect(":memory:")) as index:
        index.execute(*connection.execute(_TABLE).fetchone())
        texts = ((key, msgspec.json.decode(line, type=_Texts)) for key, line in lines)
        index.executemany(_INSERT_WORDS, (_words(key, one) for key, one in texts))
        return {key for (key,) in index.execute(_HAVING, (match,))}


def _kept(connection: sqlite3.Connection, key: int) -> _Texts:
    ((line,),) = connection.execute(_SHOWN, (key,)).fetchall()
    return msgspec.json.decode(line, type=_Texts)


def _words(key: int, job: Job | _Texts) -> tuple[object, ...]:
    texts = (job.job_name, job.operation, bytes(job.params).decode(), job.error)
    return (key, *map(_unbroken, texts))


def _unbroken(text: str) -> str:
    """SQLite's tokenizers take a NUL for the end."""
    return text.replace("\0", " ")
