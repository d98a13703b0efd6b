"""Short transactions beside the log: one statement each, translated where it fails."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import CursorResult, Executable, Row
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.errors import StoreAway

T = TypeVar("T")


async def fetch(engine: AsyncEngine, query: Executable) -> Sequence[Row[Any]]:
    """What the query finds. Raises StoreAway."""
    try:
        return await _seen_through(engine, query, lambda result: result.all())
    except SQLAlchemyError as error:
        raise StoreAway("The history cannot be read at the moment; try again later.") from error


async def execute(engine: AsyncEngine, statement: Executable) -> int:
    """Do it, durably; how many rows it changed. Raises StoreAway."""
    try:
        return await _seen_through(engine, statement, lambda result: result.rowcount)
    except SQLAlchemyError as error:
        raise StoreAway("The history cannot be written at the moment; try again later.") from error


async def _seen_through(engine: AsyncEngine, statement: Executable, taken: Callable[[CursorResult[Any]], T]) -> T:
    # A viewer that leaves is cancelled wherever it waits. A statement that is left half-way costs the connection, so
    # it is brought to its end first: it takes milliseconds.
    whole = asyncio.ensure_future(_done(engine, statement, taken))
    try:
        return await asyncio.shield(whole)
    except asyncio.CancelledError:
        await asyncio.wait([whole])
        if not whole.cancelled():
            whole.exception()  # looked at, since nobody is left to be told
        raise


async def _done(engine: AsyncEngine, statement: Executable, taken: Callable[[CursorResult[Any]], T]) -> T:
    async with engine.connect() as connection:
        return taken(await connection.execute(statement))
