"""What is done to the database beside the writing: its place is watched, and its journal brought home."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.domain.errors import StoreAway
from app.store.database import JOURNAL_BYTES, Database, Own

_EVERY_S = 1.0
# How long the writing may be held up at a time to let the journal begin anew, and for how much that is left of it.
_HOLD_UP_MS = 50
_LEFT_FRAMES = 1_000


@asynccontextmanager
async def kept_well(database: Database) -> AsyncIterator[None]:
    """While the block lasts."""
    async with database.connection() as connection:
        await connection.do(lambda driver: driver.execute(f"PRAGMA busy_timeout = {_HOLD_UP_MS}").fetchall())
        task = asyncio.create_task(_keep_well(database, connection), name="database upkeep")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


async def _keep_well(database: Database, connection: Own) -> None:
    while True:
        await asyncio.sleep(_EVERY_S)
        with suppress(StoreAway, OSError):  # said already, or said by the next look
            database.condition.check()
            if database.condition.journal_bytes() > JOURNAL_BYTES:
                await connection.write(bring_home)


def bring_home(connection: sqlite3.Connection) -> None:
    """Write what the journal holds into the database, beside the writing; then let the journal begin anew.

    The first step holds up nobody and does the most of it. The second keeps writers out for the little that came
    meanwhile; with a reader of long ago before it there is no use in that, and it is left to a later time.
    """
    _, all_frames, done = _checkpoint(connection, "PASSIVE")
    if all_frames - done <= _LEFT_FRAMES:
        _checkpoint(connection, "RESTART")


def _checkpoint(connection: sqlite3.Connection, how: str) -> tuple[int, int, int]:
    busy, all_frames, done = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    return busy, all_frames, done
