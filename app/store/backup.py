"""Copies of the database: made while it is in use, and put back in its place."""

import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from app.domain.errors import StoreAway
from app.store.condition import files_of
from app.store.heads import miss_through, newest
from app.store.lock import address_of, alone, file_of
from app.store.looking import opened, tables_in, version_in
from app.store.replacing import finish, note, replaced, to_disk
from app.store.schema import is_newest, migrate_alone
from app.store.stopping import Stop

# Numbers that are left out after a restore: so many may have been given that nobody knows of any more.
LEFT_OUT = 1_000_000

_PAGES = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a copy holds. `newest`: the largest number that was given to an event."""

    size: int
    jobs: int
    events: int
    newest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What came back. New events are numbered above `after`.

    `aside`: where the database is that was there before; None: there was none. `known`: its numbers could be read.
    """

    copied: Copied
    after: int
    aside: Path | None
    known: bool


def back_up(url: str, to: Path, *, stop: Stop) -> Copied:
    """A whole and consistent copy, beside whoever reads and writes. Raises StoreAway, and leaves nothing, where it fails."""
    path = file_of(url)
    if to.resolve().parent == path.parent and to.name.startswith(f"{path.name}-"):
        raise StoreAway(f"{to} is a name that SQLite uses beside the database. Name another.")
    if os.path.lexists(to):
        raise StoreAway(f"There is a file {to} already, and a backup overwrites nothing. Name another.")
    if not path.exists():
        raise StoreAway(f"There is no database {path} to back up.")
    with _failing(f"The backup {to} was not made"), _beside(to) as part:
        _copied(lambda: _writable(path), part, of=path, stop=stop)
        with closing(_writable(part)) as whole:
            copied = _counted(whole, size=part.stat().st_size)
        to_disk(part)
        part.rename(to)
        to_disk(to.absolute().parent)
    return copied


def restore(url: str, copy: Path, *, now: datetime, stop: Stop) -> Restored:
    """Put a copy in the database's place, and what was there aside. Raises StoreAway, and changes nothing, where it fails.

    No number is given twice: new events continue above all that may have been given.
    """
    path = file_of(url)
    with alone(url), _failing(f"{copy} was not restored"):
        finish(path)
        _may_be_restored(copy, path)
        with _beside(path) as part:
            _copied(lambda: _readable(copy), part, of=copy, stop=stop)
            _migrated(part, copy)
            was = _given(path)
            given = [was, *map(_given, replaced(path))]
            after = _continued(part, above=max(number or 0 for number in given))
            _keep_revoked(part, path)
            with closing(_writable(part)) as whole:
                copied = _counted(whole, size=part.stat().st_size)
            had = path.exists()
            aside = note(part, path=path, now=now)
            finish(path)
    return Restored(copied=copied, after=after, aside=aside if had else None, known=was is not None)


def _copied(source: Callable[[], sqlite3.Connection], part: Path, *, of: Path, stop: Stop) -> None:
    """Everything, into a file that is whole by itself."""
    with closing(source()) as reading, closing(_writable(part)) as writing:
        writing.execute("PRAGMA synchronous = OFF")  # it is brought to the disk as a whole
        writing.execute("PRAGMA journal_mode = OFF")
        # What is read stays what it is while the transaction lasts, so no piece makes the copy start over.
        reading.execute("BEGIN")
        reading.execute("SELECT count(*) FROM sqlite_master").fetchall()
        reading.backup(writing, pages=_PAGES, progress=lambda *_: stop.check())
        writing.execute("PRAGMA journal_mode = DELETE")
        _check(writing, stop=stop)
        _is_ours(writing, of)


def _check(database: sqlite3.Connection, *, stop: Stop) -> None:
    with stop.may_interrupt(database):
        found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(1)")]
    if found != ["ok"]:
        raise StoreAway(f"it is damaged: {found[0]}")


def _is_ours(database: sqlite3.Connection, path: Path) -> None:
    if version_in(database) is None or "event" not in tables_in(database):
        raise StoreAway(f"{path} is no gateway's database")


def _counted(database: sqlite3.Connection, *, size: int) -> Copied:
    ((jobs, events),) = database.execute("SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM event)")
    return Copied(size=size, jobs=jobs, events=events, newest=newest(database))


def _may_be_restored(copy: Path, path: Path) -> None:
    if not copy.is_file():
        raise StoreAway("there is no such file")
    if path.exists() and copy.samefile(path):
        raise StoreAway("it is the database itself")


def _migrated(part: Path, copy: Path) -> None:
    with closing(_writable(part)) as database:
        is_newest(copy, version_in(database))
    migrate_alone(address_of(part))


def _given(path: Path) -> int | None:
    """The largest number that a database has given. None: that cannot be read, or there is none."""
    if not path.exists():
        return None
    found = []
    with suppress(sqlite3.Error), closing(_readable(path)) as database:
        found.append(newest(database))
    with suppress(sqlite3.Error), closing(_readable(path)) as database:
        found += [row[0] for row in database.execute("SELECT coalesce(max(id), 0) FROM event")]
    return max(found, default=None)


def _continued(part: Path, *, above: int) -> int:
    """Leave numbers out, and say so where the log tells of gaps; the largest of them."""
    with closing(_writable(part)) as database, _at_once(database):
        after = max(newest(database), above) + LEFT_OUT
        database.execute("DELETE FROM sqlite_sequence WHERE name = 'event'")
        database.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('event', ?)", (after,))
        miss_through(database, after)
    return after


def _keep_revoked(part: Path, path: Path) -> None:
    """A key that was revoked since the copy was made stays revoked, as far as that can be read."""
    revoked: list[tuple[int, str]] = []
    if path.exists():
        with suppress(sqlite3.Error), closing(_readable(path)) as database:
            revoked += database.execute("SELECT revoked_us, key_id FROM api_key WHERE revoked_us IS NOT NULL")
    with closing(_writable(part)) as database, _at_once(database):
        database.executemany("UPDATE api_key SET revoked_us = ? WHERE key_id = ? AND revoked_us IS NULL", revoked)


def _readable(path: Path) -> sqlite3.Connection:
    """A connection that changes nothing; where nobody has left a journal it makes no files beside it either."""
    journal = files_of(path)[1]
    return opened(path, mode="ro" if journal.exists() else "ro&immutable=1")


def _writable(path: Path) -> sqlite3.Connection:
    return opened(path, mode="rw")


@contextmanager
def _at_once(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    database.execute("BEGIN IMMEDIATE")
    yield
    database.execute("COMMIT")


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """An empty file beside this one, for its owner alone, which is gone afterwards unless it was given another name."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.absolute().parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
    finally:
        for file in (*files_of(part), part.with_name(f"{part.name}-journal")):
            file.unlink(missing_ok=True)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    """Whatever goes wrong is told as one sentence about this."""
    try:
        yield
    except StoreAway as error:
        raise StoreAway(f"{what}: {error.detail.removesuffix('.')}.") from error
    except (sqlite3.Error, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise StoreAway(f"{what}: {why}.") from error
