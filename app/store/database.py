"""The database in threads of its own: each transaction goes there and back once, whatever its length."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, suppress
from functools import partial
from typing import Any, Literal, TypeVar, cast

from sqlalchemy import Connection, Engine, Executable, Row, UpdateBase, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from app.store import regexes
from app.store.condition import Condition, away
from app.store.lock import file_of
from app.store.schema import migrate, not_opened

T = TypeVar("T")
Synchronous = Literal["full", "normal"]

# Beyond this the journal is brought home, and back to this it is cut when it begins anew.
JOURNAL_BYTES = 4 * 1024 * 1024

_AT_ONCE = 8
_CONNECTIONS = _AT_ONCE + 2  # the writer has one of its own, and the upkeep
# Of each connection: as much as the index of a large phase takes. The one used last is used next, so that few fill theirs.
_CACHE_KB = 16_000
_BUSY_MS = 5_000


class Database:
    """A SQLite file. `condition`: what it is in, as far as is known."""

    def __init__(self, engine: Engine, *, condition: Condition) -> None:
        self.condition = condition
        self._engine = engine
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="database")

    async def fetch(self, query: Executable) -> Sequence[Row[Any]]:
        """What the query finds, or what a change returns. Raises StoreAway."""
        if isinstance(query, UpdateBase):
            return await self._written(lambda connection: connection.execute(query).all())
        return await self._done(lambda connection: connection.execute(query).all(), within=self.condition.reading)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work finds with a connection of the driver's. Raises StoreAway, and what the work raises."""
        return await self._done(lambda connection: work(_driver(connection)), within=self.condition.reading)

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work does with a connection of the driver's, as a whole or not at all. Raises StoreAway."""
        return await self._written(lambda connection: _as_a_whole(_driver(connection), work))

    async def execute(self, statement: Executable) -> int:
        """Do it, durably; how many rows it changed. Raises StoreAway."""
        return await self._written(lambda connection: connection.execute(statement).rowcount)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Own"]:
        """A connection with a thread of its own."""
        with ThreadPoolExecutor(1, thread_name_prefix="database writer") as thread:
            connection = await asyncio.get_running_loop().run_in_executor(thread, self._engine.connect)
            try:
                yield Own(_driver(connection), thread=thread, condition=self.condition)
            finally:
                await asyncio.get_running_loop().run_in_executor(thread, connection.close)

    async def close(self) -> None:
        """See out what was begun."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    async def _written(self, work: Callable[[Connection], T]) -> T:
        try:
            return await self._done(work, within=self.condition.writing)
        except SQLAlchemyError as error:
            raise away(error, "written") from error

    async def _done(self, work: Callable[[Connection], T], *, within: Callable[[], AbstractContextManager[None]]) -> T:
        def done() -> T:
            with within(), self._engine.connect() as connection:
                return work(connection)

        # A viewer that leaves is cancelled wherever it waits. What it asked for is brought to its end: it takes
        # milliseconds, and who comes after finds it done.
        whole = asyncio.get_running_loop().run_in_executor(self._threads, done)
        try:
            return await asyncio.shield(whole)
        except asyncio.CancelledError:
            await asyncio.wait([whole])
            whole.exception()  # looked at, since nobody is left to be told
            raise


class Own:
    """A connection of the driver's, used by one thread for one piece of work at a time."""

    def __init__(self, connection: sqlite3.Connection, *, thread: ThreadPoolExecutor, condition: Condition) -> None:
        self._connection = connection
        self._thread = thread
        self._condition = condition

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises what the work raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same for what changes something. Raises StoreAway where nothing can be written."""

        def written(connection: sqlite3.Connection) -> T:
            with self._condition.writing():
                return work(connection)

        return await self.do(written)


@asynccontextmanager
async def open_database(url: str, *, synchronous: Synchronous = "full") -> AsyncIterator[Database]:
    """The database at this address, with the newest schema. Raises StoreAway."""
    await asyncio.to_thread(migrate, url)
    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=_CONNECTIONS, pool_use_lifo=True)
    event.listen(engine, "connect", partial(_prepare, synchronous=synchronous))
    database = await asyncio.to_thread(_opened, engine, url)
    try:
        yield database
    finally:
        await database.close()


def _opened(engine: Engine, url: str) -> Database:
    """All its connections at once: made later, one would be of whatever file is in this place by then."""
    path = file_of(url)
    try:
        with ExitStack() as open_:
            for _ in range(_CONNECTIONS):
                open_.enter_context(engine.connect()).execute(text("SELECT count(*) FROM sqlite_master"))
            return Database(engine, condition=Condition(path))
    except SQLAlchemyError as error:
        engine.dispose()
        raise not_opened(path, error) from error


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    return cast(sqlite3.Connection, driver)


def _as_a_whole(driver: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    driver.execute("BEGIN IMMEDIATE")
    try:
        result = work(driver)
        driver.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):  # it says what was said before it
            driver.rollback()
        raise
    return result


def _prepare(connection: Any, _record: object, *, synchronous: Synchronous) -> None:
    connection.create_function(*regexes.AS_FUNCTION, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KB}")
    cursor.execute("PRAGMA journal_mode = WAL")
    # Not in the middle of somebody's commit: see `upkeep`.
    cursor.execute("PRAGMA wal_autocheckpoint = 0")
    cursor.execute(f"PRAGMA journal_size_limit = {JOURNAL_BYTES}")
    cursor.execute(f"PRAGMA synchronous = {synchronous}")
    cursor.close()
