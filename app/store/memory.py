"""Everything that is remembered, in one database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from app.store.actions import SqlActions
from app.store.attempts import SqlAttempts
from app.store.condition import Condition
from app.store.database import Synchronous, open_database
from app.store.history import SqlHistory, open_history
from app.store.keys import SqlKeys, SqlPasses
from app.store.lock import alone
from app.store.log import Tell
from app.store.pruning import SqlRetention
from app.store.schema import migrate_alone
from app.store.upkeep import kept_well


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """One for each port."""

    storage: Condition
    history: SqlHistory
    actions: SqlActions
    attempts: SqlAttempts
    keys: SqlKeys
    passes: SqlPasses
    retention: SqlRetention


@asynccontextmanager
async def open_memory(
    url: str, *, tell: Tell, now: Callable[[], datetime], synchronous: Synchronous = "full"
) -> AsyncIterator[Memory]:
    """The database at this address, which no other gateway opens meanwhile. Raises StoreAway."""
    async with AsyncExitStack() as open_:
        open_.enter_context(alone(url))
        await asyncio.to_thread(migrate_alone, url)
        database = await open_.enter_async_context(open_database(url, synchronous=synchronous))
        await open_.enter_async_context(kept_well(database))
        yield Memory(
            storage=database.condition,
            history=await open_.enter_async_context(open_history(database, tell=tell, now=now)),
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
