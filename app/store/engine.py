"""How the database is opened: its pragmas, and its schema through migrations alone."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.domain.errors import StoreAway
from app.store import regexes

_MIGRATIONS = Path(__file__).parent.parent.parent / "migrations"
_BUSY_MS = 5_000


@asynccontextmanager
async def open_engine(url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a database whose schema is the newest."""
    await asyncio.to_thread(migrate, url)
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT")
    event.listen(engine.sync_engine, "connect", _prepare)
    try:
        yield engine
    finally:
        await engine.dispose()


def migrate(url: str) -> None:
    """Bring the schema to the newest version. Raises StoreAway when it cannot be opened or is of a newer program."""
    try:
        if database := make_url(url).database:
            Path(database).parent.mkdir(parents=True, exist_ok=True)
        command.upgrade(migrations(url), "head")
    except CommandError as error:
        raise StoreAway(
            "The database was written by a newer version of the gateway. Start that version, or point "
            f"GATEWAY_DATABASE_URL at another file. ({error})"
        ) from error
    except (OSError, SQLAlchemyError) as error:
        raise StoreAway(f"The database {url} cannot be opened: {error}") from error


def migrations(url: str) -> Config:
    """Alembic's configuration for this database."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["url"] = make_url(url).set(drivername="sqlite")
    return config


def _prepare(connection: Any, _record: object) -> None:
    connection.create_function(*regexes.AS_FUNCTION, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.close()
