"""The database in threads of its own: each transaction goes there and back once, whatever its length."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, Executable, Row, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from app.domain.errors import StoreAway
from app.store import regexes
from app.store.schema import migrate

T = TypeVar("T")

_AT_ONCE = 8
_BUSY_MS = 5_000


class Database:
    """A SQLite file."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="database")

    async def fetch(self, query: Executable) -> Sequence[Row[Any]]:
        """What the query finds. Raises StoreAway."""
        try:
            return await self._done(lambda connection: connection.execute(query).all())
        except SQLAlchemyError as error:
            raise StoreAway("The history cannot be read at the moment; try again later.") from error

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work finds with a connection of the driver's. Raises StoreAway, and what the work raises."""
        try:
            return await self._done(lambda connection: work(_driver(connection)))
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StoreAway("The history cannot be read at the moment; try again later.") from error

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What the work does with a connection of the driver's, as a whole or not at all. Raises StoreAway."""

        def done(connection: Connection) -> T:
            driver = _driver(connection)
            driver.execute("BEGIN IMMEDIATE")
            try:
                result = work(driver)
                driver.execute("COMMIT")
            except BaseException:
                if driver.in_transaction:
                    driver.rollback()
                raise
            return result

        try:
            return await self._done(done)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise StoreAway("The history cannot be written at the moment; try again later.") from error

    async def execute(self, statement: Executable) -> int:
        """Do it, durably; how many rows it changed. Raises StoreAway."""
        try:
            return await self._done(lambda connection: connection.execute(statement).rowcount)
        except SQLAlchemyError as error:
            raise StoreAway("The history cannot be written at the moment; try again later.") from error

    @asynccontextmanager
    async def connection(self) -> AsyncIterator["Own"]:
        """A connection with a thread of its own."""
        with ThreadPoolExecutor(1, thread_name_prefix="database writer") as thread:
            connection = await asyncio.get_running_loop().run_in_executor(thread, self._engine.connect)
            try:
                yield Own(_driver(connection), thread=thread)
            finally:
                await asyncio.get_running_loop().run_in_executor(thread, connection.close)

    async def close(self) -> None:
        """See out what was begun."""
        await asyncio.to_thread(self._threads.shutdown)
        self._engine.dispose()

    async def _done(self, work: Callable[[Connection], T]) -> T:
        def done() -> T:
            with self._engine.connect() as connection:
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

    def __init__(self, connection: sqlite3.Connection, *, thread: ThreadPoolExecutor) -> None:
        self._connection = connection
        self._thread = thread

    async def do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises what the work raises."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._connection)


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """The database at this address, with the newest schema. Raises StoreAway."""
    await asyncio.to_thread(migrate, url)
    engine = create_engine(url, isolation_level="AUTOCOMMIT", pool_size=_AT_ONCE + 1)
    event.listen(engine, "connect", _prepare)
    database = Database(engine)
    try:
        yield database
    finally:
        await database.close()


def _driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.driver_connection
    return cast(sqlite3.Connection, driver)


def _prepare(connection: Any, _record: object) -> None:
    connection.create_function(*regexes.AS_FUNCTION, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
