"""A gateway's database as a file: what is in it, and what another program does to it."""

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import datetime
from pathlib import Path
from typing import Any

from app.domain.events import Event
from app.store.memory import Memory, open_memory
from tests.support.news import NOON


def url_of(path: Path) -> str:
    """Its address."""
    return f"sqlite:///{path}"


@asynccontextmanager
async def remembering(
    path: Path, *, told: list[Event] | None = None, now: Callable[[], datetime] = lambda: NOON
) -> AsyncIterator[Memory]:
    """All that a gateway remembers in this file; `told` gets the events."""
    heard = [] if told is None else told
    async with open_memory(url_of(path), tell=heard.extend, now=now) as memory:
        yield memory


def rows_in(path: Path, query: str) -> list[Any]:
    """What another program reads."""
    with closing(sqlite3.connect(path)) as database:
        return database.execute(query).fetchall()


def change(path: Path, sql: str) -> None:
    """What another program writes."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(sql)


def overwrite_page(path: Path, name: str) -> None:
    """The first page of a table or an index is overwritten; nobody has the database open."""
    ((page_bytes,),) = rows_in(path, "PRAGMA page_size")
    ((page,),) = rows_in(path, f"SELECT rootpage FROM sqlite_master WHERE name = '{name}'")  # noqa: S608
    overwrite(path, at=(page - 1) * page_bytes, length=page_bytes)


def overwrite(path: Path, *, at: int, length: int) -> None:
    """Bytes that nobody wrote on purpose."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * length)


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file with its bytes; the lock apart, which says nothing."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and file.suffix != ".lock"}
