"""Everything that is remembered, in one database."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from app.store.actions import SqlActions
from app.store.attempts import SqlAttempts
from app.store.database import open_database
from app.store.history import SqlHistory, open_history
from app.store.keys import SqlKeys, SqlPasses
from app.store.log import Tell
from app.store.pruning import SqlRetention


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One for each port."""

    history: SqlHistory
    actions: SqlActions
    attempts: SqlAttempts
    keys: SqlKeys
    passes: SqlPasses
    retention: SqlRetention


@asynccontextmanager
async def open_memory(url: str, *, tell: Tell, now: Callable[[], datetime]) -> AsyncIterator[Memory]:
    """The database at this address. Raises StoreAway."""
    async with open_database(url) as database, open_history(database, tell=tell, now=now) as history:
        yield Memory(
            history=history,
            actions=SqlActions(database, now=now),
            attempts=SqlAttempts(database, now=now),
            keys=SqlKeys(database, now=now),
            passes=SqlPasses(database, now=now),
            retention=SqlRetention(database, now=now),
        )


@asynccontextmanager
async def open_keys(url: str, *, now: Callable[[], datetime]) -> AsyncIterator[SqlKeys]:
    """The keys alone, also beside a gateway that runs."""
    async with open_database(url) as database:
        yield SqlKeys(database, now=now)


@asynccontextmanager
async def open_retention(url: str, *, now: Callable[[], datetime]) -> AsyncIterator[SqlRetention]:
    """Retention alone, also beside a gateway that runs."""
    async with open_database(url) as database:
        yield SqlRetention(database, now=now)
