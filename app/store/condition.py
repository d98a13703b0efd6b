"""In what condition the database is: what its errors mean, and when nothing may be written any more."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.domain.errors import StoreAway

log = logging.getLogger(__name__)

_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_ON_ITS_OWN = "it goes on by itself once that is over"
_WHY = {
    sqlite3.SQLITE_FULL: f"the disk is full; {_ON_ITS_OWN}",
    sqlite3.SQLITE_IOERR: f"the disk is full or fails; {_ON_ITS_OWN}",
    sqlite3.SQLITE_BUSY: "another program has held the database for too long; try again",
    sqlite3.SQLITE_LOCKED: "another program has held the database for too long; try again",
    sqlite3.SQLITE_READONLY: "the database file or its folder can only be read; look at whose they are",
    sqlite3.SQLITE_CANTOPEN: "the database file or its folder cannot be opened; look at whose they are",
}
# Anybody may be told these, so they name no file.
_UNTIL = (
    ", so nothing is written any more. Stop the gateway, put a backup in its place with gateway restore FILE, and start it "
    "again."
)
_GONE = (
    "A file of the database was deleted or replaced while the gateway had it open, so nothing is written any more. Stop the "
    "gateway, see that the right database is in its place (gateway restore FILE puts a backup there), and start it again."
)
_BESIDE = ("", "-wal", "-shm")


class Condition:
    """Of the files that are open. Once they are damaged or no more in their place, nothing is written until a restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = {file: _identity(file) for file in files_of(path)}
        self._stopped: str | None = None

    def check(self) -> None:
        """Raises StoreAway once nothing is written any more, with what to do."""
        if self._stopped is None and (gone := self._gone()) is not None:
            self._stop(_GONE, gone)
        if self._stopped is not None:
            raise StoreAway(self._stopped)

    def journal_bytes(self) -> int:
        """How large the file of the journal is."""
        return self._path.with_name(f"{self._path.name}-wal").stat().st_size

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Raises StoreAway for what the database says, in our words."""
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise self._told(error, "read") from error

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The same where nothing can be written; what is wrong with what was to be written is raised as it is.

        What was written into a file that is no more in its place counts as not written.
        """
        self.check()
        try:
            yield
        except (SQLAlchemyError, sqlite3.Error) as error:
            if not _is_of_the_database(error):
                raise
            raise self._told(error, "written") from error
        self.check()

    def _told(self, error: Exception, done: str) -> StoreAway:
        if code_of(error) in _DAMAGE:
            self._stop(f"The database is damaged ({_words(error)}){_UNTIL}", self._path)
            return StoreAway(self._stopped or "")
        return away(error, done)

    def _gone(self) -> Path | None:
        return next((file for file, identity in self._open.items() if _identity(file) != identity), None)

    def _stop(self, why: str, file: Path) -> None:
        if self._stopped is None:
            self._stopped = why
            log.error("writing stopped", extra={"why": why, "file": str(file)})


def files_of(path: Path) -> list[Path]:
    """The database's file, and those that SQLite keeps beside it."""
    return [path.with_name(path.name + suffix) for suffix in _BESIDE]


def away(error: Exception, done: str) -> StoreAway:
    """What an error means for whoever wanted the history `read` or `written`."""
    why = _WHY.get(code_of(error))
    return StoreAway(f"The history cannot be {done} at the moment{f': {why}' if why else '; try again later'}.")


def damaged(path: Path, error: Exception) -> str:
    """What is said where a file that is not as SQLite left it is not even opened."""
    return f"The database {path} is damaged ({_words(error)}). Put a backup in its place: gateway restore FILE."


def is_damage(error: Exception) -> bool:
    """Whether it says that the file is not as SQLite left it."""
    return code_of(error) in _DAMAGE


def _is_of_the_database(error: Exception) -> bool:
    raised = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(raised, sqlite3.OperationalError) or is_damage(error)


def code_of(error: BaseException | None) -> int:
    """SQLite's code, without its second half; 0 where there is none."""
    if isinstance(error, DBAPIError):
        error = error.orig
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _words(error: Exception) -> str:
    return str(error.orig if isinstance(error, DBAPIError) else error)


def _identity(file: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = os.stat(file)  # noqa: PTH116  (before and after each commit: a Path takes five times as long)
        return found.st_dev, found.st_ino
    return None
